// What this machine can do at best, measured: the limits that a model's speed is judged by.
#pragma once

#include <cstddef>
#include <string>

#include "bnrun/export.h"

namespace bnrun {

/// What `threads` threads reach together; the hardware's limits as far as this process may use it now.
struct MachineLimits {
  int threads = 1;
  /// Single-precision operations per second in registers, a fused multiply-add counting as two. Double precision
  /// reaches half. 0 on a kind of processor that the measurement does not know.
  double flops = 0.0;
  std::string vectors;            ///< the vectors that reach it: "AVX-512", "AVX2", "SSE2", "NEON"
  double bytes_per_second = 0.0;  ///< read from memory in order, beyond every cache
  std::size_t cache_bytes = 0;    ///< of the last-level cache
  std::size_t buffer_bytes = 0;   ///< what was read: eight times that, if so much memory was to be had
};

/// Takes a second or so and memory for the buffer, at most `most_bytes` (and at least 64 MiB: a buffer that fits into a
/// cache tells the speed of the cache). Throws resource_limit when memory does not suffice, invalid_input for less than
/// one thread.
BNRUN_API MachineLimits measure_limits(int threads = 1,
                                       std::size_t most_bytes = static_cast<std::size_t>(-1));

/// The kernels that OpenBLAS chose for this processor, such as "SkylakeX"; the environment may choose others. "none" in a
/// build without OpenBLAS.
BNRUN_API std::string blas_kernels();

/// What this library was built with, in one line or two: compiler, instruction sets with kernels of their own and which of
/// them runs here, whether matrix tiles do, BLAS.
BNRUN_API std::string build_description();

}  // namespace bnrun
