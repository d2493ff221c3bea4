// Softmax and LogSoftmax kernels against sums in long double, on every instruction set of this machine.
#include "kernels/math/softmax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support/graph_building.h"
#include "support/only_target.h"

namespace bnrun::testing {
namespace {

template <class T>
class SoftmaxTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SoftmaxTest, ElementTypes);

constexpr std::int64_t kExtents[] = {1, 2, 7, 8, 9, 10, 15, 16, 17, 31, 33, 100, 256, 257, 1000};

template <class T>
std::vector<T> numbers(std::int64_t count) {
  const Tensor tensor = random_tensor<T>({count}, 1, -20.0, 20.0);
  return {tensor.span<T>().begin(), tensor.span<T>().end()};
}

template <class T>
std::vector<T> run(SoftmaxResult result, const std::vector<T>& x, std::int64_t outer, std::int64_t extent,
                   std::int64_t inner) {
  std::vector<T> y(x.size() + 1, T(-77));
  softmax(result, x.data(), outer, extent, inner, y.data());
  EXPECT_EQ(y.back(), T(-77));
  y.pop_back();
  return y;
}

TYPED_TEST(SoftmaxTest, IsCloseToSumsInLongDoubleAlongEveryAxis) {
  using T = TypeParam;
  constexpr long double kUnit = std::numeric_limits<T>::epsilon();
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (const std::int64_t inner : {1, 3, 16, 21}) {
      for (const std::int64_t extent : kExtents) {
        const auto x = numbers<T>(2 * extent * inner);
        const auto p = run(SoftmaxResult::probabilities, x, 2, extent, inner);
        const auto l = run(SoftmaxResult::logarithms, x, 2, extent, inner);
        for (std::int64_t row = 0; row < 2 * inner; ++row) {
          const auto at = [&](std::int64_t j) {
            return static_cast<std::size_t>((row / inner * extent + j) * inner + row % inner);
          };
          long double m = -std::numeric_limits<long double>::infinity();
          long double sum = 0;
          for (std::int64_t j = 0; j < extent; ++j) m = std::max(m, static_cast<long double>(x[at(j)]));
          for (std::int64_t j = 0; j < extent; ++j) sum += std::exp(x[at(j)] - m);
          for (std::int64_t j = 0; j < extent; ++j) {
            // the difference from the maximum is rounded before its exponential is taken
            const long double shifted = x[at(j)] - m;
            const long double exact = std::exp(shifted) / sum;
            const long double bound = (4 + std::abs(shifted) / 2) * kUnit;
            ASSERT_LE(std::abs(p[at(j)] - exact), bound * exact) << "extent " << extent << " inner " << inner;
            ASSERT_LE(std::abs(l[at(j)] - (shifted - std::log(sum))), bound * (1 + std::abs(shifted)))
                << "extent " << extent << " inner " << inner;
          }
        }
      }
    }
  }
}

TYPED_TEST(SoftmaxTest, SameBitsOnEveryVectorWidthAndInPlace) {
  using T = TypeParam;
  for (const auto result : {SoftmaxResult::probabilities, SoftmaxResult::logarithms}) {
    for (const std::int64_t inner : {1, 5, 40}) {
      for (const std::int64_t extent : kExtents) {
        const auto x = numbers<T>(3 * extent * inner);
        const auto expected = run(result, x, 3, extent, inner);
        auto in_place = x;
        softmax(result, in_place.data(), 3, extent, inner, in_place.data());
        EXPECT_TRUE(same_bits(in_place, expected)) << "extent " << extent << " inner " << inner;
        for (const auto target : targets_with_fma()) {
          const OnlyTarget only(target);
          EXPECT_TRUE(same_bits(run(result, x, 3, extent, inner), expected))
              << hwy::TargetName(target) << " extent " << extent << " inner " << inner;
        }
      }
    }
  }
}

TYPED_TEST(SoftmaxTest, RowAloneEqualsTheRowAmongOthers) {
  using T = TypeParam;
  for (const std::int64_t extent : kExtents) {
    const auto x = numbers<T>(5 * extent);
    const auto together = run(SoftmaxResult::probabilities, x, 5, extent, 1);
    for (std::int64_t row = 0; row < 5; ++row) {
      const std::vector<T> one(x.begin() + row * extent, x.begin() + (row + 1) * extent);
      const std::vector<T> expected(together.begin() + row * extent, together.begin() + (row + 1) * extent);
      EXPECT_TRUE(same_bits(run(SoftmaxResult::probabilities, one, 1, extent, 1), expected));
    }
  }
}

TYPED_TEST(SoftmaxTest, RowsWithNanOrInfinityOrNothingButMinusInfinityAreNan) {
  using T = TypeParam;
  constexpr T kInf = std::numeric_limits<T>::infinity();
  constexpr T kNan = std::numeric_limits<T>::quiet_NaN();
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (const auto result : {SoftmaxResult::probabilities, SoftmaxResult::logarithms}) {
      for (const std::int64_t inner : {1, 2}) {
        for (const std::int64_t extent : {2, 10, 40}) {
          for (const T odd : {kInf, kNan, -kInf}) {
            std::vector<T> x(static_cast<std::size_t>(extent * inner), odd == -kInf ? odd : T(1));
            for (std::int64_t i = 0; i < inner; ++i)
              x[static_cast<std::size_t>((extent - 1) * inner + i)] = odd;
            for (const T y : run(result, x, 1, extent, inner)) EXPECT_TRUE(std::isnan(y)) << odd;
          }
          std::vector<T> x(static_cast<std::size_t>(extent * inner), -kInf);
          for (std::int64_t i = 0; i < inner; ++i) x[static_cast<std::size_t>(i)] = T(3);
          const auto y = run(result, x, 1, extent, inner);
          EXPECT_EQ(y.front(), result == SoftmaxResult::probabilities ? T(1) : T(0));
          EXPECT_EQ(y.back(), result == SoftmaxResult::probabilities ? T(0) : -kInf);
        }
      }
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
