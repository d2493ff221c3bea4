// Numbers as small integers: x = (q - zero_point) * scale.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "op/op.h"

namespace bnrun {

/// Rounds half to even, adds the zero point and saturates; NaN becomes the zero point.
template <class Q>
Q quantized(double scaled, Q zero_point) {
  if (std::isnan(scaled)) return zero_point;
  const double shifted = std::nearbyint(scaled) + static_cast<double>(zero_point);
  return static_cast<Q>(std::clamp(shifted, static_cast<double>(std::numeric_limits<Q>::lowest()),
                                   static_cast<double>(std::numeric_limits<Q>::max())));
}

/// The elements of an 8-bit tensor, signed or not.
inline const std::uint8_t* bytes_of(const TensorView& tensor) {
  return tensor.dtype == DType::int8 ? reinterpret_cast<const std::uint8_t*>(tensor.data<std::int8_t>())
                                     : tensor.data<std::uint8_t>();
}
inline std::uint8_t* bytes_of(const MutableTensorView& tensor) {
  return tensor.dtype == DType::int8 ? reinterpret_cast<std::uint8_t*>(tensor.data<std::int8_t>())
                                     : tensor.data<std::uint8_t>();
}

}  // namespace bnrun
