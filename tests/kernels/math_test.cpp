// Elementary functions and activations on whole vectors: how far from the C library in long double, what
// happens at the ends, and the same bits everywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "support/math_reference.h"
#include "support/only_target.h"

namespace bnrun::testing {
namespace {

using Kind = Activation::Kind;

/// Numbers of every magnitude, in ascending order, each with its neighbours; more of them where the functions
/// bend, where their ranges are split and where results become denormal or infinite.
template <class T>
std::vector<T> numbers() {
  using Limits = std::numeric_limits<T>;
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  std::vector<T> x = {0,
                      1,
                      0.34657359F,
                      0.55,
                      1.0397208F,
                      Limits::min(),
                      Limits::denorm_min(),
                      Limits::max(),
                      Limits::infinity()};
  std::mt19937_64 random(1);
  for (int i = 0; i < 60'000; ++i) x.push_back(std::bit_cast<T>(static_cast<Bits>(random() << 1 >> 1)));
  for (const T range : {T(1), T(8), T(100), T(800)}) {
    std::uniform_real_distribution<T> uniform(0, range);
    for (int i = 0; i < 60'000; ++i) x.push_back(uniform(random));
  }
  std::erase_if(x, [](T v) { return !(v >= T(0)); });
  const std::size_t count = x.size();
  for (std::size_t i = 0; i < count; ++i) x.push_back(std::nextafter(x[i], Limits::infinity()));
  for (std::size_t i = x.size(); i-- > 0;) x.push_back(-x[i]);
  std::ranges::sort(x);
  return x;
}

template <class T>
std::vector<T> values_of(const MathFunction<T>& function, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  function.kernel(x, y.data());
  return y;
}

template <class T>
class MathTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(MathTest, ElementTypes);

TYPED_TEST(MathTest, ErrorStaysWithinWhatIsPromisedOnEveryInstructionSet) {
  const auto x = numbers<TypeParam>();
  for (const auto& function : math_functions<TypeParam>()) {
    std::vector<long double> exact(x.size());
    std::ranges::transform(x, exact.begin(), [&](TypeParam v) { return function.exact(v); });
    for (const auto target : supported_targets()) {
      const OnlyTarget only(target);
      const auto y = values_of(function, x);
      double worst = 0.0;
      std::size_t where = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double error = error_in_ulp(y[i], exact[i]);
        if (error > worst) {
          worst = error;
          where = i;
        }
      }
      const double allowed = target == HWY_SSE4 ? function.ulp + 0.5 : function.ulp;
      EXPECT_LE(worst, allowed) << function.name << " at " << x[where] << " on " << hwy::TargetName(target);
      this->RecordProperty(std::string(function.name) + "_" + hwy::TargetName(target), std::to_string(worst));
    }
  }
}

/// The row of a function in the table of docs/numbers.md.
std::string documented(const MathFunction<float>& in_float, const MathFunction<double>& in_double) {
  const char* const rises = in_double.rises ? "yes " : in_float.rises ? "float " : "";
  std::ostringstream row;
  row << "| " << in_float.name << " | " << in_float.ulp << " | " << in_double.ulp << " | " << rises << "|";
  return row.str();
}

TEST(MathPromises, AreThoseOfTheDocumentation) {
  std::ifstream file(BNRUN_SOURCE_DIR "/docs/numbers.md");
  std::vector<std::string> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| ") && !line.starts_with("| function")) rows.push_back(line);
  }
  const auto in_float = math_functions<float>();
  const auto in_double = math_functions<double>();
  ASSERT_EQ(rows.size(), in_float.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i], documented(in_float[i], in_double[i]));
}

TYPED_TEST(MathTest, RisingFunctionsNeverFall) {
  const auto x = numbers<TypeParam>();
  for (const auto& function : math_functions<TypeParam>()) {
    if (!function.rises) continue;
    std::vector<TypeParam> y = values_of(function, x);
    for (std::size_t i = 1; i < y.size(); ++i) {
      if (std::isnan(y[i - 1])) continue;
      ASSERT_GE(y[i], y[i - 1]) << function.name << " at " << x[i];
    }
  }
}

TYPED_TEST(MathTest, SameBitsOnEveryVectorWidth) {
  const auto with_fma = targets_with_fma();
  // Only targets with it are said to agree to the bit; without any there is nothing to compare.
  if (with_fma.empty()) GTEST_SKIP() << "this processor has no fused multiply-add";
  const auto x = numbers<TypeParam>();
  for (const auto& function : math_functions<TypeParam>()) {
    std::vector<TypeParam> first;
    for (const auto target : with_fma) {
      const OnlyTarget only(target);
      const auto y = values_of(function, x);
      if (first.empty()) first = y;
      EXPECT_TRUE(same_bits(y, first)) << function.name << " on " << hwy::TargetName(target);
    }
  }
}

TYPED_TEST(MathTest, SameBitsWhereverAnElementStands) {
  auto x = numbers<TypeParam>();
  std::ranges::shuffle(x, std::mt19937(2));
  x.resize(100);
  for (const auto& function : math_functions<TypeParam>()) {
    const auto whole = values_of(function, x);
    for (std::size_t first = 0; first < x.size(); first += 7) {
      for (std::size_t size = 0; size <= 35 && first + size <= x.size(); ++size) {
        const std::vector<TypeParam> part(x.begin() + static_cast<std::ptrdiff_t>(first),
                                          x.begin() + static_cast<std::ptrdiff_t>(first + size));
        std::vector<TypeParam> y(size + 1, TypeParam(-77));
        function.kernel(part, y.data());
        EXPECT_EQ(y.back(), TypeParam(-77)) << function.name;
        y.pop_back();
        if (size == 0) continue;
        const std::vector<TypeParam> expected(whole.begin() + static_cast<std::ptrdiff_t>(first),
                                              whole.begin() + static_cast<std::ptrdiff_t>(first + size));
        ASSERT_TRUE(same_bits(y, expected)) << function.name << " from " << first << " size " << size;
      }
    }
  }
}

TYPED_TEST(MathTest, ExactAtZeroAndRightAtTheEnds) {
  constexpr TypeParam kInf = std::numeric_limits<TypeParam>::infinity();
  const std::vector<TypeParam> x = {-kInf, TypeParam(-0.0), TypeParam(0), kInf,
                                    std::numeric_limits<TypeParam>::quiet_NaN()};
  for (const auto& function : math_functions<TypeParam>()) {
    const auto y = values_of(function, x);
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
      const auto exact = static_cast<TypeParam>(function.exact(x[i]));
      if (std::isnan(exact))
        EXPECT_TRUE(std::isnan(y[i])) << function.name << " at " << x[i];
      else
        EXPECT_LE(error_in_ulp(y[i], exact), function.ulp) << function.name << " at " << x[i];
      if (x[i] == TypeParam(0) && exact == TypeParam(0)) {
        EXPECT_EQ(y[i], exact) << function.name;
        EXPECT_EQ(std::signbit(y[i]), std::signbit(exact)) << function.name << " at " << x[i];
      }
    }
    EXPECT_TRUE(std::isnan(y.back())) << function.name;
  }
}

