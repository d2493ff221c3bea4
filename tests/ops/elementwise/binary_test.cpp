// Elementwise operators of two or more tensors.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>

#include "base/elements.h"
#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
using Flags = std::vector<bool>;

struct BinaryCase {
  const char* name;
  std::int64_t opset;
  Tensor A, B, C;
  Attributes attributes = {};
};

class BinaryTest : public ::testing::TestWithParam<BinaryCase> {};

TEST_P(BinaryTest, ByHand) {
  const auto& row = GetParam();
  expect_close(run_op(row.name, row.opset, {row.A, row.B}, row.attributes)[0], row.C);
}

const Tensor kA({2, 2}, std::vector<float>{1, 2, 3, kNaN});
const Tensor kB({2}, std::vector<float>{2, 2});
const Tensor kYes({2}, Flags{true, true});
const Tensor kTwo({2}, Flags{true, false});
const Tensor kColumn({2, 1}, Flags{true, false});
const Tensor kInts({4}, std::vector<std::int32_t>{7, -7, 7, -7});
const Tensor kDivisors({4}, std::vector<std::int32_t>{3, 3, -3, -3});

INSTANTIATE_TEST_SUITE_P(
    Table, BinaryTest,
    ::testing::Values(
        BinaryCase{"Equal", 7, kA, kB, Tensor({2, 2}, Flags{false, true, false, false})},
        BinaryCase{"Equal", 13, kTwo, kYes, kTwo},
        BinaryCase{"Equal", 19, tensor<std::string>({2}, {"a", "b"}), tensor<std::string>({1}, {"b"}),
                   Tensor({2}, Flags{false, true})},
        BinaryCase{"Greater", 9, kA, kB, Tensor({2, 2}, Flags{false, false, true, false})},
        BinaryCase{"GreaterOrEqual", 12, kA, kB, Tensor({2, 2}, Flags{false, true, true, false})},
        BinaryCase{"Less", 13, kA, kB, Tensor({2, 2}, Flags{true, false, false, false})},
        BinaryCase{"LessOrEqual", 16, kA, kB, Tensor({2, 2}, Flags{true, true, false, false})},
        BinaryCase{"Less", 9, tensor<std::uint64_t>({1}, {~std::uint64_t{0}}),
                   tensor<std::uint64_t>({1}, {1}), Tensor({1}, Flags{false})},
        // before opset 7 the axis of A at which B starts
        BinaryCase{"Greater",
                   1,
                   tensor<float>({2, 2}, {1, 2, 3, 4}),
                   tensor<float>({2}, {1, 3}),
                   Tensor({2, 2}, Flags{false, true, false, true}),
                   {{"broadcast", 1}, {"axis", 0}}},
        BinaryCase{"And", 7, kTwo, kColumn, Tensor({2, 2}, Flags{true, false, false, false})},
        BinaryCase{"Or", 7, kTwo, kColumn, Tensor({2, 2}, Flags{true, true, true, false})},
        BinaryCase{"Xor", 7, kTwo, kColumn, Tensor({2, 2}, Flags{false, true, true, false})},
        BinaryCase{"Xor",
                   1,
                   Tensor({2, 2}, Flags{true, false, true, false}),
                   kTwo,
                   Tensor({2, 2}, Flags{false, true, true, false}),
                   {{"broadcast", 1}, {"axis", 0}}},
        BinaryCase{"Mod", 10, kInts, kDivisors, tensor<std::int32_t>({4}, {1, 2, -2, -1})},
        BinaryCase{"Mod", 10, kInts, kDivisors, tensor<std::int32_t>({4}, {1, -1, 1, -1}), {{"fmod", 1}}},
        BinaryCase{"Mod",
                   13,
                   tensor<float>({3}, {7.5F, -7.5F, 1}),
                   tensor<float>({1}, {2}),
                   tensor<float>({3}, {1.5F, -1.5F, 1}),
                   {{"fmod", 1}}},
        BinaryCase{"Mod", 13, tensor<std::int64_t>({2}, {5, std::numeric_limits<std::int64_t>::min()}),
                   tensor<std::int64_t>({2}, {0, -1}), tensor<std::int64_t>({2}, {0, 0})},
        BinaryCase{"BitShift",
                   11,
                   tensor<std::uint8_t>({3}, {16, 255, 1}),
                   tensor<std::uint8_t>({3}, {1, 4, 8}),
                   tensor<std::uint8_t>({3}, {32, 240, 0}),
                   {{"direction", std::string("LEFT")}}},
        BinaryCase{"BitShift",
                   11,
                   tensor<std::uint8_t>({3}, {16, 255, 1}),
                   tensor<std::uint8_t>({3}, {1, 4, 8}),
                   tensor<std::uint8_t>({3}, {8, 15, 0}),
                   {{"direction", std::string("RIGHT")}}},
        BinaryCase{"BitwiseAnd", 18, tensor<std::int16_t>({1}, {-4}), tensor<std::int16_t>({1}, {7}),
                   tensor<std::int16_t>({1}, {4})},
        BinaryCase{"BitwiseOr", 18, tensor<std::int16_t>({1}, {-4}), tensor<std::int16_t>({1}, {3}),
                   tensor<std::int16_t>({1}, {-1})},
        BinaryCase{"BitwiseXor", 18, tensor<std::uint32_t>({1}, {0xFF}), tensor<std::uint32_t>({1}, {0x0F}),
                   tensor<std::uint32_t>({1}, {0xF0})},
        BinaryCase{"Pow", 7, tensor<float>({2, 2}, {1, 2, 3, 4}), tensor<float>({2}, {2, 0.5F}),
                   tensor<float>({2, 2}, {1, 1.41421356F, 9, 2})},
        BinaryCase{"Pow",
                   1,
                   tensor<float>({2, 2}, {1, 2, 3, 4}),
                   tensor<float>({2}, {2, 1}),
                   tensor<float>({2, 2}, {1, 4, 3, 4}),
                   {{"broadcast", 1}, {"axis", 0}}},
        BinaryCase{"Pow", 12, tensor<float>({2}, {-2, 0.5F}), tensor<std::int64_t>({1}, {3}),
                   tensor<float>({2}, {-8, 0.125F})},
        BinaryCase{"Pow", 13, tensor<std::int32_t>({5}, {-3, 2, 2, -1, 7}),
                   tensor<std::int32_t>({5}, {3, 31, -1, -3, 0}),
                   tensor<std::int32_t>({5}, {-27, std::numeric_limits<std::int32_t>::min(), 0, -1, 1})},
        BinaryCase{"Pow", 13, tensor<std::int32_t>({3}, {9, 10, -1}), tensor<float>({3}, {0.5F, 20, 0.5F}),
                   tensor<std::int32_t>({3}, {3, std::numeric_limits<std::int32_t>::max(), 0})},
        BinaryCase{"Pow", 15, tensor_of(DType::float16, {2}, {3, 4}), tensor<double>({1}, {2}),
                   tensor_of(DType::float16, {2}, {9, 16})}),
    [](const auto& row) { return std::string(row.param.name) + "_" + std::to_string(row.index); });

