#include "base/thread_pool.h"

#include <algorithm>

namespace bnrun {

ThreadPool::ThreadPool(int threads) {
  for (int worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { serve(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::int64_t count, Call call, const void* body) {
  Loop loop{call, body, count};
  const bool shared = count > 1 && !workers_.empty() && !busy_.exchange(true);
  if (shared) {
    {
      const std::lock_guard lock(mutex_);
      loop_ = &loop;
      ++round_;
    }
    const auto helpers = std::min<std::int64_t>(count - 1, static_cast<std::int64_t>(workers_.size()));
    for (std::int64_t i = 0; i < helpers; ++i) wake_.notify_one();
  }
  work(loop, 0);
  if (shared) {
    std::unique_lock lock(mutex_);
    loop_ = nullptr;  // threads that have not woken up yet find nothing to do
    done_.wait(lock, [this] { return helping_ == 0; });
    busy_ = false;
  }
  if (loop.error) std::rethrow_exception(loop.error);
}

void ThreadPool::work(Loop& loop, int worker) {
  for (;;) {
    const std::int64_t index = loop.next.fetch_add(1, std::memory_order_relaxed);
    if (index >= loop.count) return;
    try {
      loop.call(loop.body, index, worker);
    } catch (...) {
      loop.next.store(loop.count, std::memory_order_relaxed);
      const std::lock_guard lock(loop.mutex);
      if (!loop.error || index < loop.failed_at) {
        loop.error = std::current_exception();
        loop.failed_at = index;
      }
    }
  }
}

void ThreadPool::serve(int worker) {
  std::uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || (loop_ != nullptr && round_ != seen); });
    if (stop_) return;
    seen = round_;
    Loop& loop = *loop_;
    ++helping_;
    lock.unlock();
    work(loop, worker);
    lock.lock();
    if (--helping_ == 0) done_.notify_all();
  }
}

}  // namespace bnrun
