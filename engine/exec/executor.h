// Executor: a program with the threads and arenas it runs in.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "bnrun/tensor.h"
#include "exec/arena.h"
#include "op/value_type.h"
#include "program/program.h"

namespace bnrun {

/// `run` is const and may be called from any number of threads at once: each call takes an arena from a pool.
/// Inputs and outputs lie in the program's order; an undefined input keeps its default.
class Executor {
 public:
  /// `pool` shares a run, the caller's thread among it. Other executors may use it too.
  Executor(Program program, std::shared_ptr<ThreadPool> pool);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const Program& program() const { return program_; }
  /// Those asked for, or fewer where the system gave no more.
  int threads() const { return pool_->threads(); }
  const std::shared_ptr<ThreadPool>& pool() const { return pool_; }

  /// Freshly allocated outputs. Throws invalid_input when the inputs do not fit. `progress`: see RunOptions.
  std::vector<Tensor> run(std::span<const TensorView> inputs, const Progress& progress = {}) const;
  /// The same into tensors of an earlier run where their types and shapes are those of this one and nobody else
  /// holds them. No input may show one of them.
  void run(std::span<const TensorView> inputs, std::vector<Tensor>& outputs,
           const Progress& progress = {}) const;
  /// Between the caller's buffers; see Session::run. Throws invalid_input before anything is written.
  void run(std::span<const TensorView> inputs, std::span<const MutableTensorView> outputs,
           const Progress& progress = {}) const;
  /// Types of the outputs for inputs of these types and shapes. Throws unsupported where one depends on data.
  std::vector<ValueType> output_types(std::span<const TensorView> inputs) const;

 private:
  class Lease;

  std::unique_ptr<Arena> take() const;
  void give_back(std::unique_ptr<Arena> arena) const;

  Program program_;
  std::shared_ptr<ThreadPool> pool_;
  mutable std::atomic<Arena*> ready_{nullptr};  ///< owned: the idle arena that is taken without a lock
  mutable std::mutex mutex_;                    ///< guards idle_ and arenas_
  mutable std::vector<std::unique_ptr<Arena>> idle_;
  mutable std::size_t arenas_ = 0;
};

}  // namespace bnrun