/// One exponent for all elements: the same as an exponent for each, also where powers are taken as products.
TEST(Pow, OneExponentActsLikeOneForEachElement) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::vector<double> bases = {-kInf, -3.25, -1.0, -0.0, 0.0, 0.1, 1.0, 2.75, 1e30, kInf, NAN};
  const auto count = static_cast<std::int64_t>(bases.size());
  for (const DType dtype : {DType::float32, DType::float64, DType::bfloat16}) {
    const Tensor X = tensor_of(dtype, {count}, bases);
    for (const double exponent : {-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 2.5}) {
      const std::vector<double> each(bases.size(), exponent);
      const Tensor Y = run_op("Pow", 15, {X, tensor_of(dtype, {}, {exponent})})[0];
      expect_close(Y, run_op("Pow", 15, {X, tensor_of(dtype, {count}, each)})[0]);
      const auto at_minus_zero = read_doubles(Y.view())[3];
      EXPECT_EQ(std::signbit(at_minus_zero), std::signbit(std::pow(-0.0, exponent))) << exponent;
    }
  }
}

const DType kNumbers[] = {DType::float32, DType::float64, DType::float16, DType::bfloat16,
                          DType::int8,    DType::int16,   DType::int32,   DType::int64,
                          DType::uint8,   DType::uint16,  DType::uint32,  DType::uint64};

