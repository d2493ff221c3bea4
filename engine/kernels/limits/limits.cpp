// What several threads reach at once: multiply-adds in registers, bytes read from memory.
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/fail.h"
#include "bnrun/machine.h"
#include "kernels/limits/fma.h"
#include "kernels/limits/reading.h"

namespace bnrun {
namespace {

/// Seconds for which the calling thread has had a processor: what others take is no limit of the machine.
double own_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Work per second that threads together do. Each calls `work(thread)`, which returns how much it was, again and again
/// for `seconds`; the best of a few rounds counts.
template <class Work>
double best_rate(int threads, double seconds, Work&& work) {
  constexpr int kRounds = 5;
  double best = 0.0;
  for (int round = 0; round < kRounds; ++round) {
    std::barrier start(threads);
    std::vector<double> rates(static_cast<std::size_t>(threads));
    const auto body = [&](int thread) {
      start.arrive_and_wait();
      const double begin = own_seconds();
      double done = 0.0;
      double elapsed = 0.0;
      do {
        done += work(thread);
        elapsed = own_seconds() - begin;
      } while (elapsed < seconds);
      rates[static_cast<std::size_t>(thread)] = done / elapsed;
    };
    std::vector<std::jthread> others;
    for (int thread = 1; thread < threads; ++thread) others.emplace_back(body, thread);
    body(0);
    others.clear();
    double total = 0.0;
    for (const double rate : rates) total += rate;
    best = std::max(best, total);
  }
  return best;
}

/// The largest cache of the first processor. The C library may tell what all caches of a level add up to, of which one
/// processor has its own part.
std::size_t last_level_cache_bytes() {
  constexpr std::size_t kUsual = std::size_t{32} << 20;
  std::size_t kibibytes = 0;
  for (int index = 0;; ++index) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");
    std::size_t size = 0;
    if (char unit = 0; !(file >> size >> unit) || unit != 'K') break;
    kibibytes = std::max(kibibytes, size);
  }
  if (kibibytes > 0) return kibibytes << 10;
  long largest = 0;
  for (const int level : {_SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL4_CACHE_SIZE})
    largest = std::max(largest, ::sysconf(level));
  return largest > 0 ? static_cast<std::size_t>(largest) : kUsual;
}

/// What can be had without swapping; the largest number where the system does not tell.
std::size_t free_memory_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::size_t kibibytes = 0;
  for (std::string unit; file >> key >> kibibytes; std::getline(file, unit)) {
    if (key == "MemAvailable:") return kibibytes << 10;
  }
  return static_cast<std::size_t>(-1);
}

}  // namespace

MachineLimits measure_limits(int threads, std::size_t most_bytes) {
  if (threads < 1) fail(ErrorCode::invalid_input, "the limits of {} threads cannot be measured", threads);
  MachineLimits limits{.threads = threads, .cache_bytes = last_level_cache_bytes()};
  if (const FmaLoop loop = widest_fma_loop(); loop.run != nullptr) {
    limits.vectors = loop.vectors;
    limits.flops = best_rate(threads, 0.02, [&](int) {
      loop.run();
      return loop.flops;
    });
  }
  constexpr std::size_t kLeast = std::size_t{64} << 20;
  limits.buffer_bytes =
      std::max(kLeast, std::min({8 * limits.cache_bytes, free_memory_bytes() / 2, most_bytes}));
  Reading reading(limits.buffer_bytes, threads);
  limits.bytes_per_second = best_rate(threads, 0.1, [&](int thread) { return reading.read(thread); });
  return limits;
}

}  // namespace bnrun
