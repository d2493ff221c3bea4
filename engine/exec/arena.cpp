#include "exec/arena.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <utility>

#include "base/fail.h"
#include "base/numbers.h"
#include "op/evaluate.h"

namespace bnrun {
namespace {

/// Enough for the batch sizes that alternate in practice: full batches, the last one, single rows.
constexpr std::size_t kPlans = 8;

/// All bits are set, which is NaN in every floating-point type: an operator that reads elements before it has
/// written them gives NaN in tests instead of an accidental zero.
AlignedBuffer<std::byte> make_memory(std::size_t bytes) {
  AlignedBuffer<std::byte> memory(bytes);
  std::memset(memory.data(), 0xff, bytes);
  return memory;
}

/// Those who read it were planned for its type, as far as that was known.
void check_planned(const ValueType& planned, const TensorView& made) {
  if (planned.dtype != DType::undefined && !merge(planned, ValueType::of(made)))
    fail(ErrorCode::invalid_input, "it makes {}, the model tells {}", to_string(ValueType::of(made)),
         to_string(planned));
}

std::size_t at(std::int32_t index) {
  return static_cast<std::size_t>(index);
}

/// What stays as it is is not written, so that helpers need not fetch it again.
template <class Pointer, class Address>
void repoint(Pointer& pointer, Address address) {
  if (pointer != address) pointer = address;
}

/// Rows of a stage, where the plan tells them.
std::optional<std::int64_t> planned_rows(const RunPlan& plan, const RowBlocks& blocks) {
  const RunPlan::Slot& source = plan.slot(blocks.values[at(blocks.sources[0])].slot);
  if (source.place == Place::heap || !source.type.static_shape()) return std::nullopt;
  return source.shape[0];
}

}  // namespace

/// Tells how far a run is that goes through the blocks of a stage.
class Arena::BlockProgress {
 public:
  /// Stage `number` of `stages` has so many blocks, each of which goes through so many steps.
  BlockProgress(const Progress& progress, std::size_t number, std::size_t stages, std::int64_t blocks,
                std::size_t steps)
      : progress_(progress),
        number_(static_cast<double>(number)),
        stages_(static_cast<double>(stages)),
        blocks_(static_cast<double>(blocks)),
        steps_(static_cast<double>(steps)),
        tells_steps_(blocks < kFew) {}

  /// Before a step of a block, on the caller's thread.
  void tell(std::size_t step) const {
    if (step > 0 && !tells_steps_) return;
    const double done = static_cast<double>(done_.load()) + static_cast<double>(step) / steps_;
    progress_((number_ + done / blocks_) / stages_);
  }
  void end_block() { ++done_; }

 private:
  /// So many blocks are told enough of as a whole.
  static constexpr std::int64_t kFew = 16;

  const Progress& progress_;
  double number_;
  double stages_;
  double blocks_;
  double steps_;
  bool tells_steps_;
  std::atomic<std::int64_t> done_{0};
};

/// The blocks of a stage. One cache line: where inputs and outputs lie as before, all that helpers
/// fetch from the caller's caches before they begin.
struct alignas(kCacheLine) Arena::BlockJob {
  Arena* arena;
  const Stage* stage;
  std::size_t number;  ///< of the stage
  RowCut cut;
  ThreadPool* pool;
  BlockProgress* told;  ///< null where nobody is

  /// By one thread alone.
  void operator()(std::int64_t block, int worker) const {
    run(block, worker, arena->workspace(*pool).of_thread(worker), nullptr);
  }

