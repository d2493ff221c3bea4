// Products of bytes against sums in 64 bits, on every instruction set, and sums rounded to bytes again.
#include "kernels/gemm/int8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "support/only_target.h"

namespace bnrun::testing {
namespace {

/// The latest variant of AVX-512 that Highway knows has products of bytes.
std::vector<std::int64_t> targets_for_bytes() {
  auto targets = supported_targets();
  if ((hwy::SupportedTargets() & HWY_AVX3_DL) != 0) targets.push_back(HWY_AVX3_DL);
  return targets;
}

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  /// Often one of the ends, where products overflow what is too narrow for them.
  std::vector<std::uint8_t> bytes(std::int64_t count) {
    std::vector<std::uint8_t> drawn;
    for (std::int64_t i = 0; i < count; ++i) {
      constexpr std::uint8_t kEnds[] = {0, 127, 128, 255};
      drawn.push_back(between(0, 2) == 0 ? kEnds[between(0, 3)] : static_cast<std::uint8_t>(between(0, 255)));
    }
    return drawn;
  }
  std::vector<std::int32_t> zeros(std::int64_t count, bool is_signed) {
    std::vector<std::int32_t> drawn;
    for (std::int64_t i = 0; i < count; ++i)
      drawn.push_back(static_cast<std::int32_t>(is_signed ? between(-128, 127) : between(0, 255)));
    return drawn;
  }

 private:
  std::mt19937 engine_;
};

std::int64_t number(std::uint8_t byte, bool is_signed) {
  return is_signed ? static_cast<std::int8_t>(byte) : byte;
}

TEST(Int8, ProductsAreExact) {
  ThreadPool three(3);
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    Draw draw(seed);
    const bool wide = seed % 20 == 0;
    const std::int64_t M = draw.between(1, 70);
    const std::int64_t K = wide ? kMostExactBytes - draw.between(0, 3) : draw.between(1, 90);
    const std::int64_t N = draw.between(1, wide ? 3 : 90);
    const bool a_signed = draw.between(0, 1) == 1;
    const bool b_signed = draw.between(0, 1) == 1;
    const std::int64_t stride = K + draw.between(0, 5);
    const auto A = draw.bytes(M * stride);
    const auto B = draw.bytes(K * N);
    const std::int32_t a_zero = draw.zeros(1, a_signed)[0];
    auto b_zeros = draw.zeros(draw.between(0, 1) == 1 ? 1 : N, b_signed);
    if (draw.between(0, 2) == 0)
      std::ranges::fill(b_zeros, b_signed ? 0 : 128);  // sums of rows do not count then
    std::vector<std::int32_t> expected;
    for (std::int64_t m = 0; m < M; ++m) {
      for (std::int64_t n = 0; n < N; ++n) {
        std::int64_t sum = 0;
        const std::int64_t b_zero = b_zeros[b_zeros.size() == 1 ? 0 : static_cast<std::size_t>(n)];
        for (std::int64_t k = 0; k < K; ++k)
          sum += (number(A[static_cast<std::size_t>(m * stride + k)], a_signed) - a_zero) *
                 (number(B[static_cast<std::size_t>(n * K + k)], b_signed) - b_zero);
        expected.push_back(static_cast<std::int32_t>(sum));
      }
    }
    const PackedBytes packed({K, N, B.data(), 1, K, b_signed});
    for (const auto target : targets_for_bytes()) {
      const OnlyTarget only(target);
      for (const Workspace& workspace : {Workspace(), Workspace(&three, nullptr, 0)}) {
        std::vector<std::int32_t> Y(expected.size() + 1, -77);
        multiply_bytes({M, A.data(), stride, a_signed, a_zero}, packed, b_zeros, Y.data(), N, workspace);
        EXPECT_EQ(Y.back(), -77) << "written behind the end";
        Y.pop_back();
        ASSERT_EQ(Y, expected) << hwy::TargetName(target) << " seed " << seed << " M " << M << " K " << K
                               << " N " << N;
      }
    }
  }
}

TEST(Int8, LanesAreSummedOverTheTapsThereAre) {
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    Draw draw(seed);
    const std::int64_t channels = draw.between(1, 70);
    const std::int64_t taps = draw.between(1, 9);
    const bool is_signed = draw.between(0, 1) == 1;
    const std::int32_t zero = draw.zeros(1, is_signed)[0];
    const auto X = draw.bytes(taps * channels);
    std::vector<std::int16_t> W;
    for (std::int64_t i = 0; i < taps * channels; ++i)
      W.push_back(static_cast<std::int16_t>(draw.between(-255, 255)));
    std::vector<const std::uint8_t*> at;
    for (std::int64_t t = 0; t < taps; ++t)
      at.push_back(draw.between(0, 3) == 0 ? nullptr : X.data() + t * channels);
    std::vector<std::int32_t> expected(static_cast<std::size_t>(channels), 0);
    for (std::size_t i = 0; i < X.size(); ++i) {
      if (at[i / expected.size()] != nullptr)
        expected[i % expected.size()] += (static_cast<std::int32_t>(number(X[i], is_signed)) - zero) * W[i];
    }
    for (const auto target : targets_for_bytes()) {
      const OnlyTarget only(target);
      std::vector<std::int32_t> Y(expected.size(), -77);
      sum_byte_lanes(at, channels, is_signed, zero, W.data(), Y.data());
      ASSERT_EQ(Y, expected) << hwy::TargetName(target) << " seed " << seed;
    }
  }
}

TEST(Int8, SumsAreRoundedHalfToEvenAndSaturate) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<double> factors = {0.5, -0.5,         1e-3,    0.1,  1e9, kInfinity,
                                       0.0, std::nan(""), 1.0 / 3, 2e-9, 0.25};
  const std::vector<std::int32_t> bias = {0, 1, -1, 100, 0, 0, 3, 4, 2147483647, -5, 2};
  std::vector<std::int32_t> sums;
  Draw draw(1);
  for (std::size_t m = 0; m < 40; ++m) {
    for (std::size_t n = 0; n < factors.size(); ++n)
      sums.push_back(m == 0   ? std::numeric_limits<std::int32_t>::max()
                     : m == 1 ? std::numeric_limits<std::int32_t>::min()
                              : static_cast<std::int32_t>(draw.between(-600, 600)));
  }
  for (const bool is_signed : {false, true}) {
    for (const bool biased : {false, true}) {
      const std::int32_t zero = is_signed ? -3 : 100;
      std::vector<std::uint8_t> expected;
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const std::size_t n = i % factors.size();
        const double scaled = (static_cast<double>(sums[i]) + (biased ? bias[n] : 0)) * factors[n];
        const double shifted = std::nearbyint(scaled) + zero;
        const double bounded = std::isnan(scaled)
                                   ? zero
                                   : std::clamp(shifted, is_signed ? -128.0 : 0.0, is_signed ? 127.0 : 255.0);
        expected.push_back(static_cast<std::uint8_t>(static_cast<int>(bounded)));
      }
      for (const auto target : targets_for_bytes()) {
        const OnlyTarget only(target);
        std::vector<std::uint8_t> Y(sums.size() + 1, 77);
        Requantization to{factors, {}, zero, is_signed};
        if (biased) to.bias = bias;
        requantize_rows(sums.data(), 40, to, Y.data());
        EXPECT_EQ(Y.back(), 77) << "written behind the end";
        Y.pop_back();
        ASSERT_EQ(Y, expected) << hwy::TargetName(target);
      }
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
