// Floats as bytes and back, with one scale and zero point for all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace bnrun {

/// How bytes stand for numbers: x = (q - zero) * scale.
struct ByteScale {
  float scale = 1.0F;
  std::int32_t zero = 0;
  bool is_signed = false;
};

/// q[i] = saturate(round half to even(x[i] / scale) + zero), a NaN being `zero`.
void quantise(std::span<const float> x, const ByteScale& by, std::uint8_t* q);

/// x[i] = (q[i] - zero) * scale, rounded once.
void dequantise(std::span<const std::uint8_t> q, const ByteScale& by, float* x);

/// The least and the greatest of 0 and all that is no NaN.
std::pair<float, float> range_with_zero(std::span<const float> x);

}  // namespace bnrun
