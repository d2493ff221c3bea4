// Threads and scratch memory lent to one step of a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/thread_pool.h"

namespace bnrun {

/// Borrowed for the time of one call; by default there is the calling thread and no memory.
class Workspace {
 public:
  Workspace() = default;
  /// `bytes` of scratch memory, at a multiple of 64, for each thread of the pool: they lie one behind the other. No
  /// pool: the calling thread alone.
  Workspace(ThreadPool* pool, std::byte* scratch, std::size_t bytes)
      : pool_(pool), scratch_(scratch), bytes_(bytes) {}

  /// The same threads with other memory.
  Workspace with_scratch(std::byte* scratch, std::size_t bytes) const { return {pool_, scratch, bytes}; }

  /// One thread of the pool alone, with its memory.
  Workspace of_thread(int worker) const {
    return {nullptr, scratch_ + static_cast<std::size_t>(worker) * bytes_, bytes_};
  }

  int threads() const { return pool_ != nullptr ? pool_->threads() : 1; }
  std::size_t scratch_bytes() const { return bytes_; }

  /// body(index, scratch of the thread that calls it) for each index in [0, count), in any order.
  template <class F>
  void parallel_for(std::int64_t count, F&& body) const {
    if (pool_ == nullptr || count < 2) {
      for (std::int64_t i = 0; i < count; ++i) body(i, scratch_);
      return;
    }
    pool_->parallel_for(count, [&](std::int64_t i, int worker) {
      body(i, scratch_ + static_cast<std::size_t>(worker) * bytes_);
    });
  }

 private:
  ThreadPool* pool_ = nullptr;
  std::byte* scratch_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace bnrun
