// Arithmetic of counts.
#pragma once

#include <cstdint>

namespace bnrun {

/// a / b rounded up. REQUIRES: a >= 0, b > 0, and a + b does not overflow.
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace bnrun
