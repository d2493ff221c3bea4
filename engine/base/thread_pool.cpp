#include "base/thread_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <system_error>

namespace bnrun {
namespace {

/// Address space that is left when a limit on it ends the starting of threads, each of which takes a stack of
/// megabytes: the loops want some too. Smaller than what malloc takes at once for a new thread.
class Reserve {
 public:
  Reserve() : at_(::mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  ~Reserve() {
    if (at_ != MAP_FAILED) ::munmap(at_, kBytes);
  }
  Reserve(const Reserve&) = delete;
  Reserve& operator=(const Reserve&) = delete;

 private:
  static constexpr std::size_t kBytes = std::size_t{48} << 20;
  void* at_;
};

}  // namespace

ThreadPool::ThreadPool(int threads, const StartThread& start) {
  if (threads <= 1) return;
  const Reserve reserve;
  try {
    for (int worker = 1; worker < threads; ++worker) {
      workers_.reserve(workers_.size() + 1);  // so that a thread once started has its place
      workers_.push_back(start([this, worker] { serve(worker); }));
    }
  } catch (const std::system_error&) {  // a limit on threads, or no memory for one more stack
  } catch (const std::bad_alloc&) {
  } catch (...) {
    stop();  // the destructor of a pool that never was will not join them
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
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
