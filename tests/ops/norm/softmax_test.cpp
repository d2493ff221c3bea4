// Softmax, LogSoftmax, Hardmax.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct SoftmaxCase {
  std::int64_t opset;
  Attributes attributes;
  std::size_t first, last;  ///< axes [first, last) of [2,3,4] are normalised together
};

class SoftmaxTest : public ::testing::TestWithParam<SoftmaxCase> {};

// exp(x)/sum exp(x) as the textbook has it: the numbers are small, so nothing overflows
TEST_P(SoftmaxTest, EqualsTheDefinition) {
  const auto& [opset, attributes, first, last] = GetParam();
  const Shape shape{2, 3, 4};
  const Tensor X = random_tensor(DType::float64, shape, 1, -3.0, 3.0);
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
                         ::testing::Values(SoftmaxCase{1, {}, 1, 3}, SoftmaxCase{1, {{"axis", 0}}, 0, 3},
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

}  // namespace
}  // namespace bnrun::testing
