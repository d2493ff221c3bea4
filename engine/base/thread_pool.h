// Threads that share one loop. Between loops they look out for the next one for a moment, then sleep.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"

namespace bnrun {

class ThreadPool {
 public:
  /// Starts a thread that runs `body`; throws std::system_error where the system has none to give.
  using StartThread = std::function<std::thread(std::function<void()> body)>;

  /// `threads` counts the calling thread, which takes part in its loops. Where the system gives fewer, those it
  /// gave are kept: `threads()` tells. Where there are more threads than processors, idle ones sleep at once. Tests
  /// start threads in their own way.
  explicit ThreadPool(int threads, const StartThread& start = start_thread);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(index, worker) once for each index in [0, count), in any order; worker in [0, threads()) is
  /// the caller's own number 0 or that of one helper. Each begins with the same part of the indices in every loop of so
  /// many, so that it finds in its caches what it left there, and then helps the others. Returns when all calls have.
  /// When calls throw, the rest may be left out and the exception of the lowest index that threw is rethrown. Allocates
  /// nothing. A loop that finds the pool busy with another caller's runs on its own thread alone, and so does one of
  /// 2^31 indices or more: nullopt. Else whether the caller found nothing left to do and had to wait for a helper.
  template <class F>
  std::optional<bool> parallel_for(std::int64_t count, F&& body) {
    using Body = std::remove_reference_t<F>;
    return run(
        count,
        [](const void* context, std::int64_t index, int worker) {
          (*static_cast<Body*>(const_cast<void*>(context)))(index, worker);
        },
        &body);
  }

 private:
  using Call = void (*)(const void* body, std::int64_t index, int worker);
  struct Failure {
    std::mutex mutex{};
    std::exception_ptr error{};
    std::int64_t index = 0;
  };
  /// What one thread begins with, and how it is woken: all of it in one cache line, which the caller hands over.
  /// Whoever takes an index from `left` then finds the loop that it belongs to, since no loop ends before all calls have.
  struct alignas(kCacheLine) Share {
    std::atomic<std::uint64_t> left{0};  ///< the next index, and in the upper half the end
    Call call = nullptr;
    const void* body = nullptr;
    Failure* failure = nullptr;
    std::atomic<std::int64_t> done{0};   ///< calls that this thread has made in this loop, or left out
    std::atomic<std::uint32_t> wake{0};  ///< counts up
    std::atomic<int> asleep_on{-1};      ///< the processor where the thread sleeps
  };

  static std::thread start_thread(std::function<void()> body) { return std::thread(std::move(body)); }
  void stop();
  std::optional<bool> run(std::int64_t count, Call call, const void* body);
  /// Makes calls of all shares, beginning with that of `worker`; returns how many, those left out after a failure among
  /// them.
  std::int64_t work(int worker);
  std::int64_t work_on(Share& share, int worker);
  /// Of a helper to the caller: that it has made so many calls.
  void report(Share& share, std::int64_t calls);
  void serve(int worker);
  /// Whether it had to wait for those that made so many calls.
  bool wait_for_helpers(std::int64_t calls);

  Share& share(std::int64_t thread) { return shares_[static_cast<std::size_t>(thread)]; }
  static bool has_work(const Share& share);
  void wake_up(Share& share);
  /// A thread that sleeps where the caller runs is to wake up elsewhere. Linux wakes a thread where it ran last and on
  /// machines of few processors does not look for an idle one (SIS_UTIL), so that it would wait for the caller.
  void keep_off(int processor, std::int64_t helper);
  /// Looks for a moment whether `happened` does.
  template <class Happened>
  bool sees(Happened&& happened) const;

  cpu_set_t allowed_{};              ///< the processors of the thread that made the pool
  bool looks_out_;                   ///< before it sleeps
  std::unique_ptr<Share[]> shares_;  ///< one for each thread
  std::vector<std::thread> workers_;
  // Helpers look at what is above and below: not in the line that the caller writes for each loop.
  alignas(kCacheLine) std::atomic<bool> busy_{false};  ///< a loop is running on the pool
  alignas(kCacheLine) std::atomic<bool> stop_{false};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<std::uint32_t> parts_done_{0};  ///< counts up while the caller sleeps
};

}  // namespace bnrun
