// Random numbers that are equal on every platform.
// The C++ standard fixes the bits of mt19937_64, but not those of the distributions: these are written here.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <utility>

namespace bnrun::train {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// Uniform in [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Standard normal: Box and Muller 1958. Its last bits are those of the C library's log and cos.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

  /// Where it stands, as text, and back.
  std::string state() const {
    std::ostringstream text;
    text << engine_;
    return text.str();
  }
  /// False when the text is none that `state` gives: nothing changes then.
  [[nodiscard]] bool set_state(const std::string& text) {
    Random read(0);
    std::istringstream stream(text);
    if (!(stream >> read.engine_) || read.state() != text) return false;
    engine_ = read.engine_;
    return true;
  }

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

/// A number in [0, 1) for each index of a stream, without state: the finaliser of splitmix64 (Steele et al.
/// 2014), twice, so that neighbouring streams share nothing.
inline double uniform_at(std::uint64_t stream, std::uint64_t index) {
  const auto mix = [](std::uint64_t z) {
    z += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  };
  return static_cast<double>(mix(mix(stream) ^ index) >> 11) * 0x1p-53;
}

}  // namespace bnrun::train
