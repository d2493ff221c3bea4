#include "base/thread_pool.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <new>
#include <system_error>

#include "base/cpus.h"

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

/// Waking a thread that sleeps takes some 50 microseconds: one looks out for work for twice that time, which covers
/// the gaps between the steps of a run and between runs that follow each other.
constexpr std::chrono::microseconds kLookOut{100};

/// Tells the processor that the thread only waits.
void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads, const StartThread& start) : looks_out_(threads <= usable_cpus()) {
  if (threads <= 1) return;
  CPU_ZERO(&allowed_);
  if (::sched_getaffinity(0, sizeof allowed_, &allowed_) != 0)
    looks_out_ = false;  // more processors than a set holds
  const Reserve reserve;
  asleep_on_ = std::make_unique<std::atomic<int>[]>(static_cast<std::size_t>(threads) - 1);
  for (int i = 0; i + 1 < threads; ++i) asleep_on_[static_cast<std::size_t>(i)] = -1;
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
  stop_ = true;
  ++round_;
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::sees_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) const {
  using Clock = std::chrono::steady_clock;
  constexpr int kLooks = 16;  // between two at the clock
  if (looks_out_) {
    const auto start = Clock::now();
    do {
      for (int i = 0; i < kLooks; ++i) {
        if (value.load() != old) return true;
        relax();
      }
    } while (Clock::now() - start < kLookOut);
  }
  return false;
}

void ThreadPool::run(std::int64_t count, Call call, const void* body) {
  if (count <= 1 || workers_.empty() || busy_.exchange(true)) {
    for (std::int64_t index = 0; index < count; ++index) call(body, index, 0);
    return;
  }
  Loop loop{call, body, count};
  loop_ = &loop;
  if (looks_out_) keep_off_the_caller();
  ++round_;
  const auto helpers = std::min<std::int64_t>(count - 1, static_cast<std::int64_t>(workers_.size()));
  for (std::int64_t i = 0; i < helpers; ++i) round_.notify_one();
  work(loop, 0);
  loop_ = nullptr;  // threads that have not woken up yet find nothing to do
  while (const std::uint32_t helping = helping_) {
    if (!sees_change(helping_, helping)) helping_.wait(helping);
  }
  busy_ = false;
  if (loop.error) std::rethrow_exception(loop.error);
}

void ThreadPool::keep_off_the_caller() {
  const int here = ::sched_getcpu();
  for (std::size_t i = 0; i < workers_.size() && here >= 0; ++i) {
    if (asleep_on_[i].load(std::memory_order_relaxed) != here) continue;
    // A mask that is neither the pool's nor all but one of it is somebody else's, and stays.
    cpu_set_t now;
    cpu_set_t shared;
    const pthread_t thread = workers_[i].native_handle();
    if (::pthread_getaffinity_np(thread, sizeof now, &now) != 0) continue;
    CPU_AND(&shared, &now, &allowed_);
    if (CPU_EQUAL(&shared, &now) == 0 || CPU_COUNT(&now) + 1 < CPU_COUNT(&allowed_)) continue;
    cpu_set_t others = allowed_;
    CPU_CLR(here, &others);
    if (CPU_COUNT(&others) != 0) ::pthread_setaffinity_np(thread, sizeof others, &others);
  }
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
  std::atomic<int>& asleep_on = asleep_on_[static_cast<std::size_t>(worker) - 1];
  for (std::uint32_t seen = 0;;) {
    if (!sees_change(round_, seen)) {
      asleep_on.store(::sched_getcpu(), std::memory_order_relaxed);
      round_.wait(seen);
      asleep_on.store(-1, std::memory_order_relaxed);
    }
    seen = round_;
    if (stop_) return;
    ++helping_;
    if (Loop* const loop = loop_; loop != nullptr) work(*loop, worker);
    --helping_;
    helping_.notify_one();
  }
}

}  // namespace bnrun
