// Loops over parts of a whole that depend on its size alone, so that no result depends on how many threads
// share them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/thread_pool.h"

namespace bnrun::train {

/// How many parts `count` things are cut into that cost `work` elementary operations together: 1 where threads
/// would cost more than they bring.
inline std::int64_t parts_of(std::int64_t count, std::int64_t work) {
  constexpr std::int64_t kWorthIt = 1 << 20;
  constexpr std::int64_t kParts = 8;
  return work < kWorthIt ? 1 : std::min(count, kParts);
}

/// body(part, first, count, worker) for each part of [0, total); on the calling thread alone without a pool. The
/// worker is below that of `threads_of`.
template <class F>
void each_part(ThreadPool* pool, std::int64_t total, std::int64_t parts, F body) {
  const auto run = [&](std::int64_t part, int worker) {
    const std::int64_t first = part * total / parts;
    body(part, first, (part + 1) * total / parts - first, worker);
  };
  if (pool != nullptr && parts > 1) {
    pool->parallel_for(parts, run);
  } else {
    for (std::int64_t part = 0; part < parts; ++part) run(part, 0);
  }
}

inline int threads_of(const ThreadPool* pool) {
  return pool == nullptr ? 1 : pool->threads();
}

}  // namespace bnrun::train
