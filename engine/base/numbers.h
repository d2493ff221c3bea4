// Arithmetic of counts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bnrun {

/// a / b rounded up. REQUIRES: a >= 0, b > 0, and a + b does not overflow.
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// The least multiple of b that is not below a. REQUIRES: as for ceil_div.
constexpr std::int64_t rounded_up(std::int64_t a, std::int64_t b) {
  return ceil_div(a, b) * b;
}
constexpr std::size_t rounded_up(std::size_t a, std::size_t b) {
  return (a + b - 1) / b * b;
}

}  // namespace bnrun