/// One function serves types of equal bits, and one both orders of comparing: a sign must matter where it does.
TEST(Binary, EveryElementTypeAsNumbersDo) {
  const auto flags = [](const Flags& values) {
    return Tensor({static_cast<std::int64_t>(values.size())}, values);
  };
  for (const DType dtype : kNumbers) {
    SCOPED_TRACE(name_of(dtype));
    const bool is_unsigned =
        dtype == DType::uint8 || dtype == DType::uint16 || dtype == DType::uint32 || dtype == DType::uint64;
    const double low = is_unsigned ? 6 : -6;
    const auto numbers = [&](const std::vector<double>& values) { return tensor_of(dtype, {3}, values); };
    const Tensor A = numbers({low, 3, 12});
    const Tensor B = numbers({2, 3, low});
    const auto result = [&](const char* name) { return run_op(name, 16, {A, B})[0]; };
    expect_close(result("Equal"), flags({false, true, false}));
    expect_close(result("Less"), flags({!is_unsigned, false, false}));
    expect_close(result("LessOrEqual"), flags({!is_unsigned, true, false}));
    expect_close(result("Greater"), flags({is_unsigned, false, true}));
    expect_close(result("GreaterOrEqual"), flags({is_unsigned, true, true}));
    expect_close(result("Add"), numbers({low + 2, 6, 12 + low}));
    if (is_unsigned) {
      expect_close(run_op("Sub", 14, {A, numbers({2, 3, 5})})[0], numbers({4, 0, 7}));
    } else {
      expect_close(result("Sub"), numbers({-8, 0, 18}));
    }
    expect_close(result("Mul"), numbers({low * 2, 9, 12 * low}));
    expect_close(result("Div"), numbers({low / 2, 1, 12 / low}));
    expect_close(run_op("Where", 16, {flags({true, false, true}), A, B})[0], numbers({low, 3, 12}));
  }
}

TEST(Binary, BitsOfEveryIntegerType) {
  for (const DType dtype : std::span(kNumbers).subspan(4)) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor A = tensor_of(dtype, {2}, {12, 96});
    const Tensor B = tensor_of(dtype, {2}, {10, 127});
    expect_close(run_op("BitwiseAnd", 18, {A, B})[0], tensor_of(dtype, {2}, {8, 96}));
    expect_close(run_op("BitwiseOr", 18, {A, B})[0], tensor_of(dtype, {2}, {14, 127}));
    expect_close(run_op("BitwiseXor", 18, {A, B})[0], tensor_of(dtype, {2}, {6, 31}));
  }
}

/// Powers of every type of base by every type of exponent.
TEST(Pow, EveryPairOfTypes) {
  for (const DType base :
       {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int32, DType::int64}) {
    for (const DType exponent : kNumbers) {
      SCOPED_TRACE(::testing::Message() << name_of(base) << " to the " << name_of(exponent));
      const Tensor Y =
          run_op("Pow", 15, {tensor_of(base, {3}, {3, -2, 1}), tensor_of(exponent, {3}, {4, 3, 0})})[0];
      expect_close(Y, tensor_of(base, {3}, {81, -8, 1}));
    }
  }
  // exponents that are no doubles
  const Tensor odd({1}, std::vector<std::int64_t>{(std::int64_t{1} << 53) + 1});
  expect_close(run_op("Pow", 15, {tensor<std::int64_t>({1}, {-1}), odd})[0], tensor<std::int64_t>({1}, {-1}));
}

