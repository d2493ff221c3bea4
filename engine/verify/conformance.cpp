#include "bnrun/conformance.h"

#include <cmath>
#include <fstream>

#include "bnrun/model.h"
#include "graph/fail.h"
#include "graph/graph.h"
#include "ops/common.h"
#include "ops/evaluate.h"

namespace bnrun {
namespace {

constexpr double kRtol = 1e-3;
constexpr double kAtol = 1e-7;

bool close(double actual, double expected) {
  if (std::isnan(actual) || std::isnan(expected)) return std::isnan(actual) && std::isnan(expected);
  if (std::isinf(actual) || std::isinf(expected)) return actual == expected;
  return std::abs(actual - expected) <= kAtol + kRtol * std::abs(expected);
}

/// Empty when they agree.
std::string difference(const std::string& name, const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() != expected.dtype() || !(actual.shape() == expected.shape())) {
    return fmt::format("output '{}' is {}{}, expected {}{}", name, name_of(actual.dtype()),
                       to_string(actual.shape()), name_of(expected.dtype()), to_string(expected.shape()));
  }
  if (!is_floating(actual.dtype())) {
    return identical(actual, expected) ? "" : fmt::format("output '{}' differs", name);
  }
  const auto a = read_doubles(actual);
  const auto e = read_doubles(expected);
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!close(a[i], e[i]))
      return fmt::format("output '{}' element {}: {} instead of {}", name, i, a[i], e[i]);
  }
  return "";
}

std::vector<Tensor> read_set(const std::filesystem::path& folder, const char* kind) {
  std::vector<Tensor> tensors;
  for (int i = 0;; ++i) {
    const auto path = folder / fmt::format("{}_{}.pb", kind, i);
    if (!std::filesystem::exists(path)) return tensors;
    tensors.push_back(read_tensor_file(path));
  }
}

std::string run_data_set(const Model& model, const std::filesystem::path& folder) {
  const Graph& graph = model.graph();
  auto inputs = read_set(folder, "input");
  const auto expected = read_set(folder, "output");
  if (expected.empty()) return "there is no expected output";
  if (expected.size() != graph.outputs().size()) return "the model has another number of outputs";
  std::vector<TensorView> views(inputs.begin(), inputs.end());
  views.resize(std::max(views.size(), graph.inputs().size()));
  const auto outputs = interpret(graph, views);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    auto text = difference(graph.value(graph.outputs()[i]).name, outputs[i], expected[i]);
    if (!text.empty()) return text;
  }
  return "";
}

}  // namespace

BackendTestResult run_backend_test(const std::filesystem::path& folder) {
  try {
    const Model model = Model::load(folder / "model.onnx");
    int sets = 0;
    for (;; ++sets) {
      const auto set = folder / fmt::format("test_data_set_{}", sets);
      if (!std::filesystem::is_directory(set)) break;
      auto text = run_data_set(model, set);
      if (!text.empty()) return {TestOutcome::fail, std::move(text)};
    }
    if (sets == 0) return {TestOutcome::fail, "there is no test_data_set_0"};
    return {TestOutcome::pass, ""};
  } catch (const Error& error) {
    return {error.code() == ErrorCode::unsupported ? TestOutcome::skip : TestOutcome::fail, error.what()};
  }
}

}  // namespace bnrun
