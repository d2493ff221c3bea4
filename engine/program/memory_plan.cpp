#include "program/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/aligned_buffer.h"
#include "base/numbers.h"

namespace bnrun {
namespace {

bool meet(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

}  // namespace

MemoryPlan plan_memory(std::span<const Lifetime> lifetimes) {
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });

  MemoryPlan plan{std::vector<std::size_t>(lifetimes.size(), 0), 0};
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t i : order) {
    const std::size_t bytes = rounded_up(lifetimes[i].bytes, kCacheLine);
    std::size_t best = std::numeric_limits<std::size_t>::max();
    std::size_t best_gap = std::numeric_limits<std::size_t>::max();
    std::size_t end = 0;  // of the buffers alive at the same time that have been passed
    for (const std::size_t other : placed) {
      if (!meet(lifetimes[i], lifetimes[other])) continue;
      const std::size_t start = plan.offsets[other];
      if (start >= end + bytes && start - end < best_gap) {
        best = end;
        best_gap = start - end;
      }
      end = std::max(end, start + rounded_up(lifetimes[other].bytes, kCacheLine));
    }
    plan.offsets[i] = best_gap == std::numeric_limits<std::size_t>::max() ? end : best;
    plan.bytes = std::max(plan.bytes, plan.offsets[i] + bytes);
    const auto position =
        std::upper_bound(placed.begin(), placed.end(), i,
                         [&](std::size_t a, std::size_t b) { return plan.offsets[a] < plan.offsets[b]; });
    placed.insert(position, i);
  }
  return plan;
}

}  // namespace bnrun
