// Where the time of a run goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bnrun {

/// One step of a compiled model: operators that one kernel computes together.
struct StepProfile {
  std::string where;       ///< "node 'dense_1' (Gemm) + Relu"
  std::string kernel;      ///< "dense, packed", "dense, BLAS", "affine map"; "operator": as the graph has it
  double seconds = 0.0;    ///< of all its calls, on whatever thread; of a call that threads share, once for each
  std::int64_t calls = 0;  ///< a step that works row by row has one for each block of rows
  /// Two for each multiply-accumulate of matrix products and convolutions; absent where their number is unknown.
  std::optional<std::int64_t> flops;
  /// Read and written, every input, output and constant once a call: what must move at least.
  std::int64_t bytes = 0;
};

/// One call of a step.
struct StepCall {
  std::size_t step = 0;  ///< index into Profile::steps
  int thread = 0;        ///< 0 is the caller's
  double start = 0.0;    ///< seconds from the beginning of the run
  double seconds = 0.0;
  int threads = 1;  ///< that the call can have to itself
};

/// One run. What a step holds within it (the body of a Loop) counts as that step.
struct Profile {
  double seconds = 0.0;  ///< of the run as it always is; looking at the clock between steps adds to their sum
  int threads = 1;
  std::vector<StepProfile> steps;  ///< in the order in which they run first
  std::vector<StepCall> calls;     ///< in the order in which they ended
};

}  // namespace bnrun
