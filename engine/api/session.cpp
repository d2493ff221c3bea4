#include "bnrun/session.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

#include "program/compile.h"
#include "base/fail.h"
#include "graph/graph.h"
#include "exec/arena.h"
#include "base/cpus.h"
#include "base/thread_pool.h"

namespace bnrun {
namespace {

MatrixBackend backend_of(Kernels kernels) {
  return kernels == Kernels::blas ? MatrixBackend::blas : MatrixBackend::packed;
}

int threads_of(int wanted) {
  if (wanted < 0) fail(ErrorCode::invalid_input, "a session cannot have {} threads", wanted);
  return wanted == 0 ? usable_cpus() : wanted;
}

void copy_elements(const TensorView& from, const MutableTensorView& to) {
  const auto elements = static_cast<std::size_t>(from.elements());
  if (elements == 0) return;
  if (from.dtype == DType::string)
    std::ranges::copy(from.span<std::string>(), to.data<std::string>());
  else
    std::memcpy(to.bytes, from.bytes, elements * element_bytes(from.dtype));
}

}  // namespace

struct Session::State {
  State(Model model, FoldReport folded, const SessionOptions& options)
      : report(std::move(folded)),
        inputs(model.inputs()),
        outputs(model.outputs()),
        program(compile(model.graph(), {.backend = backend_of(options.kernels)})),
        pool(threads_of(options.threads)) {}

  FoldReport report;
  std::vector<PortInfo> inputs;
  std::vector<PortInfo> outputs;
  Program program;
  ThreadPool pool;

  std::mutex mutex;  ///< guards the two below
  std::vector<std::unique_ptr<Arena>> idle;
  std::size_t arenas = 0;

  /// The arena used last, which is the one most likely to be in cache and to know the shapes.
  std::unique_ptr<Arena> take() {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        auto arena = std::move(idle.back());
        idle.pop_back();
        return arena;
      }
      idle.reserve(++arenas);  // so that giving back cannot fail
    }
    return std::make_unique<Arena>(program, pool.threads());
  }

  void give_back(std::unique_ptr<Arena> arena) {
    arena->release();
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(arena));
  }
};

namespace {

/// Holds an arena for the time of one call.
template <class State>
class Lease {
 public:
  explicit Lease(State& state) : state_(state), arena_(state.take()) {}
  ~Lease() { state_.give_back(std::move(arena_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Arena* operator->() const { return arena_.get(); }

 private:
  State& state_;
  std::unique_ptr<Arena> arena_;
};

}  // namespace

Session::Session(const Model& model, const SessionOptions& options) {
  Model own = model;
  FoldReport report;
  if (options.fold) report = bnrun::fold(own);
  state_ = std::make_unique<State>(std::move(own), std::move(report), options);
}
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
const FoldReport& Session::fold_report() const {
  return state_->report;
}

std::vector<NamedTensor> Session::run(std::span<const NamedTensor> given) const {
  const auto& ports = state_->program.inputs;
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

  const Lease arena(*state_);
  auto outputs = arena->run(inputs, state_->pool);
  std::vector<NamedTensor> results;
  for (std::size_t i = 0; i < outputs.size(); ++i)
    results.push_back({state_->program.outputs[i].name, std::move(outputs[i])});
  return results;
}

namespace {

/// Throws unsupported unless the plan knows the output's shape.
const RunPlan::Slot& known_output(const Program::Port& port, const RunPlan& plan) {
  const RunPlan::Slot& slot = plan.slot(port.slot);
  if (slot.type.dtype == DType::undefined || !slot.type.static_shape()) {
    fail(ErrorCode::unsupported,
         "the shape of output '{}' depends on the data: run with outputs that the session allocates",
         port.name);
  }
  return slot;
}

}  // namespace

void Session::run(std::span<const TensorView> inputs, std::span<const MutableTensorView> outputs) const {
  const auto& ports = state_->program.outputs;
  const Lease arena(*state_);
  const RunPlan& plan = arena->prepare(inputs);
  if (outputs.size() != ports.size())
    fail(ErrorCode::invalid_input, "{} outputs given, the model has {}", outputs.size(), ports.size());
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const RunPlan::Slot& slot = known_output(ports[i], plan);
    if (outputs[i].dtype != slot.type.dtype || !(outputs[i].shape == slot.shape)) {
      fail(ErrorCode::invalid_input, "output '{}' is {}, the buffer given is {}{}", ports[i].name,
           to_string(slot.type), name_of(outputs[i].dtype), to_string(outputs[i].shape));
    }
  }
  arena->run(plan, inputs, outputs, state_->pool);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (!plan.is_target(ports[i].slot, i)) copy_elements(arena->view_of(ports[i].slot), outputs[i]);
  }
}

std::vector<std::pair<DType, Shape>> Session::output_types(std::span<const TensorView> inputs) const {
  const Lease arena(*state_);
  const RunPlan& plan = arena->prepare(inputs);
  std::vector<std::pair<DType, Shape>> types;
  for (const auto& port : state_->program.outputs) {
    const RunPlan::Slot& slot = known_output(port, plan);
    types.emplace_back(slot.type.dtype, slot.shape);
  }
  return types;
}

}  // namespace bnrun
