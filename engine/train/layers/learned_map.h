// y = scale * n + B behind a normalisation, each of the two learnt or left out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace bnrun::train {

/// The weights (scale, then B, one a channel) lie in the network's array, and so do their gradients.
template <class T>
class LearnedMap {
 public:
  LearnedMap(bool scales, bool shifts, std::int64_t channels)
      : scales_(scales), shifts_(shifts), channels_(channels) {}

  std::int64_t trainable() const { return channels_ * ((scales_ ? 1 : 0) + (shifts_ ? 1 : 0)); }

  void bind(T* weights, T* gradients) {
    if (scales_) {
      scale_ = weights;
      dscale_ = gradients;
    }
    if (shifts_) {
      const std::int64_t first = scales_ ? channels_ : 0;
      B_ = weights + first;
      dB_ = gradients + first;
    }
  }
  void initialize() {
    if (scale_ != nullptr) std::fill_n(scale_, channels_, T(1));
    if (B_ != nullptr) std::fill_n(B_, channels_, T(0));
  }

  double scale_at(std::size_t c) const { return scale_ != nullptr ? static_cast<double>(scale_[c]) : 1.0; }
  double B_at(std::size_t c) const { return B_ != nullptr ? static_cast<double>(B_[c]) : 0.0; }
  const T* B() const { return B_; }  ///< null: left out

  /// What is left out takes none.
  void set_gradients(std::span<const double> dscale, std::span<const double> dB) {
    round_to(dscale_, dscale);
    round_to(dB_, dB);
  }

 private:
  static void round_to(T* out, std::span<const double> values) {
    if (out != nullptr) std::ranges::transform(values, out, [](double x) { return static_cast<T>(x); });
  }

  bool scales_;
  bool shifts_;
  std::int64_t channels_;
  T* scale_ = nullptr;
  T* B_ = nullptr;
  T* dscale_ = nullptr;
  T* dB_ = nullptr;
};

}  // namespace bnrun::train