  /// `shared`: threads that share the steps.
  void run(std::int64_t block, int worker, const Workspace& workspace, ThreadPool* shared) const {
    arena->run_block(*stage, number, cut.first_row(block), cut.rows_of(block), arena->workers_[at(worker)],
                     workspace, worker == 0 ? told : nullptr, shared);
    if (told != nullptr) told->end_block();
  }
};

Arena::Arena(const Program& program, int workers)
    : program_(program),
      workers_(static_cast<std::size_t>(workers)),
      views_(program.constants.size()),
      targets_(program.constants.size()),
      heap_(program.constants.size()),
      head_starts_(program.stages.size()),
      part_inputs_(static_cast<std::size_t>(workers)) {
  plans_.reserve(kPlans + 1);
  std::size_t inputs_of_parts = 0;
  for (const Stage& stage : program.stages) {
    for (const Step& step : stage.steps) {
      if (step.parts != nullptr) inputs_of_parts = std::max(inputs_of_parts, step.inputs.size());
    }
  }
  for (PartInputs& own : part_inputs_) own.views.reserve(inputs_of_parts);
  for (Worker& worker : workers_) {
    for (const Stage& stage : program.stages) {
      auto& args = worker.stages.emplace_back();
      if (!stage.blocks) continue;
      for (const Step& step : stage.steps) {
        for (const SlotId id : step.inputs)
          args.inputs.push_back(id.valid() ? program.constants[at(id.index)].view() : TensorView{});
        args.outputs.resize(args.outputs.size() + step.outputs.size());
      }
      args.at.resize(stage.blocks->values.size());
      const auto shape_of = [&](std::int32_t value, auto& arg) {
        if (value < 0) return;
        arg.dtype = stage.blocks->values[at(value)].dtype;
        arg.shape = stage.blocks->values[at(value)].row;
        arg.shape.insert(0, 0);
      };
      for (std::size_t i = 0; i < args.inputs.size(); ++i) shape_of(stage.blocks->inputs[i], args.inputs[i]);
      for (std::size_t i = 0; i < args.outputs.size(); ++i)
        shape_of(stage.blocks->outputs[i], args.outputs[i]);
    }
  }
}

const RunPlan& Arena::prepare(std::span<const TensorView> inputs) {
  const auto found =
      std::find_if(plans_.begin(), plans_.end(), [&](const auto& plan) { return plan->fits(inputs); });
  if (found != plans_.end()) {
    std::rotate(plans_.begin(), found, found + 1);
    return *plans_.front();
  }
  check_inputs(program_, inputs);
  auto plan = std::make_unique<RunPlan>(plan_run(program_, inputs));
  bound_ = nullptr;
  reserve_scratch(*plan);
  if (plan->arena_bytes > memory_.size()) memory_ = make_memory(plan->arena_bytes);
  if (plan->scratch_bytes > step_scratch_bytes_) {
    const std::size_t bytes = rounded_up(plan->scratch_bytes, kCacheLine);
    step_scratch_ = make_memory(bytes * workers_.size());
    step_scratch_bytes_ = bytes;  // only now that it is there: an arena outlives a run that failed
  }
  plans_.insert(plans_.begin(), std::move(plan));
  if (plans_.size() > kPlans) plans_.pop_back();
  return *plans_.front();
}

/// What blocks need: the caller's thread always, the others where they get blocks of their own.
void Arena::reserve_scratch(const RunPlan& plan) {
  const auto threads = static_cast<int>(workers_.size());
  std::size_t own = 0;
  std::size_t others = 0;
  for (const Stage& stage : program_.stages) {
    if (!stage.blocks) continue;
    own = std::max(own, stage.blocks->scratch_bytes);
    const auto rows = planned_rows(plan, *stage.blocks);
    if (!rows || RowCut(*stage.blocks, *rows, threads).has_blocks_for_all(threads))
      others = std::max(others, stage.blocks->scratch_bytes);
  }
  for (Worker& worker : workers_) {
    const std::size_t bytes = &worker == &workers_[0] ? own : others;
    if (bytes > worker.scratch.size()) worker.scratch = make_memory(bytes);
  }
}

void Arena::bind(const RunPlan& plan) {
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    const RunPlan::Slot& slot = plan.slots[i];
    views_[i] = slot.place == Place::constant ? program_.constants[i].view() : TensorView{};
    targets_[i] = {};
    if (slot.place != Place::arena && slot.place != Place::output) continue;
    std::byte* const at = slot.place == Place::arena ? memory_.data() + slot.offset : nullptr;
    targets_[i] = {slot.type.dtype, slot.shape, at};
    views_[i] = targets_[i];
  }
  for (std::size_t i = 0; i < plan.inputs.size(); ++i) {
    if (plan.inputs[i].defined()) view(program_.inputs[i].slot) = plan.inputs[i];
  }
  bound_ = &plan;
}

