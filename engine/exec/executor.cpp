#include "exec/executor.h"

#include <cstdint>
#include <utility>

#include "base/fail.h"
#include "base/strided_copy.h"

namespace bnrun {
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

/// Throws invalid_input unless elements that exist are somewhere.
template <class View>
void check_pointer(const View& view, const char* what, const std::string& name) {
  if (view.bytes != nullptr || !view.defined()) [[likely]]
    return;
  if (view.elements() != 0) fail(ErrorCode::invalid_input, "{} '{}' is a null pointer", what, name);
}

/// Operators write outputs while others still read: throws invalid_input where two views share bytes.
template <class View>
void check_apart(const MutableTensorView& output, const std::string& name, const View& other,
                 const char* what, const std::string& other_name) {
  const auto begin_of = [](const auto& view) { return reinterpret_cast<std::uintptr_t>(view.bytes); };
  const auto bytes_of = [](const auto& view) {
    return view.defined() ? static_cast<std::size_t>(view.elements()) * element_bytes(view.dtype) : 0;
  };
  const std::size_t bytes = bytes_of(output);
  const std::size_t other_bytes = bytes_of(other);
  const bool apart = begin_of(output) + bytes <= begin_of(other) ||
                     begin_of(other) + other_bytes <= begin_of(output) || bytes == 0 || other_bytes == 0;
  if (apart) [[likely]]
    return;
  fail(ErrorCode::invalid_input, "output '{}' shares memory with {} '{}': give it a buffer of its own", name,
       what, other_name);
}

}  // namespace

/// Holds an arena for the time of one call.
class Executor::Lease {
 public:
  explicit Lease(const Executor& executor) : executor_(executor), arena_(executor.take()) {}
  ~Lease() { executor_.give_back(std::move(arena_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Arena* operator->() const { return arena_.get(); }

  /// Plans a run of these inputs, after checking that there is something to read.
  const RunPlan& prepare_run(std::span<const TensorView> inputs) const {
    const RunPlan& plan = arena_->prepare(inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      check_pointer(inputs[i], "input", executor_.program_.inputs[i].name);
    return plan;
  }

 private:
  const Executor& executor_;
  std::unique_ptr<Arena> arena_;
};

Executor::Executor(Program program, std::shared_ptr<ThreadPool> pool)
    : program_(std::move(program)), pool_(std::move(pool)) {}

Executor::~Executor() {
  delete ready_.load();
}

/// The arena used last is the one most likely to be in cache and to know the shapes.
std::unique_ptr<Arena> Executor::take() const {
  if (Arena* const arena = ready_.exchange(nullptr)) return std::unique_ptr<Arena>(arena);
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto arena = std::move(idle_.back());
      idle_.pop_back();
      return arena;
    }
    idle_.reserve(++arenas_);  // so that giving back cannot fail
  }
  return std::make_unique<Arena>(program_, pool_->threads());
}

void Executor::give_back(std::unique_ptr<Arena> arena) const {
  arena->release();
  Arena* none = nullptr;
  if (ready_.compare_exchange_strong(none, arena.get())) {
    static_cast<void>(arena.release());
    return;
  }
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(arena));
}

std::vector<Tensor> Executor::run(std::span<const TensorView> inputs, const Progress& progress) const {
  std::vector<Tensor> outputs;
  run(inputs, outputs, progress);
  return outputs;
}

void Executor::run(std::span<const TensorView> inputs, std::vector<Tensor>& outputs,
                   const Progress& progress) const {
  const Lease arena(*this);
  arena->run(arena.prepare_run(inputs), inputs, *pool_, outputs, progress);
}

void Executor::run(std::span<const TensorView> inputs, std::span<const MutableTensorView> outputs,
                   const Progress& progress) const {
  const auto& ports = program_.outputs;
  const Lease arena(*this);
  const RunPlan& plan = arena.prepare_run(inputs);
  if (outputs.size() != ports.size())
    fail(ErrorCode::invalid_input, "{} outputs given, the model has {}", outputs.size(), ports.size());
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const RunPlan::Slot& slot = known_output(ports[i], plan);
    if (outputs[i].dtype != slot.type.dtype || !(outputs[i].shape == slot.shape)) {
      fail(ErrorCode::invalid_input, "output '{}' is {}, the buffer given is {}{}", ports[i].name,
           to_string(slot.type), name_of(outputs[i].dtype), to_string(outputs[i].shape));
    }
    check_pointer(outputs[i], "output", ports[i].name);
    for (std::size_t k = 0; k < inputs.size(); ++k)
      check_apart(outputs[i], ports[i].name, inputs[k], "input", program_.inputs[k].name);
    for (std::size_t k = 0; k < i; ++k)
      check_apart(outputs[i], ports[i].name, outputs[k], "output", ports[k].name);
  }
  arena->run(plan, inputs, outputs, *pool_, progress);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (!plan.is_target(ports[i].slot, i)) copy_elements(arena->view_of(ports[i].slot), outputs[i]);
  }
}

std::vector<ValueType> Executor::output_types(std::span<const TensorView> inputs) const {
  const Lease arena(*this);
  const RunPlan& plan = arena->prepare(inputs);
  std::vector<ValueType> types;
  for (const auto& port : program_.outputs) types.push_back(known_output(port, plan).type);
  return types;
}

}  // namespace bnrun
