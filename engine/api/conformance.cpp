#include "bnrun/conformance.h"

#include <cmath>
#include <fstream>

#include "api/model_access.h"
#include "base/fail.h"
#include "bnrun/model.h"
#include "bnrun/session.h"
#include "exec/executor.h"
#include "graph/graph.h"
#include "op/shape_rules.h"
#include "passes/prepare.h"
#include "program/compile.h"
#include "verify/interpret.h"

namespace bnrun {
namespace {

constexpr double kRtol = 1e-3;
constexpr double kAtol = 1e-7;
// Data published with ONNX 1.12 cut bfloat16 off, later data round it: one unit in the last place.
constexpr double kRtolBFloat16 = 0x1p-7;

bool close(double actual, double expected, double rtol) {
  if (std::isnan(actual) || std::isnan(expected)) return std::isnan(actual) && std::isnan(expected);
  if (std::isinf(actual) || std::isinf(expected)) return actual == expected;
  return std::abs(actual - expected) <= kAtol + rtol * std::abs(expected);
}

/// Empty when they agree.
std::string difference(const std::string& name, const Tensor& actual, const Tensor& expected) {
  if (actual.type() != expected.type()) {
    return fmt::format("output '{}' is {}, expected {}", name, to_string(actual.type()),
                       to_string(expected.type()));
  }
  if (!is_floating(actual.dtype())) {
    return identical(actual, expected) ? "" : fmt::format("output '{}' differs", name);
  }
  const auto a = read_doubles(actual);
  const auto e = read_doubles(expected);
  const double rtol = actual.dtype() == DType::bfloat16 ? kRtolBFloat16 : kRtol;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!close(a[i], e[i], rtol))
      return fmt::format("output '{}' element {}: {} instead of {}", name, i, a[i], e[i]);
  }
  return "";
}

/// numpy knows no bfloat16, so the published data files hold its bits as uint16.
Tensor as_declared(Tensor tensor, DType declared) {
  if (tensor.dtype() != DType::uint16 || declared != DType::bfloat16) return tensor;
  Tensor bits(DType::bfloat16, tensor.shape());
  std::ranges::transform(tensor.span<std::uint16_t>(), bits.mutable_data<BFloat16>(),
                         [](std::uint16_t pattern) {
                           BFloat16 x;
                           x.bits = pattern;
                           return x;
                         });
  return bits;
}

std::vector<Tensor> read_set(const std::filesystem::path& folder, const char* kind, const Graph& graph,
                             const std::vector<ValueId>& ports) {
  std::vector<Tensor> tensors;
  for (std::size_t i = 0;; ++i) {
    const auto path = folder / fmt::format("{}_{}.pb", kind, i);
    if (!std::filesystem::exists(path)) return tensors;
    const DType declared = i < ports.size() ? graph.value(ports[i]).type.dtype : DType::undefined;
    tensors.push_back(as_declared(read_tensor_file(path), declared));
  }
}

/// Some published data sets (CastLike with bfloat16) have inputs of other shapes than their model declares; a
/// session rightly refuses them.
bool fit_declarations(const Graph& graph, std::span<const TensorView> inputs) {
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    if (!inputs[i].defined()) continue;
    const ValueType& declared = graph.value(graph.inputs()[i]).type;
    if (!merge(declared, ValueType::of(inputs[i].dtype, inputs[i].shape))) return false;
  }
  return true;
}

std::string difference(const Graph& graph, std::span<const Tensor> actual, std::span<const Tensor> expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    auto text = difference(graph.value(graph.outputs()[i]).name, actual[i], expected[i]);
    if (!text.empty()) return text;
  }
  return "";
}

/// Compiled into blocks of one row: this tests that every operator that is split by rows computes each alone.
std::vector<Tensor> run_in_single_rows(const Graph& graph, std::span<const TensorView> inputs) {
  Graph prepared = graph;
  prepare(prepared);
  return Executor(compile(prepared, {.block_rows = 1}), std::make_shared<ThreadPool>(1)).run(inputs);
}

/// Runs the model in three ways: operator by operator, in blocks of one row,
/// and folded as by default. The last runs twice in the same arena.
std::string run_data_set(const Model& model, const Session& session, const std::filesystem::path& folder) {
  const Graph& graph = graph_of(model);
  const auto inputs = read_set(folder, "input", graph, graph.inputs());
  const auto expected = read_set(folder, "output", graph, graph.outputs());
  if (expected.empty()) return "there is no expected output";
  if (expected.size() != graph.outputs().size()) return "the model has another number of outputs";
  std::vector<TensorView> views(inputs.begin(), inputs.end());
  views.resize(std::max(views.size(), graph.inputs().size()));
  if (auto text = difference(graph, interpret(graph, views), expected); !text.empty()) return text;
  if (!fit_declarations(graph, views)) return "";
  if (auto text = difference(graph, run_in_single_rows(graph, views), expected); !text.empty())
    return "in single rows: " + text;
  std::vector<NamedTensor> named;
  for (std::size_t i = 0; i < inputs.size() && i < session.inputs().size(); ++i) {
    if (inputs[i].defined()) named.push_back({session.inputs()[i].name, inputs[i]});
  }
  for (int repeat = 0; repeat < 2; ++repeat) {
    std::vector<Tensor> outputs;
    for (auto& [name, tensor] : session.run(named)) outputs.push_back(std::move(tensor));
    if (auto text = difference(graph, outputs, expected); !text.empty()) return "compiled: " + text;
  }
  return "";
}

}  // namespace

BackendTestResult run_backend_test(const std::filesystem::path& folder) {
  try {
    const Model model = Model::load(folder / "model.onnx");
    check_supported(graph_of(model));  // before any data: expected sequences and maps cannot even be read
    const Session session(model);
    int sets = 0;
    for (;; ++sets) {
      const auto set = folder / fmt::format("test_data_set_{}", sets);
      if (!std::filesystem::is_directory(set)) break;
      auto text = run_data_set(model, session, set);
      if (!text.empty()) return {TestOutcome::fail, std::move(text)};
    }
    if (sets == 0) return {TestOutcome::fail, "there is no test_data_set_0"};
    return {TestOutcome::pass, ""};
  } catch (const Error& error) {
    return {error.code() == ErrorCode::unsupported ? TestOutcome::skip : TestOutcome::fail, error.what()};
  }
}

}  // namespace bnrun
