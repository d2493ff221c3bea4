// One step on several threads, each of which computes a part of its output.
#pragma once

#include <span>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "bnrun/tensor.h"
#include "program/program.h"

namespace bnrun {

/// Inputs of the part that a thread of the pool is working on.
struct alignas(kCacheLine) PartInputs {
  OwnLines<TensorView> views;
};

/// Runs a step that has a single output on all threads of the pool, if its operator works in parts and the output is
/// large enough to be worth that; otherwise returns false and does nothing. `of_threads` has one for each thread, with
/// room for all inputs.
bool run_in_parts(const Step& step, std::span<const TensorView> inputs, const MutableTensorView& output,
                  ThreadPool& pool, std::span<PartInputs> of_threads);

}  // namespace bnrun
