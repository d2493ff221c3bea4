// Sums, extremes and normalisation of rows against long double, on every instruction set of this machine.
#include "kernels/math/rows.h"

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
class RowsTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(RowsTest, ElementTypes);

constexpr std::int64_t kCounts[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 1000};

template <class T>
std::vector<T> numbers(std::int64_t count, unsigned seed = 1) {
  const Tensor tensor = random_tensor<T>({std::max<std::int64_t>(count, 1)}, seed, -20.0, 30.0);
  return {tensor.span<T>().begin(), tensor.span<T>().begin() + count};
}

TYPED_TEST(RowsTest, SumsAreThoseInLongDoubleToARoundingPerElement) {
  using T = TypeParam;
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (const std::int64_t count : kCounts) {
      const auto x = numbers<T>(count);
      for (const double center : {0.0, 4.3}) {
        long double sum = 0, absolute = 0, squares = 0;
        for (const T value : x) {
          const long double d = static_cast<long double>(value) - center;
          sum += d;
          absolute += std::abs(d);
          squares += d * d;
        }
        const long double unit = 1e-16L * static_cast<long double>(count + 2);
        const auto& rows = row_kernels<T>();
        EXPECT_LE(std::abs(rows.sum(RowSum::plain, x.data(), count, center) - sum), unit * absolute) << count;
        EXPECT_LE(std::abs(rows.sum(RowSum::absolute, x.data(), count, center) - absolute), unit * absolute)
            << count;
        EXPECT_LE(std::abs(rows.sum(RowSum::squares, x.data(), count, center) - squares), unit * squares)
            << count;
      }
    }
  }
}

TYPED_TEST(RowsTest, AddsARowToSums) {
  using T = TypeParam;
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (const std::int64_t count : kCounts) {
      const auto x = numbers<T>(count);
      for (const auto kind : {RowSum::plain, RowSum::absolute, RowSum::squares}) {
        std::vector<double> sums(x.size() + 1, 0.5);
        row_kernels<T>().add(kind, x.data(), count, sums.data());
        EXPECT_EQ(sums.back(), 0.5);
        for (std::size_t i = 0; i < x.size(); ++i) {
          const long double v = x[i];
          const long double term = kind == RowSum::plain ? v : kind == RowSum::absolute ? std::abs(v) : v * v;
          EXPECT_NEAR(sums[i], static_cast<double>(0.5L + term), 4e-16 * (1.0 + std::abs(sums[i]))) << i;
        }
      }
    }
  }
}

TYPED_TEST(RowsTest, ExtremesAreThoseOfTheStandardLibraryWhereNothingIsNaN) {
  using T = TypeParam;
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (const std::int64_t count : kCounts) {
      const auto x = numbers<T>(count);
      const T most = x.empty() ? -std::numeric_limits<T>::infinity() : *std::ranges::max_element(x);
      const T least = x.empty() ? std::numeric_limits<T>::infinity() : *std::ranges::min_element(x);
      EXPECT_EQ(row_kernels<T>().extreme(RowExtreme::most, x.data(), count), most);
      EXPECT_EQ(row_kernels<T>().extreme(RowExtreme::least, x.data(), count), least);
      auto best = numbers<T>(count, 2);
      auto expected = best;
      for (std::size_t i = 0; i < x.size(); ++i) expected[i] = std::max(best[i], x[i]);
      row_kernels<T>().extreme_with(RowExtreme::most, x.data(), count, best.data());
      EXPECT_EQ(best, expected);
    }
  }
}

