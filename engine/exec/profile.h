// A program run with a clock between its steps.
#pragma once

#include <span>

#include "bnrun/profile.h"
#include "bnrun/tensor.h"
#include "exec/executor.h"

namespace bnrun {

/// Runs a copy of the program whose operators look at the clock, which leaves the program and its runs as they are.
/// Of `runs` runs after those that warm up, the quickest. Throws as Executor::run does.
Profile profile(const Executor& executor, std::span<const TensorView> inputs, int runs);

}  // namespace bnrun
