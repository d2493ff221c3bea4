#include "exec/profile.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/elements.h"
#include "base/fail.h"

namespace bnrun {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// What looking at the clock twice takes, which no step shall pay for.
double clock_seconds() {
  double least = 1.0;
  for (int i = 0; i < 100; ++i) {
    const auto start = Clock::now();
    least = std::min(least, seconds_between(start, Clock::now()));
  }
  return least;
}

/// What the steps of one program tell while it runs, on any thread.
class Record {
 public:
  explicit Record(std::vector<StepProfile> steps) : steps_(std::move(steps)) {}

  /// From now on: `costs` are counted, which takes time, or times are taken.
  void start(bool costs) {
    counts_costs_ = costs;
    calls_.clear();
    threads_.assign(1, std::this_thread::get_id());
    start_ = Clock::now();
  }
  bool counts_costs() const { return counts_costs_; }

  void add_call(std::size_t step, int threads, Clock::time_point from, Clock::time_point to) {
    const std::lock_guard lock(mutex_);
    const auto self = std::this_thread::get_id();
    const auto found = std::find(threads_.begin(), threads_.end(), self);
    const auto thread = static_cast<int>(found - threads_.begin());
    if (found == threads_.end()) threads_.push_back(self);
    calls_.push_back({step, thread, seconds_between(start_, from),
                      std::max(0.0, seconds_between(from, to) - clock_seconds_), threads});
  }

  void add_cost(std::size_t step, std::optional<std::int64_t> flops, std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    StepProfile& costs = steps_[step];
    costs.flops = (costs.calls == 0 || costs.flops) && flops ? std::optional(costs.flops.value_or(0) + *flops)
                                                             : std::nullopt;
    costs.bytes += bytes;
    ++costs.calls;
  }

  std::vector<StepProfile>& steps() { return steps_; }
  std::vector<StepCall>& calls() { return calls_; }

 private:
  double clock_seconds_ = clock_seconds();
  bool counts_costs_ = false;
  Clock::time_point start_;
  std::mutex mutex_;
  std::vector<std::thread::id> threads_;  ///< the caller's first
  std::vector<StepProfile> steps_;
  std::vector<StepCall> calls_;
};

/// Multiply-adds, counted twice, for arguments of these shapes.
std::optional<std::int64_t> flops_of(const Op& op, const RunArgs& args) {
  std::vector<ValueType> inputs;
  std::vector<ValueType> outputs;
  for (const TensorView& view : args.inputs)
    inputs.push_back(view.defined() ? ValueType::of(view.dtype, view.shape) : ValueType{});
  for (const MutableTensorView& view : args.outputs)
    outputs.push_back(view.defined() ? ValueType::of(view.dtype, view.shape) : ValueType{});
  const std::vector<const Tensor*> constants(inputs.size(), nullptr);
  const std::unique_ptr<bool[]> used(new bool[outputs.size()]);
  std::fill_n(used.get(), outputs.size(), true);
  const auto macs = op.macs({inputs, outputs, constants, {used.get(), outputs.size()}}).number();
  return macs ? std::optional(2 * *macs) : std::nullopt;
}

std::int64_t bytes_of(const Op& op, const RunArgs& args) {
  std::int64_t bytes = 0;
  const auto add = [&](const auto& view) {
    if (view.defined()) bytes += view.elements() * static_cast<std::int64_t>(element_bytes(view.dtype));
  };
  for (std::size_t i = 0; i < args.inputs.size(); ++i) {
    if (op.reads_elements(i)) add(args.inputs[i]);
  }
  for (const MutableTensorView& view : args.outputs) add(view);
  return bytes;
}

/// An operator of a step, and the clock. It shows what exec/ asks of an operator.
class TimedOp final : public Op {
 public:
  TimedOp(std::shared_ptr<const Op> op, std::size_t step, std::size_t constant_bytes, Record& record)
      : op_(std::move(op)),
        step_(step),
        constant_bytes_(static_cast<std::int64_t>(constant_bytes)),
        record_(record) {}

  std::vector<ValueType> infer(const InferArgs& args) const override { return op_->infer(args); }
  bool deterministic() const override { return op_->deterministic(); }
  std::size_t scratch_bytes(std::span<const ValueType> inputs) const override {
    return op_->scratch_bytes(inputs);
  }

  void run(const RunArgs& args) const override {
    if (record_.counts_costs()) {
      op_->run(args);
      record_.add_cost(step_, flops_of(*op_, args), bytes_of(*op_, args) + constant_bytes_);
      return;
    }
    const auto start = Clock::now();
    op_->run(args);
    record_.add_call(step_, args.workspace.threads(), start, Clock::now());
  }

 private:
  std::shared_ptr<const Op> op_;
  std::size_t step_;
  std::int64_t constant_bytes_;
  Record& record_;
};

std::vector<StepProfile> describe_steps(const Program& program) {
  std::vector<StepProfile> steps;
  for (const Stage& stage : program.stages) {
    for (const Step& step : stage.steps)
      steps.push_back({.where = step.where, .kernel = std::string(step.kernel)});
  }
  return steps;
}

Program timed(Program program, Record& record) {
  std::size_t number = 0;
  for (Stage& stage : program.stages) {
    for (Step& step : stage.steps) {
      step.op = std::make_shared<TimedOp>(std::move(step.op), number++, step.constant_bytes, record);
    }
  }
  return program;
}

}  // namespace

Profile profile(const Executor& executor, std::span<const TensorView> inputs, int runs) {
  if (runs < 1) fail(ErrorCode::invalid_input, "a profile of {} runs cannot be made", runs);
  Record record(describe_steps(executor.program()));
  const Executor with_clock(timed(executor.program(), record), executor.pool());
  std::vector<Tensor> outputs;
  with_clock.run(inputs, outputs);  // planning runs operators too
  record.start(true);
  with_clock.run(inputs, outputs);
  executor.run(inputs, outputs);

  Profile result{.threads = executor.threads()};
  double quickest = 0.0;  // with the clock
  for (int run = 0; run < runs; ++run) {
    auto start = Clock::now();
    executor.run(inputs, outputs);
    const double plain = seconds_between(start, Clock::now());
    if (run == 0 || plain < result.seconds) result.seconds = plain;
    record.start(false);
    start = Clock::now();
    with_clock.run(inputs, outputs);
    const double clocked = seconds_between(start, Clock::now());
    if (run > 0 && clocked >= quickest) continue;
    quickest = clocked;
    result.calls = record.calls();
  }
  result.steps = std::move(record.steps());
  for (StepProfile& step : result.steps) step.calls = 0;
  for (const StepCall& call : result.calls) {
    result.steps[call.step].seconds += call.seconds * call.threads;
    ++result.steps[call.step].calls;
  }
  return result;
}

}  // namespace bnrun