TEST(Binary, Refusals) {
  EXPECT_EQ(run_op_error("Equal", 13, {kA, kInts}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("BitShift", 11, {kInts, kInts}, {{"direction", std::string("UP")}}),
            ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Mod", 13, {kA, kB}), ErrorCode::unsupported);  // floats need fmod
  EXPECT_EQ(run_op_error("Less", 13, {kA, kB}, {{"broadcast", 1}}), ErrorCode::unsupported);
  EXPECT_EQ(run_op_error("And", 13, {kA, kB}), ErrorCode::unsupported);
  EXPECT_EQ(run_op_error("Where", 13, {kA, kA, kA}), ErrorCode::invalid_model);
}

TEST(Where, BroadcastsAllThree) {
  expect_close(run_op("Where", 9, {kColumn, tensor<float>({2}, {1, 2}), tensor<float>({}, {9})})[0],
               tensor<float>({2, 2}, {1, 2, 9, 9}));
  expect_close(
      run_op("Where", 16, {kTwo, tensor<std::string>({1}, {"a"}), tensor<std::string>({2}, {"b", "c"})})[0],
      tensor<std::string>({2}, {"a", "c"}));
  EXPECT_EQ(run_op("Where", 9, {kTwo, Tensor(DType::float32, {0, 2}), kB})[0].shape(), (Shape{0, 2}));
}

TEST(Variadic, SumsMeansAndExtremes) {
  const Tensor a({2, 2}, std::vector<float>{1, 5, 3, kNaN});
  const Tensor b({2}, std::vector<float>{2, 4});
  const Tensor c({}, std::vector<float>{3});
  expect_close(run_op("Max", 8, {a, b, c})[0], tensor<float>({2, 2}, {3, 5, 3, kNaN}));
  expect_close(run_op("Min", 8, {c, b, a})[0], tensor<float>({2, 2}, {1, 3, 2, kNaN}));
  expect_close(run_op("Sum", 8, {a, b, c})[0], tensor<float>({2, 2}, {6, 12, 8, kNaN}));
  expect_close(run_op("Mean", 13, {a, b, c})[0], tensor<float>({2, 2}, {2, 4, 8.0F / 3, kNaN}));
  expect_close(run_op("Sum", 6, {b})[0], b);
  expect_close(run_op("Max", 1, {b, b})[0], b);
  expect_close(run_op("Max", 12, {tensor<std::int8_t>({2}, {-1, 4}), tensor<std::int8_t>({1}, {2})})[0],
               tensor<std::int8_t>({2}, {2, 4}));
  // 2048 + 1 + 1 in fp16 is 2050 only when it is rounded once
  const Tensor one = tensor_of(DType::float16, {1}, {1});
  expect_close(run_op("Sum", 13, {tensor_of(DType::float16, {1}, {2048}), one, one})[0],
               tensor_of(DType::float16, {1}, {2050}), 0.0, 0.0);
  EXPECT_EQ(run_op_error("Sum", 13, {b, tensor<double>({1}, {1})}), ErrorCode::invalid_model);
}

TEST(Variadic, SumWithAConstantIsAffine) {
  const ValueType types[] = {{DType::float32, Dims{Dim::symbol("N"), Dim(2)}},
                             {DType::float32, Dims{Dim(2)}}};
  const Tensor bias({2}, std::vector<float>{3, 5});
  const Tensor* const constants[] = {nullptr, &bias};
  const auto form = op_of("Mean", 13, 2)->as_affine({.inputs = types, .constants = constants});
  ASSERT_TRUE(std::holds_alternative<AffineForm>(form));
  EXPECT_EQ(std::get<AffineForm>(form).affine.axis, 1);
  EXPECT_EQ(std::get<AffineForm>(form).affine.scale, (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(std::get<AffineForm>(form).affine.shift, (std::vector<double>{1.5, 2.5}));
  const auto max = op_of("Max", 13, 2)->as_affine({.inputs = types, .constants = constants});
  EXPECT_TRUE(std::holds_alternative<Declined>(max));
}

TEST(Variadic, MaxOfShapes) {
  ValueType types[] = {{DType::int64, Dims{Dim(2)}}, {DType::int64, Dims{Dim(1)}}};
  types[0].content = {Content::of(7), Content::of(Dim::symbol("N"))};
  types[1].content = {Content::of(9)};
  const TensorView unknown[2];
  const auto result = op_of("Max", 13, 2)->infer({.inputs = types, .values = unknown});
  ASSERT_TRUE(result[0].content.has_value());
  EXPECT_EQ((*result[0].content)[0].number, 9);
  EXPECT_FALSE((*result[0].content)[1].number.has_value());
}

}  // namespace
}  // namespace bnrun::testing
