// Offsets for buffers that share memory when they are not needed at the same time.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace bnrun {

/// A buffer that exists from step `first` to step `last`, both included.
struct Lifetime {
  std::size_t bytes = 0;
  std::size_t first = 0;
  std::size_t last = 0;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  ///< in bytes, multiples of 64, one per lifetime
  std::size_t bytes = 0;             ///< all of it, a multiple of 64
};

/// Buffers that live at the same step do not overlap. The largest is
/// placed first, each in the smallest gap that holds it.
MemoryPlan plan_memory(std::span<const Lifetime> lifetimes);

}  // namespace bnrun
