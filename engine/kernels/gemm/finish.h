// What follows the sums of a product or a convolution, applied while they are in registers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "base/aligned_buffer.h"
#include "base/numbers.h"
#include "kernels/math/activation.h"

namespace bnrun {

/// Columns of one panel: a cache line, which is also the widest vector.
template <class T>
constexpr std::int64_t panel_columns() {
  return 64 / sizeof(T);
}

/// Columns of all panels: N rounded up.
template <class T>
constexpr std::int64_t padded_columns(std::int64_t N) {
  return rounded_up(N, panel_columns<T>());
}

/// One number per column as the panels have them; empty stays empty.
template <class T>
AlignedBuffer<T> padded_to_panels(std::span<const T> values) {
  if (values.empty()) return {};
  const auto size = padded_columns<T>(static_cast<std::int64_t>(values.size()));
  AlignedBuffer<T> buffer(static_cast<std::size_t>(size));
  std::fill(std::ranges::copy(values, buffer.data()).out, buffer.data() + size, T(0));
  return buffer;
}

/// y[n] = scale_behind[n] * f(scale[n] * sum[n] + shift[n] + addend[n]) + shift_behind[n]. Views: what is pointed to must
/// outlive it.
template <class T>
struct Finish {
  const T* scale = nullptr;  ///< padded like the panels; null: 1
  const T* shift = nullptr;  ///< padded like the panels; null: 0
  /// What is applied in registers: `slope` times what is below 0, or what is below `low` or above `high` is that.
  enum class Bend { clip, leaky } bend = Bend::clip;
  T slope = T(0);
  T low = -std::numeric_limits<T>::infinity();
  T high = std::numeric_limits<T>::infinity();
  const Activation* activation = nullptr;  ///< applied to rows just written; null: none
  /// Padded like the panels; both null: nothing is behind. REQUIRES: no `activation`.
  const T* scale_behind = nullptr;
  const T* shift_behind = nullptr;

  static Finish of(const T* scale, const T* shift, const Activation& activation) {
    Finish finish{scale, shift};
    const T alpha = static_cast<T>(activation.alpha);
    switch (activation.kind) {
      case Activation::Kind::identity:
        break;
      case Activation::Kind::relu:
        finish.low = T(0);
        break;
      case Activation::Kind::leaky_relu:
        finish.bend = Bend::leaky;
        finish.slope = alpha;
        break;
      case Activation::Kind::clip:
        finish.low = alpha;
        finish.high = static_cast<T>(activation.beta);
        break;
      default:
        finish.activation = &activation;
    }
    return finish;
  }

  /// That of the columns from `first` on, a multiple of a panel's.
  Finish from_column(std::int64_t first) const {
    Finish part = *this;
    if (scale != nullptr) part.scale += first;
    if (shift != nullptr) part.shift += first;
    if (scale_behind != nullptr) part.scale_behind += first;
    if (shift_behind != nullptr) part.shift_behind += first;
    return part;
  }
};

/// Whether Finish applies it in registers.
inline bool is_bend(const Activation& activation) {
  return Finish<float>::of(nullptr, nullptr, activation).activation == nullptr;
}

}  // namespace bnrun
