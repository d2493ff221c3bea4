// Numbers as int8 holds them: what QuantizeLinear and DequantizeLinear leave of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace bnrun::train {

/// x is about (q - zero_point) * step, q from 0 to 255.
struct InputSteps {
  float step = 1.0F;
  std::uint8_t zero_point = 0;

  /// As QuantizeLinear rounds: half to even, in float.
  template <class T>
  T rounded(T x) const {
    const float level = std::nearbyint(static_cast<float>(x) / step) + static_cast<float>(zero_point);
    return static_cast<T>((std::clamp(level, 0.0F, 255.0F) - static_cast<float>(zero_point)) * step);
  }
};

/// The range of values seen, the past fading. It always holds 0, which has to be a level.
class MovingRange {
 public:
  /// Takes the range of these: the first as it is, later ones by a hundredth (Jacob et al. 2017 smooth over
  /// hundreds of steps).
  template <class T>
  void observe(std::span<const T> values) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const double keep = state_[kSteps] == 0.0 ? 0.0 : kMomentum;
    state_[kLow] = state_[kLow] * keep + std::min(static_cast<double>(*low), 0.0) * (1.0 - keep);
    state_[kHigh] = state_[kHigh] * keep + std::max(static_cast<double>(*high), 0.0) * (1.0 - keep);
    state_[kSteps] += 1.0;
  }

  double low() const { return state_[kLow]; }
  double high() const { return state_[kHigh]; }
  /// 255 steps from low to high, moved so that 0 is a level.
  InputSteps steps() const;
  /// Low, high, observations.
  std::span<double> state() { return state_; }

 private:
  static constexpr double kMomentum = 0.99;
  enum : std::size_t { kLow, kHigh, kSteps };
  std::vector<double> state_ = std::vector<double>(3, 0.0);
};

/// The step of each column of W [rows, columns]: its largest value is 127 steps; 1 where it is all zeros.
template <class T>
std::vector<float> weight_steps(std::span<const T> W, std::size_t columns) {
  std::vector<float> steps(columns, 0.0F);
  for (std::size_t first = 0; first < W.size(); first += columns) {
    for (std::size_t n = 0; n < columns; ++n)
      steps[n] = std::max(steps[n], std::abs(static_cast<float>(W[first + n])));
  }
  for (float& step : steps) {
    step /= 127.0F;
    if (!(step >= std::numeric_limits<float>::min())) step = 1.0F;
  }
  return steps;
}

/// Whole steps, half to even.
inline float levels(float value, float step, float largest) {
  return std::clamp(std::nearbyint(value / step), -largest, largest);
}

}  // namespace bnrun::train
