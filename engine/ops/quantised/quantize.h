// Numbers as small integers: x = (q - zero_point) * scale.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/bytes.h"
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

/// Zero points as numbers: none for an absent one; nullopt where there are not 1 or `count` of them along one axis, or
/// they are of another type than the tensor, or that has no bytes.
std::optional<TemporaryVector<std::int32_t>> zero_points(const TensorView& of, const TensorView& zero_point,
                                                         std::int64_t count);

}  // namespace bnrun
