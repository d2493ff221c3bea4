// Softmax, LogSoftmax, Hardmax, ArgMax, ArgMin, Cast, CastLike.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace bnrun::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct SoftmaxCase {
  std::int64_t opset;
  Attributes attributes;
  std::size_t first, last;  ///< axes [first, last) of [2,3,4] are normalised together
};

class SoftmaxTest : public testing::TestWithParam<SoftmaxCase> {};

// exp(x)/sum exp(x) as the textbook has it: the numbers are small, so nothing overflows
TEST_P(SoftmaxTest, EqualsTheDefinition) {
  const auto& [opset, attributes, first, last] = GetParam();
  const Shape shape{2, 3, 4};
  const Tensor X = random_tensor(DType::float64, shape, -3.0, 3.0);
  const std::int64_t inner = shape.elements(last, 3);
  const std::int64_t extent = shape.elements(first, last);
  std::vector<double> soft(24), log_soft(24), hard(24);
  const double* x = X.data<double>();
  for (std::int64_t i = 0; i < 24; ++i) {
    const std::int64_t base = i - (i / inner) % extent * inner;
    double sum = 0.0;
    double largest = -1e9;
    for (std::int64_t k = 0; k < extent; ++k) {
      sum += std::exp(x[base + k * inner]);
      largest = std::max(largest, x[base + k * inner]);
    }
    soft[static_cast<std::size_t>(i)] = std::exp(x[i]) / sum;
    log_soft[static_cast<std::size_t>(i)] = x[i] - std::log(sum);
    hard[static_cast<std::size_t>(i)] = x[i] == largest ? 1.0 : 0.0;
  }
  for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    // Hardmax of rounded numbers may tie, so it is compared only where nothing was rounded.
    const Tensor rounded = convert(X, dtype);
    const double tolerance = dtype == DType::float16 ? 1e-2 : dtype == DType::bfloat16 ? 5e-2 : -1.0;
    expect_close(run_op("Softmax", opset, {rounded}, attributes)[0], tensor_of(dtype, shape, soft), tolerance,
                 tolerance);
    expect_close(run_op("LogSoftmax", opset, {rounded}, attributes)[0], tensor_of(dtype, shape, log_soft),
                 tolerance, tolerance);
  }
  expect_close(run_op("Hardmax", opset, {X}, attributes)[0], tensor(shape, hard));
}

INSTANTIATE_TEST_SUITE_P(EveryVersion, SoftmaxTest,
                         testing::Values(SoftmaxCase{1, {}, 1, 3}, SoftmaxCase{1, {{"axis", 0}}, 0, 3},
                                         SoftmaxCase{1, {{"axis", 2}}, 2, 3},
                                         SoftmaxCase{11, {{"axis", -2}}, 1, 3}, SoftmaxCase{13, {}, 2, 3},
                                         SoftmaxCase{13, {{"axis", 0}}, 0, 1},
                                         SoftmaxCase{13, {{"axis", 1}}, 1, 2},
                                         SoftmaxCase{21, {{"axis", -3}}, 0, 1}));

TEST(Softmax, RowsWithoutAnAnswerAreNaN) {
  const Tensor X({5, 2}, std::vector<float>{kInf, 0, kNaN, 0, -kInf, -kInf, -kInf, 3, 1e30F, -1e30F});
  const Tensor Y({5, 2}, std::vector<float>{kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, 0, 1, 1, 0});
  expect_close(run_op("Softmax", 13, {X})[0], Y);
  const Tensor L({5, 2}, std::vector<float>{kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, -kInf, 0, 0, -2e30F});
  expect_close(run_op("LogSoftmax", 13, {X})[0], L);
}

TEST(Softmax, LogSoftmaxKeepsWhatSoftmaxLoses) {
  const Tensor X({1, 3}, std::vector<float>{0, 0, -1000});
  const double log2 = std::log(2.0);
  expect_close(run_op("LogSoftmax", 13, {X})[0],
               tensor_of(DType::float32, {1, 3}, {-log2, -log2, -1000.0 - log2}));
}

