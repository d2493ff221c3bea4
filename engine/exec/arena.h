// Arena: the memory and the bookkeeping of one run of a program. One run at a time uses it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/temporary.h"
#include "base/thread_pool.h"
#include "bnrun/tensor.h"
#include "exec/parts.h"
#include "exec/row_cut.h"
#include "exec/run_plan.h"
#include "op/op.h"
#include "program/program.h"

namespace bnrun {

/// See RunOptions::progress; may be empty.
using Progress = std::function<void(double done)>;

class Arena {
 public:
  /// `program` outlives the arena; `workers` threads may take part in a run.
  Arena(const Program& program, int workers);

  /// Checks the inputs and plans the run, unless one of the last few runs had inputs of the same types and
  /// shapes. Valid until the next call.
  const RunPlan& prepare(std::span<const TensorView> inputs);

  /// Runs what `prepare` planned for these inputs. outputs[i] is where output i goes if its place is
  /// Place::output; where another output i lies, `view_of` tells afterwards.
  void run(const RunPlan& plan, std::span<const TensorView> inputs,
           std::span<const MutableTensorView> outputs, ThreadPool& pool, const Progress& progress);
  /// The same into tensors. Those of an earlier run among `outputs` are written over where they fit and nobody
  /// else holds them.
  void run(const RunPlan& plan, std::span<const TensorView> inputs, ThreadPool& pool,
           std::vector<Tensor>& outputs, const Progress& progress);

  /// An output of the run that has just ended, wherever it lies.
  const TensorView& view_of(SlotId id) const { return views_[static_cast<std::size_t>(id.index)]; }
  /// Forgets tensors that the last run allocated.
  void release();

 private:
  /// One thread's part: scratch memory, and the arguments of all steps of all row-wise stages laid out once.
  struct Worker {
    struct StageArgs {
      OwnLines<TensorView> inputs;
      OwnLines<MutableTensorView> outputs;
      OwnLines<std::byte*> at;  ///< first row of the block, by RowBlocks::values
    };
    AlignedBuffer<std::byte> scratch;
    std::vector<StageArgs> stages;
  };

  class BlockProgress;
  struct BlockJob;

  void reserve_scratch(const RunPlan& plan);
  void bind(const RunPlan& plan);
  void run_step(const Step& step, bool on_heap, ThreadPool& pool);
  void run_blocks(const Stage& stage, std::size_t number, bool on_heap, ThreadPool& pool,
                  const Progress& progress);
  void run_block(const Stage& stage, std::size_t number, std::int64_t first_row, std::int64_t rows,
                 Worker& worker, const Workspace& workspace, const BlockProgress* progress,
                 ThreadPool* shared);
  Workspace workspace(ThreadPool& pool) const { return {&pool, step_scratch_.data(), step_scratch_bytes_}; }
  void keep(SlotId id, Tensor tensor);

  TensorView& view(SlotId id) { return views_[static_cast<std::size_t>(id.index)]; }
  MutableTensorView& target(SlotId id) { return targets_[static_cast<std::size_t>(id.index)]; }

  const Program& program_;
  std::vector<Worker> workers_;
  std::vector<std::unique_ptr<RunPlan>> plans_;  ///< the most recently used first
  const RunPlan* bound_ = nullptr;               ///< the plan that views_ and targets_ are made for
  AlignedBuffer<std::byte> memory_;
  TemporaryMemory temporary_;               ///< of the caller's thread
  AlignedBuffer<std::byte> step_scratch_;   ///< of all threads
  std::size_t step_scratch_bytes_ = 0;      ///< of one
  std::vector<TensorView> views_;           ///< by slot: what steps read
  std::vector<MutableTensorView> targets_;  ///< by slot: where steps write
  std::vector<Tensor> heap_;                ///< by slot: what this run has allocated
  std::vector<SlotId> kept_;                ///< the slots of what heap_ holds
  std::vector<TensorView> step_inputs_;     ///< arguments of the step that is being run
  std::vector<TensorView> step_captures_;
  OwnLines<HeadStart> head_starts_;      ///< by stage; not in a line that helpers read
  std::vector<PartInputs> part_inputs_;  ///< of each thread, for steps that are run in parts
  std::vector<MutableTensorView> step_outputs_;
  std::vector<MutableTensorView> output_views_;  ///< where this run's outputs go
};

}  // namespace bnrun
