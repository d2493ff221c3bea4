// Random numbers that are equal on every platform.
// The C++ standard fixes the bits of mt19937_64, but not those of the distributions: these are written here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace bnrun::train {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// Uniform in [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Fisher and Yates.
  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t n = items.size(); n > 1; --n) {
      std::swap(items[n - 1], items[static_cast<std::size_t>(uniform() * static_cast<double>(n))]);
    }
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace bnrun::train
