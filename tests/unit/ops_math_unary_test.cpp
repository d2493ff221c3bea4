// Elementwise operators of one tensor.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace bnrun::test {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct UnaryCase {
  const char* name;
  std::int64_t opset;
  std::vector<double> x, y;
  Attributes attributes = {};
};

class UnaryTest : public testing::TestWithParam<UnaryCase> {};

// The numbers are exact in every type or worked out to 12 places by other means (tables of functions).
TEST_P(UnaryTest, KnownValuesInEveryFloatType) {
  const auto& row = GetParam();
  const Shape shape{1, static_cast<std::int64_t>(row.x.size())};
  for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    expect_close(run_op(row.name, row.opset, {tensor_of(dtype, shape, row.x)}, row.attributes)[0],
                 tensor_of(dtype, shape, row.y), dtype == DType::float64 ? 1e-11 : -1.0);
  }
  const Tensor nan = tensor_of(DType::float32, {1}, {kNaN});
  expect_close(run_op(row.name, row.opset, {nan}, row.attributes)[0], nan);
}

INSTANTIATE_TEST_SUITE_P(
    Table, UnaryTest,
    testing::Values(
        UnaryCase{"Abs", 1, {-2, 0, 3, -kInf}, {2, 0, 3, kInf}}, UnaryCase{"Abs", 13, {-2, 0}, {2, 0}},
        UnaryCase{"Acos", 7, {1, 0, -1, 0.5}, {0, 1.570796326795, 3.14159265359, 1.047197551197}},
        UnaryCase{"Acosh", 9, {1, 2, 0.5}, {0, 1.316957896925, kNaN}},
        UnaryCase{"Asin", 7, {0, 1, -0.5}, {0, 1.570796326795, -0.523598775598}},
        UnaryCase{"Asinh", 9, {0, 1, -1}, {0, 0.881373587020, -0.881373587020}},
        UnaryCase{"Atan", 7, {0, 1, kInf}, {0, 0.785398163397, 1.570796326795}},
        UnaryCase{"Atanh", 9, {0, 0.5, 1}, {0, 0.549306144334, kInf}},
        UnaryCase{"Ceil", 6, {1.5, -1.5, 2}, {2, -1, 2}}, UnaryCase{"Cos", 7, {0, 1}, {1, 0.540302305868}},
        UnaryCase{"Cosh", 9, {0, 1, -1}, {1, 1.543080634815, 1.543080634815}},
        UnaryCase{"Erf", 9, {0, 0.5, -1, kInf}, {0, 0.520499877813, -0.842700792950, 1}},
        UnaryCase{"Exp", 6, {0, 1, -kInf}, {1, 2.718281828459, 0}},
        UnaryCase{"Floor", 6, {1.5, -1.5, 2}, {1, -2, 2}},
        UnaryCase{"Log", 6, {1, 2, 0, -1}, {0, 0.693147180560, -kInf, kNaN}},
        UnaryCase{"Neg", 1, {-2, 0, 3}, {2, 0, -3}},
        UnaryCase{"Reciprocal", 1, {2, -4, 0}, {0.5, -0.25, kInf}},
        UnaryCase{"Round", 11, {0.5, 1.5, 2.5, -0.5, -1.5, 2.25}, {0, 2, 2, 0, -2, 2}},
        UnaryCase{"Sign", 9, {-3, 0, 5}, {-1, 0, 1}}, UnaryCase{"Sin", 7, {0, 1}, {0, 0.841470984808}},
        UnaryCase{"Sinh", 9, {0, 1, -1}, {0, 1.175201193644, -1.175201193644}},
        UnaryCase{"Sqrt", 6, {4, 0, 2, -1}, {2, 0, 1.414213562373, kNaN}},
        UnaryCase{"Tan", 7, {0, 1}, {0, 1.557407724655}}),
    [](const auto& row) { return std::string(row.param.name) + "_" + std::to_string(row.index); });

TEST(Unary, Integers) {
  constexpr auto kMin = std::numeric_limits<std::int32_t>::min();
  const Tensor X({3}, std::vector<std::int32_t>{-5, 0, kMin});
  expect_close(run_op("Abs", 13, {X})[0], tensor<std::int32_t>({3}, {5, 0, kMin}));
  expect_close(run_op("Neg", 13, {X})[0], tensor<std::int32_t>({3}, {5, 0, kMin}));
  expect_close(run_op("Sign", 13, {X})[0], tensor<std::int32_t>({3}, {-1, 0, -1}));
  expect_close(run_op("Abs", 13, {tensor<std::uint8_t>({1}, {200})})[0], tensor<std::uint8_t>({1}, {200}));
  expect_close(run_op("BitwiseNot", 18, {tensor<std::uint16_t>({1}, {0xF0F0})})[0],
               tensor<std::uint16_t>({1}, {0x0F0F}));
  EXPECT_EQ(run_op_error("Exp", 13, {X}), ErrorCode::unsupported);
}

TEST(Unary, BooleanResults) {
  const Tensor X = tensor_of(DType::float16, {4}, {1, kNaN, kInf, -kInf});
  using Flags = std::vector<bool>;
  expect_close(run_op("IsNaN", 9, {X})[0], Tensor({4}, Flags{false, true, false, false}));
  expect_close(run_op("IsInf", 10, {X})[0], Tensor({4}, Flags{false, false, true, true}));
  expect_close(run_op("IsInf", 20, {X}, {{"detect_negative", 0}})[0],
               Tensor({4}, Flags{false, false, true, false}));
  expect_close(run_op("IsInf", 20, {X}, {{"detect_positive", 0}})[0],
               Tensor({4}, Flags{false, false, false, true}));
  expect_close(run_op("Not", 1, {Tensor({2}, Flags{true, false})})[0], Tensor({2}, Flags{false, true}));
}

TEST(Neg, IsAffineAndLetsAffineMapsPass) {
  const auto op = op_of("Neg", 13, 1);
  const ValueType X{DType::float32, Dims{Dim::symbol("N"), Dim(2)}};
  const auto form = op->as_affine({.inputs = std::span(&X, 1)});
  ASSERT_TRUE(std::holds_alternative<AffineForm>(form));
  EXPECT_EQ(std::get<AffineForm>(form).affine.scale, std::vector<double>{-1.0});
  // -(2*x + 3) = 2*(-x) - 3
  const auto passed =
      op->pass_affine(Side::input, {1, {2.0, 4.0}, {3.0, -5.0}}, {.inputs = std::span(&X, 1)});
  ASSERT_TRUE(std::holds_alternative<ChannelAffine>(passed));
  EXPECT_EQ(std::get<ChannelAffine>(passed).scale, (std::vector<double>{2.0, 4.0}));
  EXPECT_EQ(std::get<ChannelAffine>(passed).shift, (std::vector<double>{-3.0, 5.0}));
}

TEST(Neg, NegatesTheContentOfShapes) {
  ValueType X{DType::int64, Dims{Dim(2)}};
  X.content = {Content::of(Dim::symbol("N")), Content::of(4)};
  const TensorView unknown;
  const auto types =
      op_of("Neg", 13, 1)->infer({.inputs = std::span(&X, 1), .values = std::span(&unknown, 1)});
  ASSERT_TRUE(types[0].content.has_value());
  EXPECT_FALSE((*types[0].content)[0].number || !(*types[0].content)[0].symbol.empty());
  EXPECT_EQ((*types[0].content)[1].number, -4);
}

}  // namespace
}  // namespace bnrun::test
