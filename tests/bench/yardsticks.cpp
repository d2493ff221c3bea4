#include "yardsticks.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "common/turns.h"

namespace bnrun::testing {
namespace {

#if defined(__x86_64__)
constexpr bool kAddsIntegers = true;
#else
constexpr bool kAddsIntegers = false;
#endif

/// As many additions at once as any processor begins; nothing where it is not known how to ask for that.
void add_integers() {
#if defined(__x86_64__)
  std::int64_t rounds = 10000;
  std::int64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
  asm volatile(
      "1:\n"
      "add %[n], %[a]\nadd %[n], %[b]\nadd %[n], %[c]\nadd %[n], %[d]\n"
      "add %[n], %[e]\nadd %[n], %[f]\nadd %[n], %[g]\nadd %[n], %[h]\n"
      "dec %[n]\n"
      "jnz 1b\n"
      : [n] "+r"(rounds), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [e] "+r"(e), [f] "+r"(f),
        [g] "+r"(g), [h] "+r"(h)
      :
      : "cc");
#endif
}

/// Two threads that write to one place in turn.
class Passing {
 public:
  /// Takes and gives the turn of `side`, 0 or 1, some times; both sides are to call this.
  void pass(int side) {
    for (int i = 0; i < kTimes; ++i) {
      while (turn_.load(std::memory_order_acquire) != side) {
      }
      turn_.store(1 - side, std::memory_order_release);
    }
  }

 private:
  static constexpr int kTimes = 200;
  alignas(kCacheLine) std::atomic<int> turn_{0};
};

/// Seconds of each, the least of a few rounds.
struct Times {
  double multiply_adds = std::numeric_limits<double>::infinity();
  double additions = std::numeric_limits<double>::infinity();
  double passing = std::numeric_limits<double>::infinity();

  double ratio() const { return additions / multiply_adds; }
};

template <class Meet, class Pass>
Times least_times(const FmaLoop& fma, const Meet& meet, const Pass& pass) {
  constexpr int kRounds = 5;
  const auto seconds_of = [](const auto& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  Times least;
  for (int round = 0; round < kRounds; ++round) {
    meet();
    least.multiply_adds = std::min(least.multiply_adds, seconds_of(fma.run));
    least.additions = std::min(least.additions, seconds_of(add_integers));
    least.passing = std::min(least.passing, seconds_of(pass));
  }
  return least;
}

}  // namespace

Yardsticks::Yardsticks(int threads) : threads_(threads), pool_(threads) {
  constexpr int kEnough = 30;
  for (int i = 0; i < kEnough; ++i) undisturbed();
}

void Yardsticks::read(std::size_t buffer_bytes) {
  if (!reading_) reading_.emplace(buffer_bytes, threads_);
  std::vector<double> bytes(static_cast<std::size_t>(threads_));
  pool_.parallel_for(threads_, [&](std::int64_t part, int) {
    bytes[static_cast<std::size_t>(part)] = reading_->read(static_cast<int>(part));
  });
  ++calls_;
  for (const double read : bytes) bytes_ += read;
}

bool Yardsticks::undisturbed() {
  constexpr double kMostTimesAsLong = 1.2;
  constexpr double kMostTimesUsual = 1.03;
  constexpr double kMostTimesAsFar = 2.5;
  constexpr double kUsual = 0.1;  // what part of the figures may be less by accident
  const double alone = least_times(
                           fma_, [] {}, [] {})
                           .multiply_adds;
  std::vector<Times> together(static_cast<std::size_t>(threads_));
  std::atomic<int> arrivals{0};
  const auto meet = [&] {
    const int all = (arrivals++ / threads_ + 1) * threads_;
    while (arrivals < all) {  // asleep they would not begin together
    }
  };
  Passing passing;
  const auto time_one = [&](std::size_t i) {
    together[i] = least_times(fma_, meet, [&] {
      if (threads_ > 1 && i < 2) passing.pass(static_cast<int>(i));
    });
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < together.size(); ++i) others.emplace_back([&, i] { time_one(i); });
    time_one(0);
  }
  for (const Times& times : together) ratios_.push_back(times.ratio());
  const double usual = bnrun::cli::quantile(ratios_, kUsual);
  if (threads_ > 1) {
    passing_.push_back(together[0].passing);
    if (together[0].passing > kMostTimesAsFar * bnrun::cli::quantile(passing_, kUsual)) return false;
  }
  return std::ranges::all_of(together, [&](const Times& times) {
    return times.multiply_adds <= kMostTimesAsLong * alone &&
           (!kAddsIntegers || times.ratio() <= kMostTimesUsual * usual);
  });
}

}  // namespace bnrun::testing
