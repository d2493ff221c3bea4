#include "bnrun/session.h"

#include <algorithm>

#include "api/model_access.h"
#include "base/cpus.h"
#include "base/fail.h"
#include "base/large_blocks.h"
#include "bnrun/machine.h"
#include "exec/executor.h"
#include "exec/profile.h"
#include "graph/graph.h"
#include "graph/integer_product.h"
#include "passes/fold/fold.h"
#include "passes/prepare.h"
#include "program/compile.h"

namespace bnrun {
namespace {

MatrixBackend backend_of(Kernels kernels) {
  if (kernels == Kernels::blas && blas_kernels() == "none")
    fail(ErrorCode::unsupported, "this build has no BLAS: its own kernels do without");
  return kernels == Kernels::blas ? MatrixBackend::blas : MatrixBackend::packed;
}

int threads_of(int wanted) {
  if (wanted < 0) fail(ErrorCode::invalid_input, "a session cannot have {} threads", wanted);
  if (wanted > Session::kMaxThreads)
    fail(ErrorCode::resource_limit, "{} threads are more than the {} that a session may have", wanted,
         Session::kMaxThreads);
  return wanted == 0 ? usable_cpus() : wanted;
}

std::shared_ptr<ThreadPool> pool_of(const SessionOptions& options) {
  return options.pool != nullptr ? options.pool : make_thread_pool(options.threads);
}

/// Folds unless told otherwise, and compiles.
Executor executor_of(Graph graph, const SessionOptions& options, FoldReport& report) {
  [[maybe_unused]] ReuseOfLargeBlocks reuse;
  const bool on_bytes = options.kernels == Kernels::automatic || options.kernels == Kernels::fast;
  const bool keep_integers = on_bytes && may_multiply_integers(graph);
  if (options.fold) {
    FoldOptions in_memory = *options.fold;
    in_memory.keep_integers = keep_integers;
    report = fold(graph, in_memory);
  } else {
    prepare(graph, {.packed = !keep_integers});
  }
  if (keep_integers) compute_packed(graph);
  const CompileOptions compiling{
      .backend = backend_of(options.kernels), .fast = options.kernels == Kernels::fast, .on_bytes = on_bytes};
  return Executor(compile(std::move(graph), compiling), pool_of(options));
}

}  // namespace

std::shared_ptr<ThreadPool> make_thread_pool(int threads) {
  return std::make_shared<ThreadPool>(threads_of(threads));
}

struct Session::State {
  FoldReport report;
  std::vector<PortInfo> inputs;
  std::vector<PortInfo> outputs;
  ModelMetadata metadata;
  std::vector<std::string> class_names;
  Executor executor;

  /// `take_graph` gives the graph of the model, which may leave the model without one.
  template <class TakeGraph>
  State(const Model& model, TakeGraph&& take_graph, const SessionOptions& options)
      : inputs(model.inputs()),
        outputs(model.outputs()),
        metadata(model.metadata()),
        class_names(model.class_names()),
        executor(executor_of(take_graph(), options, report)) {}
};

Session::Session(const Model& model, const SessionOptions& options)
    : state_(std::make_unique<State>(
          model, [&] { return graph_of(model); }, options)) {}
Session::Session(Model&& model, const SessionOptions& options)
    : state_(std::make_unique<State>(
          model, [&] { return std::move(graph_of(model)); }, options)) {}
Session Session::load(const std::filesystem::path& path, const SessionOptions& options) {
  return Session(Model::load(path), options);
}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

const std::vector<PortInfo>& Session::inputs() const {
  return state_->inputs;
}
const std::vector<PortInfo>& Session::outputs() const {
  return state_->outputs;
}
const ModelMetadata& Session::metadata() const {
  return state_->metadata;
}
const std::vector<std::string>& Session::class_names() const {
  return state_->class_names;
}
const FoldReport& Session::fold_report() const {
  return state_->report;
}
int Session::threads() const {
  return state_->executor.threads();
}

std::vector<NamedTensor> Session::run(std::span<const NamedTensor> given) const {
  const auto& ports = state_->executor.program().inputs;
  std::vector<TensorView> inputs(ports.size());
  for (const NamedTensor& input : given) {
    const auto port =
        std::find_if(ports.begin(), ports.end(), [&](const auto& p) { return p.name == input.name; });
    if (port == ports.end()) {
      std::vector<std::string> names;
      for (const auto& p : ports) names.push_back("'" + p.name + "'");
      fail(ErrorCode::invalid_input, "the model has no input '{}', it has {}", input.name,
           fmt::join(names, ", "));
    }
    TensorView& view = inputs[static_cast<std::size_t>(port - ports.begin())];
    if (view.defined()) fail(ErrorCode::invalid_input, "input '{}' is given twice", input.name);
    view = input.tensor.view();
  }

  auto outputs = state_->executor.run(inputs);
  std::vector<NamedTensor> results;
  for (std::size_t i = 0; i < outputs.size(); ++i)
    results.push_back({state_->executor.program().outputs[i].name, std::move(outputs[i])});
  return results;
}
std::vector<NamedTensor> Session::run(std::initializer_list<NamedTensor> given) const {
  return run(std::span(given.begin(), given.size()));
}

std::vector<Tensor> Session::run(std::span<const TensorView> inputs, const RunOptions& options) const {
  return state_->executor.run(inputs, options.progress);
}

void Session::run(std::span<const TensorView> inputs, std::span<const MutableTensorView> outputs,
                  const RunOptions& options) const {
  state_->executor.run(inputs, outputs, options.progress);
}

std::vector<TensorType> Session::output_types(std::span<const TensorView> inputs) const {
  std::vector<TensorType> types;
  for (const ValueType& type : state_->executor.output_types(inputs))
    types.push_back({type.dtype, type.shape()});
  return types;
}

Profile Session::profile(std::span<const TensorView> inputs, int runs) const {
  return bnrun::profile(state_->executor, inputs, runs);
}

}  // namespace bnrun
