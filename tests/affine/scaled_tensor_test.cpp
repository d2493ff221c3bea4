// Constants times factors, rounded once.
#include "affine/scaled_tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace bnrun {
namespace {

template <class T>
std::vector<double> rounded(const ScaledTensor& tensor, std::size_t& flushed) {
  const RoundedTensor made = round_to_storage(tensor, dtype_of<T>);
  const Tensor& result = made.tensor;
  flushed += made.flushed;
  EXPECT_EQ(made.before.largest, reach_of(tensor.values).largest);
  EXPECT_EQ(made.before.finite, reach_of(tensor.values).finite);
  EXPECT_EQ(made.after.largest, reach_of(result).largest);
  EXPECT_EQ(made.after.finite, reach_of(result).finite);
  EXPECT_EQ(result.dtype(), dtype_of<T>);
  EXPECT_EQ(result.shape(), tensor.values.shape());
  std::vector<double> values;
  for (const T& x : result.span<T>()) values.push_back(static_cast<double>(static_cast<float>(x)));
  return values;
}

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

TEST(ScaledTensor, FactorsOfRowsAndColumns) {
  std::size_t flushed = 0;
  const Tensor W({2, 3}, Floats{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(rounded<float>({W, {10, 100}, {1, -1, 0.5}}, flushed), (Doubles{10, -20, 15, 400, -500, 300}));
  EXPECT_EQ(rounded<float>({W}, flushed), (Doubles{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(flushed, 0U);
}

TEST(ScaledTensor, EachGroupOfRowsHasItsOwnColumnFactors) {
  std::size_t flushed = 0;
  const Tensor W({4, 1, 2}, Floats{1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(rounded<float>({W, {1, 2, 3, 4}, {10, 100}, 2}, flushed),
            (Doubles{10, 20, 60, 80, 1500, 1800, 2800, 3200}));
}

TEST(ScaledTensor, VisitsElementsInOrderWithTheirFactors) {
  const Tensor W({2, 2, 1}, std::vector<BFloat16>{BFloat16(1), BFloat16(2), BFloat16(3), BFloat16(4)});
  std::vector<std::array<double, 3>> visited;
  for_each_element({W, {0, 0}, {0, 0, 0, 0}, 2}, [&](std::size_t i, std::size_t j, double value) {
    visited.push_back({static_cast<double>(i), static_cast<double>(j), value});
  });
  EXPECT_EQ(visited, (std::vector<std::array<double, 3>>{{0, 0, 1}, {0, 1, 2}, {1, 2, 3}, {1, 3, 4}}));
}

TEST(ScaledTensor, NoElements) {
  std::size_t flushed = 0;
  EXPECT_TRUE(rounded<float>({Tensor(DType::float32, {0, 3}), {}, {1, 1, 1}}, flushed).empty());
  EXPECT_TRUE(rounded<float>({Tensor(DType::float32, {3, 0}), {1, 1, 1}, {}}, flushed).empty());
}

// 1 + 2^-11 lies between two numbers of float16; what is added decides, and float32 would lose it.
TEST(ScaledTensor, RoundsOnceWhateverTheType) {
  std::size_t flushed = 0;
  const Tensor above({2}, Doubles{1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-11 - 0x1p-40});
  EXPECT_EQ(rounded<Half>({above}, flushed), (Doubles{1 + 0x1p-10, 1}));
  const Tensor above_bf16({2}, Doubles{1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-8 - 0x1p-40});
  EXPECT_EQ(rounded<BFloat16>({above_bf16}, flushed), (Doubles{1 + 0x1p-7, 1}));
  // (1 + e)(1 + e)(1 - 2e) is 1 to within e*e; rounded to float32 after each factor it would be 1 - e/2 or
  // less.
  const Tensor W({1, 1}, Floats{1 + 0x1p-23F});
  EXPECT_EQ(rounded<float>({W, {1 + 0x1p-23}, {1 - 0x1p-22}}, flushed), (Doubles{1}));
}

TEST(ScaledTensor, FlushesWhatLiesBelowTheNormalRangeAndCounts) {
  std::size_t flushed = 0;
  EXPECT_EQ(rounded<float>({Tensor({4}, Floats{1, 2, 0, -1}), {0x1p-127}}, flushed),
            (Doubles{0, 0x1p-126, 0, 0}));
  EXPECT_EQ(flushed, 2U);
  EXPECT_EQ(rounded<Half>({Tensor({2}, Floats{1, 2}), {0x1p-15}}, flushed), (Doubles{0x1p-15, 0x1p-14}));
  EXPECT_EQ(flushed, 2U);  // half precision needs its subnormals
  EXPECT_EQ(rounded<BFloat16>({Tensor({2}, Floats{1, 2}), {0x1p-127}}, flushed), (Doubles{0, 0x1p-126}));
  EXPECT_EQ(flushed, 3U);
  const auto tiny = round_to_storage({Tensor({1}, Doubles{0x1p-1000}), {0x1p-23}}, DType::float64);
  EXPECT_EQ(tiny.tensor.data<double>()[0], 0.0);
  EXPECT_EQ(tiny.flushed, 1U);
}

TEST(ScaledTensor, KeepsInfinitiesForTheCheckBehindIt) {
  std::size_t flushed = 0;
  EXPECT_EQ(rounded<Half>({Tensor({1}, Floats{60000}), {2}}, flushed)[0],
            std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(rounded<float>({Tensor({1}, Floats{NAN})}, flushed)[0]));
}

TEST(ScaledTensor, ManyElements) {
  constexpr std::size_t kRows = 53;
  constexpr std::size_t kColumns = 59;
  std::vector<float> values(kRows * kColumns);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  std::vector<double> outer(kRows);
  std::vector<double> inner(kColumns);
  for (std::size_t i = 0; i < kRows; ++i) outer[i] = 1.0 / static_cast<double>(i + 1);
  for (std::size_t j = 0; j < kColumns; ++j) inner[j] = static_cast<double>(j) - 30.0;
  std::size_t flushed = 0;
  const auto result = rounded<float>({Tensor({kRows, kColumns}, values), outer, inner}, flushed);
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 0; j < kColumns; ++j) {
      const std::size_t at = i * kColumns + j;
      const double exact =
          static_cast<double>(at) * (1.0 / static_cast<double>(i + 1)) * (static_cast<double>(j) - 30.0);
      ASSERT_EQ(result[at], static_cast<double>(static_cast<float>(exact))) << i << ' ' << j;
    }
  }
}

}  // namespace
}  // namespace bnrun
