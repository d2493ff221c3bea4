// Pools of random forms against what each output is worked out to be by itself: the same bits on every instruction set.
#include "kernels/conv/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "support/only_target.h"

namespace bnrun::testing {
namespace {

/// Some lines of an input, among them special numbers, and the axis that windows slide along.
template <class T>
struct Case {
  WindowAxis axis;
  std::int64_t channels = 1;
  std::vector<T> X;
  std::vector<const T*> rows;

  explicit Case(std::uint32_t seed) {
    std::mt19937 engine(seed);
    const auto between = [&](int low, int high) {
      return low + static_cast<int>(engine() % static_cast<std::uint32_t>(high - low + 1));
    };
    axis.kernel = between(1, 4);
    axis.stride = between(1, 3);
    axis.dilation = between(1, 2);
    axis.pad_begin = between(0, 4);
    axis.input = between(1, 9);
    axis.output = between(1, 6);
    channels = between(1, 150);
    const int lines = between(1, 4);
    const auto line = static_cast<std::size_t>(axis.input * channels);
    constexpr T kInfinity = std::numeric_limits<T>::infinity();
    constexpr T kNan = std::numeric_limits<T>::quiet_NaN();
    for (std::size_t i = 0; i < static_cast<std::size_t>(lines) * line; ++i) {
      const int kind = between(0, 60);
      const T special[] = {kNan, -kNan, kInfinity, -kInfinity, T(0), -T(0), std::numeric_limits<T>::max()};
      X.push_back(kind < 7 ? special[kind] : T(between(-9, 9)) / T(4));
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(lines); ++i) rows.push_back(X.data() + i * line);
  }

  /// Calls f(sum or maximum so far, x) for what lies under output o in channel c, in order.
  template <class Number, class F>
  Number fold(std::int64_t o, std::int64_t c, Number start, F f) const {
    for (const T* row : rows) {
      for (std::int64_t k = 0; k < axis.kernel; ++k) {
        const std::int64_t at = axis.position(o, k);
        if (at >= 0 && at < axis.input) start = f(start, row[at * channels + c]);
      }
    }
    return start;
  }

  template <class F>
  std::vector<T> each(F f) const {
    std::vector<T> Y;
    for (std::int64_t o = 0; o < axis.output; ++o) {
      for (std::int64_t c = 0; c < channels; ++c) Y.push_back(f(o, c));
    }
    return Y;
  }
};

template <class T>
void expect_equal(const Case<T>& c, const std::vector<T>& expected, auto pool) {
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    std::vector<T> Y(expected.size() + 1, T(-77));
    pool(PoolLine<T>{c.rows, c.axis, c.channels, Y.data()});
    ASSERT_EQ(Y.back(), T(-77)) << "written behind the end";
    Y.pop_back();
    for (std::size_t i = 0; i < Y.size(); ++i) {
      // which NaN a sum of several is, instruction sets do not agree on
      if (std::isnan(Y[i]) && std::isnan(expected[i])) continue;
      ASSERT_EQ(std::memcmp(&Y[i], &expected[i], sizeof(T)), 0)
          << hwy::TargetName(target) << " element " << i << ": " << Y[i] << ", expected " << expected[i];
    }
  }
}

template <class T>
class PoolTest : public ::testing::Test {};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(PoolTest, Floats);

TYPED_TEST(PoolTest, MaximumIsTheFirstNanOrElseTheFirstOfTheLargest) {
  using T = TypeParam;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const Case<T> c(seed);
    const auto expected = c.each([&](std::int64_t o, std::int64_t channel) {
      return c.fold(o, channel, -std::numeric_limits<T>::infinity(),
                    [](T best, T x) { return x > best || (std::isnan(x) && !std::isnan(best)) ? x : best; });
    });
    expect_equal(c, expected, [](const PoolLine<T>& line) { pool_max(line); });
  }
}

TYPED_TEST(PoolTest, MeanIsSummedInOrderInDouble) {
  using T = TypeParam;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const Case<T> c(seed);
    std::vector<double> divisors;
    for (std::int64_t o = 0; o < c.axis.output; ++o) divisors.push_back(static_cast<double>(o) + 1.5);
    const auto expected = c.each([&](std::int64_t o, std::int64_t channel) {
      const double sum = c.fold(o, channel, 0.0, [](double a, T x) { return a + static_cast<double>(x); });
      return static_cast<T>(sum / divisors[static_cast<std::size_t>(o)]);
    });
    expect_equal(c, expected, [&](const PoolLine<T>& line) { pool_mean(line, divisors.data()); });
  }
}

}  // namespace
}  // namespace bnrun::testing