TEST(Softmax, EmptyBatchAndScalar) {
  EXPECT_EQ(run_op("Softmax", 13, {Tensor(DType::float32, {0, 4})})[0].shape(), (Shape{0, 4}));
  EXPECT_EQ(run_op("Softmax", 11, {Tensor(DType::float32, {3, 0})})[0].shape(), (Shape{3, 0}));
  expect_close(run_op("Softmax", 13, {tensor<float>({}, {5})})[0], tensor<float>({}, {1}));
  // the 2-D view of a vector under axis = 1 has one column
  expect_close(run_op("Softmax", 11, {tensor<float>({2}, {5, 6})})[0], tensor<float>({2}, {1, 1}));
}

TEST(Softmax, HardmaxTakesTheFirstOfEqualOnes) {
  expect_close(run_op("Hardmax", 13, {tensor<float>({4}, {1, 3, 3, 2})})[0],
               tensor<float>({4}, {0, 1, 0, 0}));
}

TEST(Softmax, RowWiseOnlyWhenAxisZeroIsNotReduced) {
  const ValueType X{DType::float32, Dims{Dim::symbol("N"), Dim(4)}};
  const auto row_wise = [&](std::int64_t opset, std::int64_t axis) {
    return op_of("Softmax", opset, 1, {{"axis", axis}})->axes({.inputs = std::span(&X, 1)})->keeps_rows();
  };
  EXPECT_TRUE(row_wise(13, -1));
  EXPECT_FALSE(row_wise(13, 0));
  EXPECT_TRUE(row_wise(11, 1));
  EXPECT_FALSE(row_wise(11, 0));
}

TEST(ArgMax, EveryVersionAndTie) {
  const Tensor X({2, 3}, std::vector<float>{2, 7, 7, 5, 1, 1});
  using Indices = std::vector<std::int64_t>;
  expect_close(run_op("ArgMax", 1, {X})[0], Tensor({1, 3}, Indices{1, 0, 0}));
  expect_close(run_op("ArgMax", 11, {X}, {{"axis", -1}, {"keepdims", 0}})[0], Tensor({2}, Indices{1, 0}));
  expect_close(run_op("ArgMax", 12, {X}, {{"axis", 1}, {"select_last_index", 1}})[0],
               Tensor({2, 1}, Indices{2, 0}));
  expect_close(run_op("ArgMin", 13, {X}, {{"axis", 1}})[0], Tensor({2, 1}, Indices{0, 1}));
  expect_close(run_op("ArgMin", 13, {X}, {{"axis", 1}, {"select_last_index", 1}})[0],
               Tensor({2, 1}, Indices{0, 2}));
  expect_close(run_op("ArgMax", 13, {convert(X, DType::uint8)}, {{"axis", 1}})[0],
               Tensor({2, 1}, Indices{1, 0}));
  EXPECT_EQ(run_op_error("ArgMax", 11, {X}, {{"select_last_index", 1}}), ErrorCode::unsupported);
  EXPECT_EQ(run_op_error("ArgMax", 13, {Tensor(DType::float32, {0, 2})}), ErrorCode::invalid_model);
}

TEST(ArgMax, NaNIsTheMostExtreme) {
  const Tensor X({1, 4}, std::vector<float>{1, kNaN, kInf, kNaN});
  for (const char* name : {"ArgMax", "ArgMin"}) {
    EXPECT_EQ(run_op(name, 13, {X}, {{"axis", 1}})[0].data<std::int64_t>()[0], 1);
    EXPECT_EQ(run_op(name, 13, {X}, {{"axis", 1}, {"select_last_index", 1}})[0].data<std::int64_t>()[0], 3);
  }
}

std::int64_t number(DType dtype) {
  return static_cast<std::int64_t>(dtype);
}

