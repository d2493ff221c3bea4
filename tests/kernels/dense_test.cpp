// Dense layers against chains of std::fma worked out element by element, on every instruction set of this
// machine.
#include "kernels/gemm/dense.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/thread_pool.h"
#include "support/graph_building.h"
#include "support/only_target.h"

namespace bnrun::testing {
namespace {

using Kind = Activation::Kind;

template <class T>
std::vector<T> numbers(std::int64_t count, std::uint32_t seed) {
  if (count == 0) return {};
  const Tensor tensor = random_tensor<T>({count}, seed, -2.0, 2.0);
  return {tensor.span<T>().begin(), tensor.span<T>().end()};
}

template <class T>
struct Layer {
  std::int64_t K;
  std::int64_t N;
  std::vector<T> W;
  typename Dense<T>::Epilogue epilogue;

  Layer(std::int64_t k, std::int64_t n, Activation activation = {}, bool affine = true)
      : K(k), N(n), W(numbers<T>(k * n, 1)), epilogue{{}, {}, activation} {
    if (affine) epilogue = {numbers<T>(n, 2), numbers<T>(n, 3), activation};
  }
  Dense<T> dense(MatrixBackend backend) const { return Dense<T>(K, N, W.data(), epilogue, backend); }

  std::vector<T> run(MatrixBackend backend, const std::vector<T>& X, std::int64_t rows) const {
    std::vector<T> Y(static_cast<std::size_t>(rows * N), T(-77));
    dense(backend).run(X.data(), rows, Y.data());
    return Y;
  }