void Arena::run(const RunPlan& plan, std::span<const TensorView> inputs,
                std::span<const MutableTensorView> outputs, ThreadPool& pool, const Progress& progress) {
  const TemporaryMemory::Loan loan(temporary_);
  if (bound_ != &plan) bind(plan);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined()) repoint(view(program_.inputs[i].slot).bytes, inputs[i].bytes);
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const SlotId id = program_.outputs[i].slot;
    if (!plan.is_target(id, i)) continue;
    repoint(target(id).bytes, outputs[i].bytes);
    repoint(view(id).bytes, outputs[i].bytes);
  }
  for (std::size_t i = 0; i < program_.stages.size(); ++i) {
    const Stage& stage = program_.stages[i];
    const bool on_heap = plan.on_heap[i] != 0;
    if (stage.blocks) {
      run_blocks(stage, i, on_heap, pool, progress);
    } else {
      if (progress) progress(static_cast<double>(i) / static_cast<double>(program_.stages.size()));
      run_step(stage.steps[0], on_heap, pool);
    }
  }
}

void Arena::run(const RunPlan& plan, std::span<const TensorView> inputs, ThreadPool& pool,
                std::vector<Tensor>& outputs, const Progress& progress) {
  outputs.resize(program_.outputs.size());
  output_views_.assign(outputs.size(), {});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const SlotId id = program_.outputs[i].slot;
    if (!plan.is_target(id, i)) continue;
    const RunPlan::Slot& slot = plan.slot(id);
    const bool serves = outputs[i].dtype() == slot.type.dtype && outputs[i].shape() == slot.shape &&
                        outputs[i].unique() && outputs[i].dtype() != DType::string;
    if (!serves) outputs[i] = Tensor(slot.type.dtype, slot.shape);
    output_views_[i] = outputs[i].mutable_view();
  }
  run(plan, inputs, output_views_, pool, progress);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const SlotId id = program_.outputs[i].slot;
    if (plan.is_target(id, i)) continue;
    const Tensor& own = heap_[at(id.index)];
    outputs[i] = own.defined() ? own : Tensor::copy_of(view_of(id));
  }
}

void Arena::run_step(const Step& step, bool on_heap, ThreadPool& pool) {
  step_inputs_.clear();
  step_captures_.clear();
  step_outputs_.clear();
  for (const SlotId id : step.inputs) step_inputs_.push_back(id.valid() ? view(id) : TensorView{});
  for (const SlotId id : step.captures) step_captures_.push_back(view(id));
  try {
    if (on_heap) {
      const std::unique_ptr<bool[]> wanted(new bool[step.outputs.size()]);
      for (std::size_t i = 0; i < step.outputs.size(); ++i) wanted[i] = step.outputs[i].valid();
      auto tensors = evaluate(*step.op, step_inputs_, {wanted.get(), step.outputs.size()}, step_captures_);
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (!step.outputs[i].valid()) continue;
        check_planned(bound_->slot(step.outputs[i]).type, tensors[i].view());
        keep(step.outputs[i], std::move(tensors[i]));
      }
    } else {
      for (const SlotId id : step.outputs)
        step_outputs_.push_back(id.valid() ? target(id) : MutableTensorView{});
      if (step_outputs_.size() == 1 && run_in_parts(step, step_inputs_, step_outputs_[0], pool, part_inputs_))
        return;
      step.op->run({.inputs = step_inputs_,
                    .outputs = step_outputs_,
                    .captures = step_captures_,
                    .workspace = workspace(pool)});
    }
  } catch (const Error& error) {
    // The model itself has passed shape inference: where that looks again, the data are at fault.
    const bool by_data = on_heap && error.code() == ErrorCode::invalid_model;
    throw Error(by_data ? ErrorCode::invalid_input : error.code(), error.what()).within(step.where);
  }
}

void Arena::keep(SlotId id, Tensor tensor) {
  kept_.push_back(id);
  heap_[at(id.index)] = std::move(tensor);
  view(id) = heap_[at(id.index)].view();
}

