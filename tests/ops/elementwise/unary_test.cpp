// Elementwise operators of one tensor.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct UnaryCase {
  const char* name;
  std::int64_t opset;
  std::vector<double> x, y;
  Attributes attributes = {};
};

class UnaryTest : public ::testing::TestWithParam<UnaryCase> {};

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
    ::testing::Values(
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
        UnaryCase{"Tan", 7, {0, 1}, {0, 1.557407724655}},
        UnaryCase{"Celu", 12, {1, -1, 0}, {1, -0.632120558829, 0}},
        UnaryCase{"Celu", 12, {1, -1}, {1, -0.786938680575}, {{"alpha", 2.0F}}},
        UnaryCase{"Clip", 1, {-9, 0, 9}, {-1, 0, 9}, {{"min", -1.0F}}},
        UnaryCase{"Clip", 6, {-9, 0, 9}, {-1, 0, 2}, {{"min", -1.0F}, {"max", 2.0F}}},
        UnaryCase{"Clip", 6, {-kInf, 0, kInf}, {-kInf, 0, kInf}},
        UnaryCase{"Clip", 6, {-9, 0, 9}, {-4, -4, -4}, {{"min", 1.0F}, {"max", -4.0F}}},
        UnaryCase{"Elu", 1, {1, -1}, {1, -1.264241117657}, {{"alpha", 2.0F}}},
        UnaryCase{"Elu", 6, {1, -1}, {1, -0.632120558829}},
        UnaryCase{"Gelu", 20, {0, 1, -1, 10}, {0, 0.841344746069, -0.158655253931, 10}},
        UnaryCase{"Gelu",
                  20,
                  {0, 1, -1},
                  {0, 0.841191990608, -0.158808009392},
                  {{"approximate", std::string("tanh")}}},
        UnaryCase{"HardSigmoid", 6, {-9, 0, 9}, {0, 0.5, 1}},
        UnaryCase{"HardSigmoid", 1, {-1, 0, 0.5}, {0, 0.25, 0.5}, {{"alpha", 0.5F}, {"beta", 0.25F}}},
        UnaryCase{"HardSwish", 14, {-4, -1.5, 0, 3, 4}, {0, -0.375, 0, 3, 4}},
        UnaryCase{"LeakyRelu", 6, {2, -2}, {2, -1}, {{"alpha", 0.5F}}},
        UnaryCase{"Mish", 18, {0, 1, -1}, {0, 0.865098388267, -0.303401461374}},
        UnaryCase{"Relu", 6, {2, -2}, {2, 0}},
        UnaryCase{"Selu", 6, {1, -1}, {2, -1.896361676486}, {{"alpha", 1.5F}, {"gamma", 2.0F}}},
        UnaryCase{"Shrink", 9, {-2, -1, 0, 1, 2}, {-1.5, 0, 0, 0, 1.5}, {{"lambd", 1.0F}, {"bias", 0.5F}}},
        UnaryCase{"Sigmoid", 6, {0, 1, -1, 1000, -1000}, {0.5, 0.731058578630, 0.268941421370, 1, 0}},
        UnaryCase{"Softplus", 1, {0, 1, 1000, -1000}, {0.693147180560, 1.313261687518, 1000, 0}},
        UnaryCase{"Softsign", 1, {0, 1, -3}, {0, 0.5, -0.75}},
        UnaryCase{"Swish", 24, {0, 1, -1}, {0, 0.880797077978, -0.119202922022}, {{"alpha", 2.0F}}},
        UnaryCase{"Tanh", 6, {0, 1}, {0, 0.761594155956}},
        UnaryCase{"ThresholdedRelu", 10, {0.5, 1, 2}, {0, 0, 2}},
        UnaryCase{"ThresholdedRelu", 10, {0.5, 1, 2}, {0, 1, 2}, {{"alpha", 0.5F}}}),
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

TEST(Selu, DefaultsOfEachVersion) {
  const Tensor X = tensor<double>({1}, {1});
  expect_close(run_op("Selu", 1, {X})[0], tensor<double>({1}, {1.0507}), 1e-7);
  expect_close(run_op("Selu", 6, {X})[0], tensor<double>({1}, {1.0507010221481323}), 1e-12);
}

TEST(Gelu, FarBelowZeroKeepsItsDigits) {
  expect_close(run_op("Gelu", 20, {tensor<float>({1}, {-5})})[0], tensor<float>({1}, {-1.4332579e-6F}), 1e-5,
               0.0);
}