TEST(Cast, BetweenNumbers) {
  const Tensor X({5}, std::vector<float>{-1.7F, 0.0F, 2.5F, 300.0F, kNaN});
  expect_close(run_op("Cast", 1, {X}, {{"to", std::string("INT32")}})[0],
               Tensor({5}, std::vector<std::int32_t>{-1, 0, 2, 300, 0}));
  expect_close(run_op("Cast", 6, {X}, {{"to", number(DType::uint8)}})[0],
               Tensor({5}, std::vector<std::uint8_t>{0, 0, 2, 255, 0}));
  expect_close(run_op("Cast", 13, {X}, {{"to", number(DType::boolean)}})[0],
               Tensor({5}, std::vector<bool>{true, false, true, true, true}));
  expect_close(run_op("Cast", 21, {tensor<float>({2}, {65520.0F, 1.0F})},
                      {{"to", number(DType::float16)}, {"saturate", 0}})[0],
               tensor_of(DType::float16, {2}, {HUGE_VAL, 1.0}));
  expect_close(run_op("Cast", 13, {tensor<std::int64_t>({1}, {(std::int64_t{1} << 40) + 7})},
                      {{"to", number(DType::int32)}})[0],
               tensor<std::int32_t>({1}, {7}));
  EXPECT_EQ(run_op_error("Cast", 13, {X}, {{"to", number(DType::float16)}, {"saturate", 1}}),
            ErrorCode::unsupported);
  EXPECT_EQ(run_op_error("Cast", 19, {X}, {{"to", 17}}), ErrorCode::unsupported);  // float8
  EXPECT_EQ(run_op_error("Cast", 1, {X}, {{"to", std::string("FLAOT")}}), ErrorCode::invalid_model);
}

TEST(Cast, Strings) {
  const Tensor X({5}, std::vector<float>{0.1F, -2.0F, kInf, -kInf, kNaN});
  const Tensor text({5}, std::vector<std::string>{"0.1", "-2", "INF", "-INF", "NaN"});
  expect_close(run_op("Cast", 9, {X}, {{"to", number(DType::string)}})[0], text);
  expect_close(run_op("Cast", 9, {text}, {{"to", number(DType::float32)}})[0], X, 0.0, 0.0);
  const Tensor odd({7}, std::vector<std::string>{"+3", " 1e-5 ", "1E8", "+inf", "nan", "1e999", "-1e-999"});
  expect_close(run_op("Cast", 13, {odd}, {{"to", number(DType::float64)}})[0],
               tensor<double>({7}, {3, 1e-5, 1e8, HUGE_VAL, std::nan(""), HUGE_VAL, 0}));
  expect_close(
      run_op("Cast", 13, {tensor<std::string>({2}, {"100.5", "-7"})}, {{"to", number(DType::int64)}})[0],
      tensor<std::int64_t>({2}, {100, -7}));
  for (const char* bad : {"", "x", "1.5y", "1 2"}) {
    EXPECT_EQ(run_op_error("Cast", 13, {tensor<std::string>({1}, {bad})}, {{"to", number(DType::float32)}}),
              ErrorCode::invalid_input)
        << bad;
  }
}

TEST(Cast, LikeTakesTheTypeOfItsSecondInput) {
  expect_close(run_op("CastLike", 15, {tensor<float>({2}, {1.5F, -2.5F}), tensor<std::int8_t>({1}, {0})})[0],
               tensor<std::int8_t>({2}, {1, -2}));
}

TEST(Cast, IsAffineOnlyWithinOneType) {
  const ValueType types[] = {{DType::float32, Dims{Dim(2)}}, {DType::float64, Dims{Dim(2)}}};
  const auto same = op_of("Cast", 13, 1, {{"to", number(DType::float32)}});
  const FoldArgs kept{.inputs = std::span(types, 1), .outputs = std::span(types, 1)};
  const auto form = same->as_affine(kept);
  ASSERT_TRUE(std::holds_alternative<AffineForm>(form));
  EXPECT_TRUE(std::get<AffineForm>(form).affine.is_identity());
  const FoldArgs changed{.inputs = std::span(types, 1), .outputs = std::span(types + 1, 1)};
  EXPECT_TRUE(std::holds_alternative<Declined>(same->as_affine(changed)));
}

TEST(Cast, KeepsTheContentOfShapes) {
  ValueType X{DType::int64, Dims{Dim(2)}};
  X.content = {Content::of(Dim::symbol("N")), Content::of(-1)};
  const TensorView unknown;
  const auto types = op_of("Cast", 13, 1, {{"to", number(DType::int32)}})
                         ->infer({.inputs = std::span(&X, 1), .values = std::span(&unknown, 1)});
  ASSERT_TRUE(types[0].content.has_value());
  EXPECT_EQ((*types[0].content)[0].symbol, "N");
  EXPECT_EQ((*types[0].content)[1].number, -1);
}

}  // namespace
}  // namespace bnrun::test