TYPED_TEST(RowsTest, NaNWinsWhereverItStands) {
  using T = TypeParam;
  constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (const std::int64_t count : {1, 5, 16, 40}) {
      for (std::size_t at = 0; at < static_cast<std::size_t>(count); ++at) {
        for (const auto kind : {RowExtreme::least, RowExtreme::most}) {
          auto x = numbers<T>(count);
          x[at] = kNaN;
          EXPECT_TRUE(std::isnan(row_kernels<T>().extreme(kind, x.data(), count))) << at;
          auto best = numbers<T>(count, 2);
          row_kernels<T>().extreme_with(kind, x.data(), count, best.data());
          EXPECT_TRUE(std::isnan(best[at]));
          row_kernels<T>().extreme_with(kind, numbers<T>(count).data(), count, best.data());
          EXPECT_TRUE(std::isnan(best[at]));
          EXPECT_EQ(std::ranges::count_if(best, [](T y) { return std::isnan(y); }), 1);
        }
      }
    }
  }
}

TYPED_TEST(RowsTest, NormalisesToARounding) {
  using T = TypeParam;
  constexpr double kUnit = std::numeric_limits<T>::epsilon();
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (const std::int64_t count : kCounts) {
      const auto x = numbers<T>(count);
      const auto scale = numbers<T>(count, 2);
      const auto shift = numbers<T>(count, 3);
      std::vector<T> y(x.size() + 1, T(-77));
      row_kernels<T>().normalise(x.data(), count, 2.5, 0.3, scale.data(), shift.data(), y.data());
      EXPECT_EQ(y.back(), T(-77));
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double product = (static_cast<double>(x[i]) - 2.5) * 0.3 * static_cast<double>(scale[i]);
        EXPECT_NEAR(static_cast<double>(y[i]), product + static_cast<double>(shift[i]),
                    kUnit * (std::abs(product) + std::abs(static_cast<double>(shift[i]))));
      }
      auto bare = x;
      row_kernels<T>().normalise(bare.data(), count, 2.5, 0.3, nullptr, nullptr, bare.data());
      auto scaled = x;
      row_kernels<T>().scale(scaled.data(), count, 2.5, 0.3, 0.0, scaled.data());
      EXPECT_EQ(bare, scaled);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double expected = (static_cast<double>(x[i]) - 2.5) * 0.3;
        EXPECT_NEAR(static_cast<double>(bare[i]), expected, kUnit * std::abs(expected));
      }
    }
  }
}

TYPED_TEST(RowsTest, MapsAsOneMultiplicationAndOneAdditionInDoubleDo) {
  using T = TypeParam;
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (const std::int64_t count : kCounts) {
      const auto x = numbers<T>(count);
      const auto scale = numbers<double>(count, 2);
      const auto shift = numbers<double>(count, 3);
      auto y = x;
      row_kernels<T>().map(y.data(), count, scale.data(), shift.data(), y.data());
      for (std::size_t i = 0; i < x.size(); ++i) {
        const volatile double product = static_cast<double>(x[i]) * scale[i];
        EXPECT_EQ(y[i], static_cast<T>(product + shift[i])) << i;
      }
    }
  }
}

TYPED_TEST(RowsTest, SameBitsOnEveryVectorWidth) {
  using T = TypeParam;
  for (const std::int64_t count : kCounts) {
    const auto x = numbers<T>(count);
    std::vector<std::vector<double>> results;
    for (const auto target : targets_with_fma()) {
      const OnlyTarget only(target);
      const auto& rows = row_kernels<T>();
      std::vector<double> all(x.size(), 0.25);
      rows.add(RowSum::squares, x.data(), count, all.data());
      for (const auto kind : {RowSum::plain, RowSum::absolute, RowSum::squares})
        all.push_back(rows.sum(kind, x.data(), count, 1.7));
      all.push_back(static_cast<double>(rows.extreme(RowExtreme::most, x.data(), count)));
      auto y = x;
      rows.normalise(x.data(), count, 1.7, 0.3, x.data(), x.data(), y.data());
      all.insert(all.end(), y.begin(), y.end());
      results.push_back(std::move(all));
    }
    for (const auto& result : results) EXPECT_TRUE(same_bits(result, results[0])) << count;
  }
}

}  // namespace
}  // namespace bnrun::testing