TEST(Clip, BoundsAsInputs) {
  const Tensor X({3}, std::vector<float>{-9, 0, 9});
  const Tensor low({}, std::vector<float>{-1});
  const Tensor high({1}, std::vector<float>{2});
  expect_close(run_op("Clip", 11, {X, low, high})[0], tensor<float>({3}, {-1, 0, 2}));
  expect_close(run_op("Clip", 11, {X, {}, high})[0], tensor<float>({3}, {-9, 0, 2}));
  expect_close(run_op("Clip", 12, {X, low})[0], tensor<float>({3}, {-1, 0, 9}));
  expect_close(run_op("Clip", 12, {X, high, low})[0], tensor<float>({3}, {-1, -1, -1}));
  expect_close(run_op("Clip", 13, {X})[0], X);
  expect_close(run_op("Clip", 12, {tensor<std::int8_t>({3}, {-128, 0, 5}), tensor<std::int8_t>({}, {-3})})[0],
               tensor<std::int8_t>({3}, {-3, 0, 5}));
  const Tensor nan({1}, std::vector<float>{std::numeric_limits<float>::quiet_NaN()});
  expect_close(run_op("Clip", 13, {nan, low, high})[0], nan);
  EXPECT_EQ(run_op_error("Clip", 13, {X, X}), ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("Clip", 13, {X, tensor<double>({}, {1})}), ErrorCode::invalid_model);
}

TEST(PRelu, SlopesOfEachVersion) {
  const Tensor X({1, 2, 2}, std::vector<float>{-1, 2, -3, -4});
  const Tensor slope({2}, std::vector<float>{0.5F, 2});
  // along the channels before opset 7, along the last axis since
  expect_close(run_op("PRelu", 6, {X, slope})[0], tensor<float>({1, 2, 2}, {-0.5F, 2, -6, -8}));
  expect_close(run_op("PRelu", 7, {X, slope})[0], tensor<float>({1, 2, 2}, {-0.5F, 2, -1.5F, -8}));
  expect_close(run_op("PRelu", 1, {X, tensor<float>({1}, {3})})[0],
               tensor<float>({1, 2, 2}, {-3, 2, -9, -12}));
  expect_close(run_op("PRelu", 16, {X, tensor<float>({2, 1}, {0, 1})})[0],
               tensor<float>({1, 2, 2}, {0, 2, -3, -4}));
  EXPECT_EQ(
      run_op_error("PRelu", 16, {tensor<float>({2}, {1, 1}), tensor<float>({3, 2}, {1, 1, 1, 1, 1, 1})}),
      ErrorCode::invalid_model);
}

TEST(Activations, PositiveScalesPassHomogeneousOnes) {
  const ChannelAffine scale{1, {2.0, 0.5}, {0.0, 0.0}};
  const ChannelAffine negative{1, {2.0, -0.5}, {0.0, 0.0}};
  const ChannelAffine shifted{1, {2.0, 0.5}, {0.0, 1.0}};
  const auto passes = [](const char* name, const ChannelAffine& affine) {
    const auto op = op_of(name, 16, std::string(name) == "PRelu" ? 2 : 1);
    return std::holds_alternative<ChannelAffine>(op->pass_affine(Side::input, affine, {}));
  };
  for (const char* name : {"Relu", "LeakyRelu", "PRelu"}) {
    EXPECT_TRUE(passes(name, scale)) << name;
    EXPECT_FALSE(passes(name, negative)) << name;
    EXPECT_FALSE(passes(name, shifted)) << name;
  }
  EXPECT_FALSE(passes("Elu", scale));
}

TEST(Activations, ConstantBoundsAndSlopesCanBeFused) {
  const ValueType types[] = {
      {DType::float32, Dims{Dim::symbol("N"), Dim(4)}}, {DType::float32, Dims{}}, {DType::float32, Dims{}}};
  const Tensor zero({}, std::vector<float>{0});
  const Tensor six({1}, std::vector<float>{6});
  const Tensor per_channel({4}, std::vector<float>{1, 2, 3, 4});
  const auto activation = [&](const char* name, const std::vector<const Tensor*>& constants) {
    return op_of(name, 16, constants.size())
        ->as_activation({.inputs = std::span(types, constants.size()), .constants = constants});
  };
  EXPECT_EQ(activation("Clip", {nullptr, &zero, &six}), (Activation{Activation::Kind::clip, 0.0, 6.0}));
  EXPECT_EQ(activation("Clip", {nullptr, &zero}), (Activation{Activation::Kind::clip, 0.0, kInf}));
  EXPECT_EQ(activation("Clip", {nullptr, &zero, nullptr}), std::nullopt);
  EXPECT_EQ(activation("PRelu", {nullptr, &six}), (Activation{Activation::Kind::leaky_relu, 6.0}));
  EXPECT_EQ(activation("PRelu", {nullptr, &per_channel}), std::nullopt);
  EXPECT_EQ(activation("Relu", {nullptr}), Activation{Activation::Kind::relu});
}

TEST(Neg, IsAffine) {
  const auto op = op_of("Neg", 13, 1);
  const ValueType X{DType::float32, Dims{Dim::symbol("N"), Dim(2)}};
  const auto form = op->as_affine({.inputs = std::span(&X, 1)});
  ASSERT_TRUE(std::holds_alternative<AffineForm>(form));
  EXPECT_EQ(std::get<AffineForm>(form).affine.scale, std::vector<double>{-1.0});
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
}  // namespace bnrun::testing
