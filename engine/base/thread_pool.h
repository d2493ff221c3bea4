// Threads that share one loop. Between loops they look out for the next one for a moment, then sleep.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

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
  /// the caller's own number 0 or that of one helper. Returns when all calls have. When calls throw, the rest
  /// may be left out and the exception of the lowest index that threw is rethrown. Allocates nothing. A loop
  /// that finds the pool busy with another caller's runs on its own thread alone.
  template <class F>
  void parallel_for(std::int64_t count, F&& body) {
    using Body = std::remove_reference_t<F>;
    run(
        count,
        [](const void* context, std::int64_t index, int worker) {
          (*static_cast<Body*>(const_cast<void*>(context)))(index, worker);
        },
        &body);
  }

 private:
  using Call = void (*)(const void* body, std::int64_t index, int worker);
  struct Loop {
    Call call;
    const void* body;
    std::int64_t count;
    std::atomic<std::int64_t> next{0};
    std::mutex mutex{};
    std::exception_ptr error{};
    std::int64_t failed_at = 0;
  };

  static std::thread start_thread(std::function<void()> body) { return std::thread(std::move(body)); }
  void stop();
  void run(std::int64_t count, Call call, const void* body);
  static void work(Loop& loop, int worker);
  void serve(int worker);

  /// Threads that sleep where the caller runs are to wake up elsewhere. Linux wakes a thread where it ran last and on
  /// machines of few processors does not look for an idle one (SIS_UTIL), so that it would wait for the caller.
  void keep_off_the_caller();
  /// Looks for a moment whether `value` changes from `old`.
  bool sees_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) const;

  cpu_set_t allowed_{};            ///< the processors of the thread that made the pool
  bool looks_out_;                 ///< before it sleeps
  std::atomic<bool> busy_{false};  ///< a loop is running on the pool
  std::atomic<bool> stop_{false};
  /// The loop to help with. It lives on its caller's stack: a thread first enters itself into `helping_` and then
  /// looks for it; the caller first takes it away and then waits until nobody is entered any more.
  std::atomic<Loop*> loop_{nullptr};
  std::atomic<std::uint32_t> round_{0};  ///< counts loops; idle threads wait for the next
  std::atomic<std::uint32_t> helping_{0};
  std::vector<std::thread> workers_;
  std::unique_ptr<std::atomic<int>[]> asleep_on_;  ///< the processor where each of them sleeps, or -1
};

}  // namespace bnrun