void Arena::run_blocks(const Stage& stage, std::size_t number, bool on_heap, ThreadPool& pool,
                       const Progress& progress) {
  const RowBlocks& blocks = *stage.blocks;
  const std::int64_t rows = view(blocks.values[at(blocks.sources[0])].slot).shape[0];
  for (const auto source : blocks.sources) {
    const RowValue& value = blocks.values[at(source)];
    const TensorView& given = view(value.slot);
    const bool fits = given.dtype == value.dtype && given.shape.rank() == value.row.rank() + 1 &&
                      given.shape[0] == rows &&
                      std::equal(value.row.begin(), value.row.end(), given.shape.begin() + 1);
    if (!fits) {
      fail(ErrorCode::invalid_model, "{}: its input is {}{}, the model declares {} rows of {}{}",
           stage.steps[0].where, name_of(given.dtype), to_string(given.shape), rows, name_of(value.dtype),
           to_string(value.row));
    }
  }
  for (const auto result : blocks.results) {
    const RowValue& value = blocks.values[at(result)];
    if (!on_heap) continue;
    Shape shape = value.row;
    shape.insert(0, rows);
    Tensor tensor(value.dtype, shape);
    target(value.slot) = tensor.mutable_view();
    keep(value.slot, std::move(tensor));
  }
  RowCut cut(blocks, rows, pool.threads());
  BlockProgress told(progress, number, program_.stages.size(), cut.blocks(), stage.steps.size());
  const auto job = [&] { return BlockJob{this, &stage, number, cut, &pool, progress ? &told : nullptr}; };
  if (!cut.has_blocks_for_all(pool.threads())) {
    for (std::int64_t block = 0; block < cut.blocks(); ++block) job().run(block, 0, workspace(pool), &pool);
    return;
  }
  HeadStart& head_start = head_starts_[number];
  const std::int64_t most = cut.most_head_start(blocks, pool.threads());
  cut.give_head_start(std::min(head_start.rows(), most), pool.threads());
  const std::optional<bool> waited = pool.parallel_for(cut.blocks(), job());
  if (waited && most > 0) head_start.learn(*waited, most);
}

void Arena::run_block(const Stage& stage, std::size_t number, std::int64_t first_row, std::int64_t rows,
                      Worker& worker, const Workspace& workspace, const BlockProgress* progress,
                      ThreadPool* shared) {
  const RowBlocks& blocks = *stage.blocks;
  Worker::StageArgs& args = worker.stages[number];
  for (std::size_t i = 0; i < blocks.values.size(); ++i) {
    const RowValue& value = blocks.values[i];
    args.at[i] = worker.scratch.data() + value.offset;
    if (value.whole) {
      // Sources are only read: as `inputs` of a step, which are read-only views.
      auto* whole = const_cast<std::byte*>(static_cast<const std::byte*>(view(value.slot).bytes));
      args.at[i] = whole + static_cast<std::size_t>(first_row) * value.row_bytes;
    }
  }
  const auto point = [&](std::int32_t value, auto& arg) {
    if (value < 0) return;
    arg.bytes = args.at[at(value)];
    arg.shape[0] = rows;
  };
  for (std::size_t i = 0; i < args.inputs.size(); ++i) point(blocks.inputs[i], args.inputs[i]);
  for (std::size_t i = 0; i < args.outputs.size(); ++i) point(blocks.outputs[i], args.outputs[i]);
  const TensorView* inputs = args.inputs.data();
  MutableTensorView* outputs = args.outputs.data();
  for (std::size_t i = 0; i < stage.steps.size(); ++i) {
    const Step& step = stage.steps[i];
    if (progress != nullptr) progress->tell(i);
    try {
      const std::span step_inputs(inputs, step.inputs.size());
      const bool done = shared != nullptr && step.outputs.size() == 1 &&
                        run_in_parts(step, step_inputs, outputs[0], *shared, part_inputs_);
      if (!done)
        step.op->run(
            {.inputs = step_inputs, .outputs = {outputs, step.outputs.size()}, .workspace = workspace});
    } catch (const Error& error) {
      throw error.within(step.where);
    }
    inputs += step.inputs.size();
    outputs += step.outputs.size();
  }
}

void Arena::release() {
  for (const SlotId id : kept_) heap_[at(id.index)] = {};
  kept_.clear();
}

}  // namespace bnrun
