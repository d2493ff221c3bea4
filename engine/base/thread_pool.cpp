#include "base/thread_pool.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <new>
#include <system_error>

#include "base/cpus.h"
#include "base/temporary.h"

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

constexpr std::uint64_t packed(std::uint64_t next, std::uint64_t end) {
  return end << 32 | next;
}
constexpr std::int64_t next_of(std::uint64_t left) {
  return static_cast<std::int64_t>(left & 0xffffffff);
}
constexpr std::int64_t end_of(std::uint64_t left) {
  return static_cast<std::int64_t>(left >> 32);
}

}  // namespace

ThreadPool::ThreadPool(int threads, const StartThread& start)
    : looks_out_(threads <= usable_cpus()),
      shares_(std::make_unique<Share[]>(static_cast<std::size_t>(std::max(threads, 1)))) {
  if (threads <= 1) return;
  CPU_ZERO(&allowed_);
  if (::sched_getaffinity(0, sizeof allowed_, &allowed_) != 0)
    looks_out_ = false;  // more processors than a set holds
  const Reserve reserve;
  workers_.reserve(static_cast<std::size_t>(threads) - 1);  // so that a thread once started has its place
  try {
    for (int worker = 1; worker < threads; ++worker)
      workers_.push_back(start([this, worker] { serve(worker); }));
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
  for (int helper = 1; helper < threads(); ++helper) wake_up(share(helper));
  for (std::thread& worker : workers_) worker.join();
}

template <class Happened>
bool ThreadPool::sees(Happened&& happened) const {
  using Clock = std::chrono::steady_clock;
  constexpr int kLooks = 16;  // between two at the clock
  if (happened()) return true;
  if (!looks_out_) return false;
  const auto start = Clock::now();
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (happened()) return true;
      relax();
    }
  } while (Clock::now() - start < kLookOut);
  return false;
}

bool ThreadPool::has_work(const Share& share) {
  const std::uint64_t left = share.left;
  return next_of(left) < end_of(left);
}

void ThreadPool::wake_up(Share& share) {
  ++share.wake;
  share.wake.notify_one();
}

std::optional<bool> ThreadPool::run(std::int64_t count, Call call, const void* body) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (count <= 1 || workers_.empty() || count > kMost || busy_.exchange(true)) {
    for (std::int64_t index = 0; index < count; ++index) call(body, index, 0);
    return std::nullopt;
  }
  Failure failure;
  const std::int64_t parts = std::min<std::int64_t>(count, threads());
  const auto begin_of = [&](std::int64_t part) { return static_cast<std::uint64_t>(part * count / parts); };
  // before any helper finds something to do
  for (int helper = 1; helper < threads(); ++helper) share(helper).done.store(0, std::memory_order_relaxed);
  for (std::int64_t part = parts - 1; part >= 0; --part) {
    Share& its = share(part);
    its.call = call;
    its.body = body;
    its.failure = &failure;
    its.left = packed(begin_of(part), begin_of(part + 1));
  }
  const int here = looks_out_ ? ::sched_getcpu() : -1;
  for (std::int64_t helper = 1; helper < parts; ++helper) {
    const int asleep_on = share(helper).asleep_on;
    if (asleep_on < 0) continue;
    if (asleep_on == here) keep_off(here, helper);
    wake_up(share(helper));
  }
  const bool waited = wait_for_helpers(count - work(0));
  busy_ = false;
  if (failure.error) std::rethrow_exception(failure.error);
  return waited;
}

bool ThreadPool::wait_for_helpers(std::int64_t calls) {
  const auto all_done = [&] {
    std::int64_t done = 0;
    for (int helper = 1; helper < threads(); ++helper) done += share(helper).done;
    return done == calls;
  };
  if (all_done()) return false;
  while (!sees(all_done)) {
    const std::uint32_t seen = parts_done_;
    caller_sleeps_ = true;
    if (!all_done()) parts_done_.wait(seen);
    caller_sleeps_ = false;
  }
  return true;
}

void ThreadPool::keep_off(int processor, std::int64_t helper) {
  // A mask that is neither the pool's nor all but one of it is somebody else's, and stays.
  cpu_set_t now;
  cpu_set_t shared;
  const pthread_t thread = workers_[static_cast<std::size_t>(helper) - 1].native_handle();
  if (::pthread_getaffinity_np(thread, sizeof now, &now) != 0) return;
  CPU_AND(&shared, &now, &allowed_);
  if (CPU_EQUAL(&shared, &now) == 0 || CPU_COUNT(&now) + 1 < CPU_COUNT(&allowed_)) return;
  cpu_set_t others = allowed_;
  CPU_CLR(processor, &others);
  if (CPU_COUNT(&others) != 0) ::pthread_setaffinity_np(thread, sizeof others, &others);
}

std::int64_t ThreadPool::work(int worker) {
  std::int64_t done = 0;
  for (int i = 0; i < threads(); ++i) done += work_on(share((worker + i) % threads()), worker);
  return done;
}

std::int64_t ThreadPool::work_on(Share& share, int worker) {
  std::int64_t done = 0;
  while (has_work(share)) {
    const std::uint64_t left = share.left.fetch_add(1);
    const std::int64_t index = next_of(left);
    if (index >= end_of(left)) break;
    ++done;
    try {
      share.call(share.body, index, worker);
    } catch (...) {
      Failure& failure = *share.failure;
      {
        const std::lock_guard lock(failure.mutex);
        if (!failure.error || index < failure.index) {
          failure.error = std::current_exception();
          failure.index = index;
        }
      }
      for (int i = 0; i < threads(); ++i) {
        const std::uint64_t dropped = shares_[static_cast<std::size_t>(i)].left.exchange(0);
        done += std::max<std::int64_t>(0, end_of(dropped) - next_of(dropped));
      }
    }
  }
  return done;
}

void ThreadPool::report(Share& share, std::int64_t calls) {
  if (calls == 0) return;  // other threads were faster
  share.done.store(share.done.load(std::memory_order_relaxed) + calls);
  if (!caller_sleeps_) return;
  ++parts_done_;
  parts_done_.notify_one();
}

void ThreadPool::serve(int worker) {
  TemporaryMemory temporary;
  const TemporaryMemory::Loan loan(temporary);
  Share& own = share(worker);
  for (;;) {
    if (!sees([&] { return has_work(own); })) {
      const std::uint32_t seen = own.wake;
      own.asleep_on = std::max(0, ::sched_getcpu());  // below 0 it would seem to be awake
      if (!has_work(own) && !stop_) own.wake.wait(seen);
      own.asleep_on = -1;
      if (stop_) return;
      continue;
    }
    // The other shares lie in the caches of others: the caller is not to wait until they have been looked at.
    const std::int64_t part = work_on(own, worker);
    report(own, part);
    report(own, work(worker));
  }
}

}  // namespace bnrun
