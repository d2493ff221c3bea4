// What several threads reach at once: multiply-adds in registers, bytes read from memory.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/fail.h"
#include "bnrun/machine.h"
#include "kernels/limits/fma.h"

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

/// Memory of the process's own with large pages where there are some, so that address translation costs little.
class Pages {
 public:
  explicit Pages(std::size_t bytes)
      : bytes_(bytes),
        at_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (at_ == MAP_FAILED) fail(ErrorCode::resource_limit, "no memory for a buffer of {} bytes", bytes);
    ::madvise(at_, bytes, MADV_HUGEPAGE);
  }
  ~Pages() { ::munmap(at_, bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::uint64_t* words() const { return static_cast<std::uint64_t*>(at_); }
  std::size_t count() const { return bytes_ / sizeof(std::uint64_t); }

 private:
  std::size_t bytes_;
  void* at_;
};

/// Several sums, so that none waits for another.
std::uint64_t sum(const std::uint64_t* words, std::size_t count) {
  constexpr std::size_t kSums = 16;
  std::uint64_t sums[kSums] = {};
  for (std::size_t i = 0; i + kSums <= count; i += kSums)
    for (std::size_t k = 0; k < kSums; ++k) sums[k] += words[i + k];
  std::uint64_t total = 0;
  for (const std::uint64_t part : sums) total += part;
  return total;
}

double measure_reading(const Pages& pages, int threads) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;  // words: what is read between two looks at the clock
  const std::size_t share = pages.count() / static_cast<std::size_t>(threads);
  std::vector<std::size_t> positions(static_cast<std::size_t>(threads), 0);
  std::atomic<std::uint64_t> sink{0};
  // Each round goes on where the last one ended, so that nothing read is still in a cache.
  return best_rate(threads, 0.1, [&](int thread) {
    std::size_t& at = positions[static_cast<std::size_t>(thread)];
    const std::size_t piece = std::min(kPiece, share - at);
    const std::uint64_t* words = pages.words() + static_cast<std::size_t>(thread) * share + at;
    sink.fetch_add(sum(words, piece), std::memory_order_relaxed);
    at = at + piece < share ? at + piece : 0;
    return static_cast<double>(piece * sizeof(std::uint64_t));
  });
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
  const Pages pages(limits.buffer_bytes);
  // Pages that nobody has written are all one page of zeros, which stays in the cache.
  std::fill_n(pages.words(), pages.count(), std::uint64_t{1});
  limits.bytes_per_second = measure_reading(pages, threads);
  return limits;
}

}  // namespace bnrun
