// Products of bfloat16 against the sums that matrix tiles make, worked out one by one, to the bit; and against double.
#include "kernels/gemm/bfloat16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/gemm/bfloat16_pairs.h"
#include "kernels/gemm/tiles.h"
#include "support/only_target.h"

namespace bnrun::testing {
namespace {

constexpr float kLeast = 0x1p-126F;

float without_denormal(float x) {
  return std::abs(x) < kLeast ? std::copysign(0.0F, x) : x;
}

std::vector<BFloat16> drawn(std::int64_t count, std::uint32_t seed, int least_exponent, int exponents) {
  std::mt19937 engine(seed);
  std::vector<BFloat16> numbers;
  for (std::int64_t i = 0; i < count; ++i) {
    const float mantissa = static_cast<float>(static_cast<int>(engine() % 511) - 255) / 128.0F;
    numbers.emplace_back(
        std::ldexp(mantissa, least_exponent + static_cast<int>(engine() % static_cast<unsigned>(exponents))));
  }
  return numbers;
}

/// Any NaN is one: its sign and payload depend on the order of operands.
std::vector<float> one_nan(std::vector<float> numbers) {
  for (float& x : numbers) x = std::isnan(x) ? std::numeric_limits<float>::quiet_NaN() : x;
  return numbers;
}

struct Case {
  std::int64_t M;
  std::int64_t K;
  std::int64_t N;
  int least_exponent = -4;
  int exponents = 8;
  float odd = 1.0F;  ///< stands once in X and once in W
};

class Products : public ::testing::TestWithParam<Case> {};

TEST_P(Products, HaveTheBitsOfTilesOnEveryUnitAndAreWithinTheBound) {
  const auto [M, K, N, least, exponents, odd] = GetParam();
  auto X = drawn(M * K, 1, least, exponents);
  auto W = drawn(K * N, 2, least, exponents);
  for (auto* matrix : {&X, &W}) {
    if (!matrix->empty()) (*matrix)[matrix->size() / 2] = BFloat16(odd);
  }
  const std::int64_t width = (N + 15) / 16 * 16;
  std::vector<float> expected;
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < N; ++n) {
      float sum = 0.0F;
      double exact = 0.0;
      double size = 0.0;
      for (std::int64_t begin = 0; begin < K; begin += 32) {
        float chains[2] = {0.0F, 0.0F};
        for (std::int64_t k = begin; k < std::min(K, begin + 32); ++k) {
          const auto x = static_cast<float>(X[static_cast<std::size_t>(m * K + k)]);
          const auto w = static_cast<float>(W[static_cast<std::size_t>(k * N + n)]);
          chains[k % 2] = without_denormal(std::fma(without_denormal(x), without_denormal(w), chains[k % 2]));
          exact += static_cast<double>(x) * w;
          size += std::abs(static_cast<double>(x) * w);
        }
        sum = without_denormal(sum + without_denormal(chains[0] + chains[1]));
      }
      expected.push_back(sum);
      const double bound = static_cast<double>(17 + K / 32 + 1) * 0x1p-24 * size;
      if (!std::isfinite(exact)) continue;
      EXPECT_LE(std::abs(sum - exact), bound + static_cast<double>(2 * K) * double{kLeast});
    }
  }
  const auto check = [&](Bfloat16Unit unit, const std::string& which) {
    const PackedBfloat16 packed(K, N, W.data(), unit);
    const AlignedBuffer<std::byte> scratch(packed.scratch_bytes());
    std::vector<float> Y(static_cast<std::size_t>(M * width), 77.0F);
    multiply_bfloat16(X.data(), M, packed, 0, N, Y.data(), width, scratch.data());
    std::vector<float> used;
    for (std::int64_t m = 0; m < M; ++m)
      used.insert(used.end(), Y.begin() + m * width, Y.begin() + m * width + N);
    EXPECT_TRUE(same_bits(one_nan(used), one_nan(expected))) << which;
    constexpr std::int64_t kFirst = 32;
    if (N <= kFirst) return;
    std::vector<float> part(static_cast<std::size_t>(M * width), 77.0F);
    multiply_bfloat16(X.data(), M, packed, kFirst, N, part.data(), width, scratch.data());
    for (std::int64_t m = 0; m < M; ++m) {
      const auto row = Y.begin() + m * width;
      EXPECT_TRUE(same_bits(one_nan({row + kFirst, row + N}),
                            one_nan({part.begin() + m * width, part.begin() + m * width + N - kFirst})))
          << which << ", columns from " << kFirst << " on, row " << m;
    }
  };
  if (has_tiles(TileNumbers::bfloat16)) check(Bfloat16Unit::tiles, "tiles");
  if (has_pairs()) check(Bfloat16Unit::pairs, "pairs");
  for (const auto target : targets_with_fma()) {
    const OnlyTarget only(target);
    check(Bfloat16Unit::floats, hwy::TargetName(target));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Bfloat16, Products,
    ::testing::Values(Case{1, 1, 1}, Case{1, 64, 16}, Case{16, 32, 16}, Case{17, 33, 17}, Case{31, 31, 47},
                      Case{32, 64, 48}, Case{33, 100, 70}, Case{70, 257, 33}, Case{5, 2000, 40},
                      Case{56, 64, 48}, Case{57, 65, 33}, Case{113, 40, 20},
                      // numbers whose products are denormal, or that are so themselves
                      Case{33, 100, 40, -70, 12}, Case{33, 100, 40, -134, 70},
                      // nothing to sum, and nothing to write
                      Case{3, 0, 20}, Case{3, 40, 0}, Case{0, 40, 20},
                      // rows and columns of NaN, of infinities and of both, and their neighbours
                      Case{33, 100, 40, -4, 8, NAN}, Case{33, 100, 40, -4, 8, INFINITY},
                      Case{5, 31, 17, -4, 8, -INFINITY}));

std::vector<Bfloat16Unit> units() {
  std::vector<Bfloat16Unit> there{Bfloat16Unit::floats};
  if (has_pairs()) there.push_back(Bfloat16Unit::pairs);
  if (has_tiles(TileNumbers::bfloat16)) there.push_back(Bfloat16Unit::tiles);
  return there;
}

TEST(Bfloat16, LayersHaveTheSameBitsForAnyRowsAndThreads) {
  ThreadPool three(3);
  constexpr std::int64_t kRows = 200;
  const std::pair<std::int64_t, std::int64_t> shapes[] = {{90, 75}, {0, 75}, {90, 0}, {600, 700}};
  for (const auto& [K, N] : shapes) {
    auto X = drawn(kRows * K, 3, -4, 8);
    const auto W = drawn(K * N, 4, -4, 8);
    if (!X.empty()) X[0] = BFloat16(NAN);
    DenseBfloat16::Epilogue epilogue{std::vector<float>(static_cast<std::size_t>(N), 0.5F),
                                     std::vector<float>(static_cast<std::size_t>(N), 0.25F),
                                     {}};
    epilogue.activation.kind = Activation::Kind::relu;
    for (const Bfloat16Unit unit : units()) {
      const DenseBfloat16 layer(K, N, W.data(), epilogue, unit);
      const std::int64_t width = (N + 15) / 16 * 16;
      std::vector<float> sums(static_cast<std::size_t>(kRows * width));
      const std::size_t bytes = layer.scratch_bytes();
      const AlignedBuffer<std::byte> scratch(3 * bytes);
      multiply_bfloat16(X.data(), kRows, PackedBfloat16(K, N, W.data(), unit), 0, N, sums.data(), width,
                        scratch.data());
      for (const std::int64_t rows : {std::int64_t{0}, std::int64_t{1}, std::int64_t{40}, kRows}) {
        for (const Workspace& workspace :
             {Workspace(nullptr, scratch.data(), bytes), Workspace(&three, scratch.data(), bytes)}) {
          std::vector<BFloat16> Y(static_cast<std::size_t>(rows * N + 1));
          Y.back().bits = 0x1234;  // which nobody writes
          layer.run(X.data(), rows, Y.data(), workspace);
          ASSERT_EQ(Y.back().bits, 0x1234) << rows << " rows";
          for (std::int64_t i = 0; i < rows * N; ++i) {
            const BFloat16 y = Y[static_cast<std::size_t>(i)];
            const float sum = sums[static_cast<std::size_t>(i / N * width + i % N)] * 0.5F + 0.25F;
            if (std::isnan(sum))
              ASSERT_TRUE(std::isnan(static_cast<float>(y))) << rows << " rows, element " << i;
            else
              ASSERT_EQ(y.bits, BFloat16(std::max(0.0F, sum)).bits) << rows << " rows, element " << i;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
