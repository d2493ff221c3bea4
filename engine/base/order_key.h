// Numbers of any type as unsigned integers that compare as they do, so that one sort serves all types.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "base/dispatch.h"

namespace bnrun {

/// order_key(a) < order_key(b) where a < b. -0 is equal to 0, and NaN to NaN, which is above every number.
template <class T>
std::uint64_t order_key(T x) {
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  if constexpr (std::is_integral_v<T>) {
    return static_cast<std::uint64_t>(x) ^ (std::is_signed_v<T> ? kSign : 0);
  } else {
    const double value = static_cast<double>(static_cast<ComputeType<T>>(x)) + 0.0;  // no -0
    const auto bits = std::bit_cast<std::uint64_t>(value);
    if (std::isnan(value)) return ~std::uint64_t{0};
    return (bits & kSign) != 0 ? ~bits : bits | kSign;
  }
}

}  // namespace bnrun
