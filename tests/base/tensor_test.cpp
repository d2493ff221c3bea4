#include "bnrun/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "bnrun/error.h"
#include "support/expect_error.h"

namespace bnrun {
namespace {

TEST(Tensor, StartsAtZeroAndAligned) {
  const Tensor tensor(DType::float32, {3, 5});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.view().bytes) % 64, 0U);
  for (const float x : tensor.span<float>()) EXPECT_EQ(x, 0.0F);
}

TEST(Tensor, WritingACopyLeavesTheOriginal) {
  Tensor original({2}, std::vector<float>{1, 2});
  Tensor copy = original;
  copy.mutable_data<float>()[0] = 7;
  EXPECT_EQ(original.data<float>()[0], 1);
  EXPECT_EQ(copy.data<float>()[0], 7);
}

TEST(Tensor, HugeShapeIsAResourceLimit) {
  try {
    Tensor(DType::float32, {std::int64_t{1} << 40, std::int64_t{1} << 40});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource_limit);
  }
}

TEST(Tensor, ReadingTheWrongTypeThrows) {
  const Tensor tensor(DType::float32, {1});
  testing::expect_error(ErrorCode::internal, [&] { tensor.data<double>(); });
}

TEST(Shape, ZeroExtentBeatsOverflow) {
  EXPECT_EQ((Shape{0, std::int64_t{1} << 62, std::int64_t{1} << 62}.elements()), 0);
}

TEST(Half, EveryBitPatternSurvivesFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    Half half;
    half.bits = static_cast<std::uint16_t>(bits);
    const auto wide = static_cast<float>(half);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(Half(wide))));
    } else {
      EXPECT_EQ(Half(wide).bits, bits);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(static_cast<float>(Half(2049.0F)), 2048.0F);
  EXPECT_EQ(static_cast<float>(Half(2051.0F)), 2052.0F);
  EXPECT_EQ(static_cast<float>(Half(65519.0F)), 65504.0F);
  EXPECT_TRUE(std::isinf(static_cast<float>(Half(65520.0F))));
  EXPECT_EQ(Half(0x1p-25F).bits, 0);
  EXPECT_EQ(Half(0x1.8p-25F).bits, 1);
}

TEST(Convert, DoubleToHalfRoundsOnce) {
  // A hair above and below halfway between two neighbours, which a float in between would lose.
  const double hair = 0x1p-40;
  const Tensor in({5}, std::vector<double>{1.0 + 0x1p-11 + hair, 1.0 + 0x3p-11 - hair, -1.0 - 0x1p-11 - hair,
                                           1.0 + 0x1p-11, 65520.0 - 0x1p-30});
  const Tensor half = convert(in, DType::float16);
  const std::vector<float> expected = {1.0F + 0x1p-10F, 1.0F + 0x1p-10F, -1.0F - 0x1p-10F, 1.0F, 65504.0F};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(static_cast<float>(half.span<Half>()[i]), expected[i]) << i;
  }
  const Tensor brain = convert(Tensor({1}, std::vector<double>{1.0 + 0x1p-8 + hair}), DType::bfloat16);
  EXPECT_EQ(static_cast<float>(brain.span<BFloat16>()[0]), 1.0F + 0x1p-7F);
}

TEST(Convert, FloatToIntegerSaturates) {
  const Tensor in({4}, std::vector<float>{-1.7F, 300.0F, -300.0F, std::numeric_limits<float>::quiet_NaN()});
  const Tensor out = convert(in, DType::int8);
  const std::vector<std::int8_t> expected = {-1, 127, -128, 0};
  EXPECT_TRUE(std::ranges::equal(out.span<std::int8_t>(), expected));
}

}  // namespace
}  // namespace bnrun
