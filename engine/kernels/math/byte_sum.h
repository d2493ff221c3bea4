// Sums of numbers that bytes stand for, as bytes again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace bnrun {

/// What bytes a number becomes behind its zero point.
struct ByteRange {
  std::int32_t zero = 0;
  bool is_signed = false;
  /// What lies beyond these becomes them, and what lies beyond the type is cut off there.
  std::int32_t low = std::numeric_limits<std::int32_t>::min();
  std::int32_t high = std::numeric_limits<std::int32_t>::max();
};

/// Bytes that stand for (q - zero) * factor.
struct ByteTerm {
  const std::uint8_t* bytes = nullptr;
  bool is_signed = false;
  std::int32_t zero = 0;
  double factor = 1.0;
};

/// q[i] = saturate(round half to even(what a[i] stands for + what b[i] stands for) + zero), each product and the sum in
/// double. REQUIRES: factors are finite. q may be the bytes of either.
void add_bytes(const ByteTerm& a, const ByteTerm& b, std::size_t count, const ByteRange& range,
               std::uint8_t* q);

}  // namespace bnrun