/// The formulas of the activations that need no elementary function, exactly.
TYPED_TEST(MathTest, PiecewiseActivationsFollowTheirFormulas) {
  using T = TypeParam;
  constexpr T kInf = std::numeric_limits<T>::infinity();
  const std::vector<T> x = {-kInf, -7, -3, -1, T(-0.5), T(-0.25), 0, T(0.25), T(0.5), 1, 2, 3, 7, kInf};
  struct Row {
    Activation activation;
    std::vector<T> y;
  };
  const Row rows[] = {
      {{Kind::identity}, x},
      {{Kind::relu}, {0, 0, 0, 0, 0, 0, 0, T(0.25), T(0.5), 1, 2, 3, 7, kInf}},
      {{Kind::leaky_relu, 0.5},
       {-kInf, T(-3.5), T(-1.5), T(-0.5), T(-0.25), T(-0.125), 0, T(0.25), T(0.5), 1, 2, 3, 7, kInf}},
      {{Kind::clip, -1.0, 2.0}, {-1, -1, -1, -1, T(-0.5), T(-0.25), 0, T(0.25), T(0.5), 1, 2, 2, 2, 2}},
      {{Kind::hard_sigmoid, 0.25, 0.5},
       {0, 0, 0, T(0.25), T(0.375), T(0.4375), T(0.5), T(0.5625), T(0.625), T(0.75), 1, 1, 1, 1}},
      {{Kind::shrink, 0.5, 0.25},
       {-kInf, T(-6.75), T(-2.75), T(-0.75), 0, 0, 0, 0, 0, T(0.75), T(1.75), T(2.75), T(6.75), kInf}},
      {{Kind::thresholded_relu, 1.0}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7, kInf}},
  };
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (const Row& row : rows) {
      std::vector<T> y = x;
      activate(row.activation, std::span(y));
      EXPECT_EQ(y, row.y) << static_cast<int>(row.activation.kind);
      T nan[] = {std::numeric_limits<T>::quiet_NaN()};
      activate(row.activation, std::span<T>(nan));
      EXPECT_TRUE(std::isnan(nan[0])) << static_cast<int>(row.activation.kind);
    }
    std::vector<T> y = {-kInf, -3, T(-1.5), 0, T(1.5), 3, kInf};
    const std::vector<T> hard_swish = {0, 0, T(-0.375), 0, T(1.125), 3, kInf};
    activate(Activation{Kind::hard_swish}, std::span(y));
    EXPECT_EQ(y, hard_swish);
    y = {-kInf, -3, 0, 1, kInf};
    const std::vector<T> softsign = {-1, T(-0.75), 0, T(0.5), 1};
    activate(Activation{Kind::softsign}, std::span(y));
    EXPECT_EQ(y, softsign);
  }
}

}  // namespace
}  // namespace bnrun::testing