  /// The order of operations that dense.h promises.
  std::vector<T> chains_of_fma(const std::vector<T>& X, std::int64_t rows) const {
    std::vector<T> Y;
    for (std::int64_t m = 0; m < rows; ++m) {
      for (std::int64_t n = 0; n < N; ++n) {
        const bool dot_product = n >= N - narrow_columns<T>(K, N);
        std::vector<T> sums(dot_product ? panel_columns<T>() : 2);
        for (std::int64_t k = 0; k < K; ++k) {
          const std::int64_t chain = dot_product                                 ? k % panel_columns<T>()
                                     : N <= 4 * panel_columns<T>() && k >= K / 2 ? 1
                                                                                 : 0;
          T& sum = sums[static_cast<std::size_t>(chain)];
          sum = std::fma(X[static_cast<std::size_t>(m * K + k)], W[static_cast<std::size_t>(k * N + n)], sum);
        }
        for (; sums.size() > 1; sums.resize(sums.size() / 2)) {
          for (std::size_t i = 0; i < sums.size() / 2; ++i) sums[i] = sums[2 * i] + sums[2 * i + 1];
        }
        const T sum = sums[0];
        const auto column = static_cast<std::size_t>(n);
        T y = sum;
        if (!epilogue.scale.empty()) y = std::fma(sum, epilogue.scale[column], epilogue.shift[column]);
        if (epilogue.activation.kind == Kind::relu && y < T(0)) y = T(0);
        if (epilogue.activation.kind == Kind::leaky_relu && y < T(0))
          y *= static_cast<T>(epilogue.activation.alpha);
        if (epilogue.activation.kind == Kind::clip)
          y = std::min(std::max(y, static_cast<T>(epilogue.activation.alpha)),
                       static_cast<T>(epilogue.activation.beta));
        if (!epilogue.scale_behind.empty())
          y = std::fma(y, epilogue.scale_behind[column], epilogue.shift_behind[column]);
        Y.push_back(y);
      }
    }
    if (epilogue.activation.kind == Kind::tanh || epilogue.activation.kind == Kind::gelu)
      activate(epilogue.activation, std::span(Y));
    return Y;
  }
};

template <class T>
class DenseTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(DenseTest, ElementTypes);

constexpr std::pair<std::int64_t, std::int64_t> kExtents[] = {
    {1, 1},  {7, 3},    {64, 10}, {33, 16}, {5, 17}, {128, 31}, {3, 33},  {19, 130},
    {16, 1}, {300, 65}, {45, 2},  {77, 3},  {90, 4}, {67, 20},  {65, 35}, {101, 100}};

TYPED_TEST(DenseTest, EveryElementIsSummedInTheOrderPromisedOnEveryInstructionSet) {
  const auto targets = targets_with_fma();
  // Only targets with it are said to agree to the bit; without any there is nothing to compare.
  if (targets.empty()) GTEST_SKIP() << "this processor has no fused multiply-add";
  for (const auto target : targets) {
    const OnlyTarget only(target);
    for (const auto& [K, N] : kExtents) {
      for (const Activation& activation :
           {Activation{}, Activation{Kind::relu}, Activation{Kind::leaky_relu, 0.1},
            Activation{Kind::clip, -0.5, 0.75}, Activation{Kind::tanh}, Activation{Kind::gelu}}) {
        const Layer<TypeParam> layer(K, N, activation);
        const auto X = numbers<TypeParam>(29 * K, 4);
        EXPECT_TRUE(same_bits(layer.run(MatrixBackend::packed, X, 29), layer.chains_of_fma(X, 29)))
            << hwy::TargetName(target) << " K " << K << " N " << N << " activation "
            << static_cast<int>(activation.kind);
      }
    }
  }
}

TYPED_TEST(DenseTest, RowAloneEqualsTheRowInEveryBatch) {
  for (const auto& [K, N] : kExtents) {
    const Layer<TypeParam> layer(K, N, {Kind::tanh});
    const auto X = numbers<TypeParam>(70 * K, 5);
    std::vector<TypeParam> alone;
    for (std::int64_t m = 0; m < 70; ++m) {
      const auto y = layer.run(MatrixBackend::packed, {X.begin() + m * K, X.begin() + (m + 1) * K}, 1);
      alone.insert(alone.end(), y.begin(), y.end());
    }
    for (std::int64_t M = 1; M <= 70; ++M) {
      const std::vector<TypeParam> expected(alone.begin(), alone.begin() + M * N);
      ASSERT_TRUE(same_bits(layer.run(MatrixBackend::packed, X, M), expected))
          << "M " << M << " K " << K << " N " << N;
    }
  }
}

TYPED_TEST(DenseTest, ThreadsThatShareColumnsMakeTheSameBits) {
  if (targets_with_fma().empty()) GTEST_SKIP() << "this processor has no fused multiply-add";
  constexpr std::int64_t kRows = 3;
  constexpr std::int64_t kK = 600;
  ThreadPool two(2);
  for (const std::int64_t N : {1024, 1025, 1026, 1027, 1036}) {
    for (const Activation& activation : {Activation{}, Activation{Kind::relu}, Activation{Kind::tanh}}) {
      Layer<TypeParam> layer(kK, N, activation);
      if (activation.kind == Kind::relu) {
        layer.epilogue.scale_behind = numbers<TypeParam>(N, 7);
        layer.epilogue.shift_behind = numbers<TypeParam>(N, 8);
      }
      const auto X = numbers<TypeParam>(kRows * kK, 4);
      const auto expected = layer.chains_of_fma(X, kRows);
      std::vector<TypeParam> Y(expected.size(), TypeParam(-77));
      layer.dense(MatrixBackend::packed).run(X.data(), kRows, Y.data(), {&two, nullptr, 0});
      EXPECT_TRUE(same_bits(Y, expected)) << "N " << N << " activation " << static_cast<int>(activation.kind);
    }
  }
}

/// |computed - exact| <= gamma(K + 2) * (|x| * |W| * |scale| + |shift|), Higham, Accuracy and Stability of
/// Numerical Algorithms, section 3.1; holds for any order of summation.
TYPED_TEST(DenseTest, BothBackendsStayWithinTheErrorBound) {
  for (const auto backend : {MatrixBackend::packed, MatrixBackend::blas}) {
    for (const auto& [K, N] : kExtents) {
      const Layer<TypeParam> layer(K, N);
      const auto X = numbers<TypeParam>(13 * K, 6);
      const auto Y = layer.run(backend, X, 13);
      for (std::int64_t m = 0; m < 13; ++m) {
        for (std::int64_t n = 0; n < N; ++n) {
          long double exact = 0;
          long double magnitude = 0;
          for (std::int64_t k = 0; k < K; ++k) {
            const long double product = static_cast<long double>(X[static_cast<std::size_t>(m * K + k)]) *
                                        layer.W[static_cast<std::size_t>(k * N + n)];
            exact += product;
            magnitude += std::abs(product);
          }
          const auto column = static_cast<std::size_t>(n);
          const long double scale = layer.epilogue.scale[column];
          const long double shift = layer.epilogue.shift[column];
          exact = exact * scale + shift;
          magnitude = magnitude * std::abs(scale) + std::abs(shift);
          const long double unit = std::numeric_limits<TypeParam>::epsilon() / 2;
          const long double count = static_cast<long double>(K) + 2;
          const long double bound = count * unit / (1 - count * unit) * magnitude;
          ASSERT_LE(std::abs(static_cast<long double>(Y[static_cast<std::size_t>(m * N + n)]) - exact), bound)
              << "backend " << static_cast<int>(backend) << " K " << K << " N " << N << " at " << m << ","
              << n;
        }
      }
    }
  }
}

TYPED_TEST(DenseTest, WithoutVectorsNumbersDifferByRoundingAlone) {
#if HWY_ARCH_X86
  for (const auto& [K, N] : kExtents) {
    const Layer<TypeParam> layer(K, N, {Kind::clip, -0.5, 0.75});
    const auto X = numbers<TypeParam>(5 * K, 6);
    const auto expected = layer.run(MatrixBackend::packed, X, 5);
    const OnlyTarget none(HWY_SCALAR);
    const auto Y = layer.run(MatrixBackend::packed, X, 5);
    const double step = std::numeric_limits<TypeParam>::epsilon();
    for (std::size_t i = 0; i < Y.size(); ++i)
      ASSERT_NEAR(Y[i], expected[i], static_cast<double>(K + 2) * 16.0 * step) << "K " << K << " N " << N;
  }
#else
  GTEST_SKIP() << "only x86 builds have kernels without vectors";
#endif
}

TYPED_TEST(DenseTest, NanAndInfinityComeThrough) {
  constexpr TypeParam kNan = std::numeric_limits<TypeParam>::quiet_NaN();
  constexpr TypeParam kInf = std::numeric_limits<TypeParam>::infinity();
  for (const auto backend : {MatrixBackend::packed, MatrixBackend::blas}) {
    for (const Kind kind : {Kind::relu, Kind::leaky_relu}) {
      Layer<TypeParam> layer(1, 1, {kind, 0.5}, false);
      layer.W = {TypeParam(1)};
      const auto Y = layer.run(backend, {kNan, kInf, -kInf, TypeParam(-4)}, 4);
      EXPECT_TRUE(std::isnan(Y[0]));
      EXPECT_EQ(Y[1], kInf);
      EXPECT_EQ(Y[2], kind == Kind::relu ? TypeParam(0) : -kInf);
      EXPECT_EQ(Y[3], kind == Kind::relu ? TypeParam(0) : TypeParam(-2));
    }
  }
}

TYPED_TEST(DenseTest, WritesItsElementsAndNoOthers) {
  for (const auto backend : {MatrixBackend::packed, MatrixBackend::blas}) {
    for (std::int64_t N = 1; N <= 40; ++N) {
      const Layer<TypeParam> layer(5, N, {Kind::elu, 1.0});
      for (const std::int64_t rows : {0, 1, 3, 14}) {
        const auto X = numbers<TypeParam>(rows * 5, 7);
        std::vector<TypeParam> Y(static_cast<std::size_t>(rows * N) + 2, TypeParam(-77));
        layer.dense(backend).run(X.data(), rows, Y.data() + 1);
        EXPECT_EQ(Y.front(), TypeParam(-77));
        EXPECT_EQ(Y.back(), TypeParam(-77));
        for (std::size_t i = 1; i + 1 < Y.size(); ++i)
          ASSERT_GE(Y[i], TypeParam(-1));  // Elu never falls below -1
      }
    }
  }
}

TYPED_TEST(DenseTest, NothingToSumIsTheShift) {
  for (const auto backend : {MatrixBackend::packed, MatrixBackend::blas}) {
    const Layer<TypeParam> layer(0, 3);
    EXPECT_TRUE(same_bits(layer.run(backend, {}, 1), layer.epilogue.shift));
  }
}

}  // namespace
}  // namespace bnrun::testing
