// Quantised operators, worked by hand and against sums written straight from the definitions.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Tensor scalar(DType dtype, double value) {
  return tensor_of(dtype, {}, {value});
}

struct QuantizeCase {
  DType dtype;
  double zero_point;
  std::vector<double> q;
};
void PrintTo(const QuantizeCase& c, std::ostream* out) {
  *out << name_of(c.dtype);
}

class QuantizeTest : public ::testing::TestWithParam<QuantizeCase> {};

TEST_P(QuantizeTest, RoundsHalfToEvenAndSaturates) {
  const auto& [dtype, zero_point, q] = GetParam();
  const Tensor X(
      {9}, std::vector<float>{0, 1, -1, 3, 5, 1e6F, -1e6F, kInf, kNaN});  // over 2: ties at the odd ones
  const Tensor expected = tensor_of(dtype, {9}, q);
  for (const std::int64_t opset : {10, 13, 19, 21, 23}) {
    expect_close(
        run_op("QuantizeLinear", opset, {X, scalar(DType::float32, 2), scalar(dtype, zero_point)})[0],
        expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, QuantizeTest,
    ::testing::Values(QuantizeCase{DType::uint8, 0, {0, 0, 0, 2, 2, 255, 0, 255, 0}},
                      QuantizeCase{DType::uint8, 100, {100, 100, 100, 102, 102, 255, 0, 255, 100}},
                      QuantizeCase{DType::int8, -3, {-3, -3, -3, -1, -1, 127, -128, 127, -3}},
                      QuantizeCase{DType::uint16, 7, {7, 7, 7, 9, 9, 65535, 0, 65535, 7}},
                      QuantizeCase{DType::int16, 0, {0, 0, 0, 2, 2, 32767, -32768, 32767, 0}}),
    [](const auto& row) { return std::string(name_of(row.param.dtype)) + std::to_string(row.index); });

TEST(QuantizeLinear, TypesOfInputAndOutput) {
  for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    const Tensor X = tensor_of(dtype, {3}, {-1, 0, 2});
    expect_close(run_op("QuantizeLinear", 19, {X, scalar(dtype, 0.5)})[0],
                 tensor<std::uint8_t>({3}, {0, 0, 4}));
    expect_close(run_op("QuantizeLinear", 21, {X, scalar(dtype, 0.5)}, {{"output_dtype", 3}})[0],
                 tensor<std::int8_t>({3}, {-2, 0, 4}));
  }
  const Tensor integers({2}, std::vector<std::int32_t>{6, 10});
  expect_close(run_op("QuantizeLinear", 10, {integers, scalar(DType::float32, 4)})[0],
               tensor<std::uint8_t>({2}, {2, 2}));
  const Tensor X({1}, std::vector<float>{1});
  const Tensor one = scalar(DType::float32, 1);
  EXPECT_EQ(run_op_error("QuantizeLinear", 21, {X, one, scalar(DType::uint8, 0)}, {{"output_dtype", 3}}),
            ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("QuantizeLinear", 21, {X, one}, {{"output_dtype", 17}}), ErrorCode::unsupported);
}

TEST(QuantizeLinear, ScalesPerAxisAndPerBlock) {
  const Tensor X({2, 4}, std::vector<float>{2, 4, 6, 8, 20, 40, 60, 80});
  const Tensor per_row({2}, std::vector<float>{1, 10});
  const Tensor row_zeros({2}, std::vector<std::uint8_t>{0, 5});
  expect_close(run_op("QuantizeLinear", 13, {X, per_row, row_zeros}, {{"axis", 0}})[0],
               tensor<std::uint8_t>({2, 4}, {2, 4, 6, 8, 7, 9, 11, 13}));
  const Tensor per_column({4}, std::vector<float>{1, 2, 3, 4});
  const Tensor expected({2, 4}, std::vector<std::uint8_t>{2, 2, 2, 2, 20, 20, 20, 20});
  expect_close(run_op("QuantizeLinear", 13, {X, per_column})[0], expected);
  expect_close(run_op("QuantizeLinear", 13, {X, per_column}, {{"axis", -1}})[0], expected);
  // blocks of 3 along axis 1: columns 0 to 2, then column 3
  const Tensor blocks({2, 2}, std::vector<float>{1, 2, 10, 20});
  expect_close(run_op("QuantizeLinear", 21, {X, blocks}, {{"block_size", 3}})[0],
               tensor<std::uint8_t>({2, 4}, {2, 4, 6, 4, 2, 4, 6, 4}));
  const Tensor row_blocks({1, 4}, std::vector<float>{2, 4, 6, 8});
  expect_close(run_op("QuantizeLinear", 21, {X, row_blocks}, {{"block_size", 2}, {"axis", 0}})[0],
               tensor<std::uint8_t>({2, 4}, {1, 1, 1, 1, 10, 10, 10, 10}));
  EXPECT_EQ(run_op_error("QuantizeLinear", 13, {X, per_row}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("QuantizeLinear", 21, {X, blocks}, {{"block_size", 1}}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("QuantizeLinear", 13, {X, per_row, scalar(DType::uint8, 1)}, {{"axis", 0}}),
            ErrorCode::invalid_model);
}

TEST(QuantizedSteps, HaveAZeroPointEachAsTheirTypesTell) {
  for (const auto& [name, X, q] : {std::tuple("QuantizeLinear", DType::float32, DType::int8),
                                   std::tuple("DequantizeLinear", DType::int8, DType::int8)}) {
    const auto op = op_of(name, 13, 3, {{"axis", 0}});
    const auto infer = [&](std::int64_t zeros) {
      const ValueType types[] = {ValueType::of(X, {3, 4}), ValueType::of(DType::float32, {3}),
                                 ValueType::of(q, {zeros})};
      return op->infer({.inputs = types, .values = {}});
    };
    EXPECT_NO_THROW(infer(3)) << name;
    EXPECT_THROW(infer(2), Error) << name;
  }
}

TEST(DequantizeLinear, UndoesQuantizeLinear) {
  struct Row {
    DType dtype;
    std::vector<double> x, y;
    double zero_point;
  };
  const Row rows[] = {{DType::uint8, {0, 128, 255}, {-64, 0, 63.5}, 128},
                      {DType::int8, {-128, 0, 127}, {-64.5, -0.5, 63}, 1},
                      {DType::uint16, {0, 65535, 2}, {0, 32767.5, 1}, 0},
                      {DType::int16, {-32768, 32767, 0}, {-16384, 16383.5, 0}, 0},
                      {DType::int32, {-5, 4096, 0}, {-2.5, 2048, 0}, 0}};
  for (const Row& row : rows) {
    const Tensor X = tensor_of(row.dtype, {3}, row.x);
    for (const std::int64_t opset : {10, 13, 19, 21, 23}) {
      expect_close(run_op("DequantizeLinear", opset,
                          {X, scalar(DType::float32, 0.5), scalar(row.dtype, row.zero_point)})[0],
                   tensor_of(DType::float32, {3}, row.y));
    }
  }
  const Tensor X({2, 2}, std::vector<std::int8_t>{1, 2, 3, 4});
  const Tensor scales = tensor_of(DType::float16, {2}, {1, 0.5});
  expect_close(run_op("DequantizeLinear", 19, {X, scales})[0],
               tensor_of(DType::float16, {2, 2}, {1, 1, 3, 2}));
  expect_close(run_op("DequantizeLinear", 23, {X, scales}, {{"axis", 0}, {"output_dtype", 1}})[0],
               tensor<float>({2, 2}, {1, 2, 1.5F, 2}));
  const Tensor blocks({1, 2}, std::vector<float>{2, 3});
  expect_close(run_op("DequantizeLinear", 21, {X, blocks}, {{"block_size", 2}, {"axis", 0}})[0],
               tensor<float>({2, 2}, {2, 6, 6, 12}));
  EXPECT_EQ(run_op_error("DequantizeLinear", 13, {X, scalar(DType::float32, 1), scalar(DType::uint8, 0)}),
            ErrorCode::invalid_model);
}

TEST(DynamicQuantizeLinear, RangeAlwaysHoldsZero) {
  struct Row {
    std::vector<float> x;
    std::vector<std::uint8_t> y;
    float scale;
    std::uint8_t zero_point;
  };
  const Row rows[] = {{{-51, 0, 204}, {0, 51, 255}, 1, 51},
                      {{255, 510, 1}, {128, 255, 0}, 2, 0},  // 127.5 goes to the even 128, 0.5 to 0
                      {{-255, -1, -2}, {0, 254, 253}, 1, 255},
                      {{0, 0, 0}, {0, 0, 0}, 1, 0}};
  for (const Row& row : rows) {
    const auto result = run_op("DynamicQuantizeLinear", 11, {Tensor({3}, row.x)}, {}, 3);
    expect_close(result[0], Tensor({3}, row.y));
    expect_close(result[1], tensor<float>({}, {row.scale}));
    expect_close(result[2], tensor<std::uint8_t>({}, {row.zero_point}));
  }
}

/// (A - a_zero[m]) * (B - b_zero[n]) for A[M,K] and B[K,N].
std::vector<double> product(const Tensor& A, const Ints& a_zero, const Tensor& B, const Ints& b_zero) {
  const auto wide_A = convert(A, DType::float64);
  const auto wide_B = convert(B, DType::float64);
  const std::int64_t M = A.shape()[0], K = A.shape()[1], N = B.shape()[1];
  std::vector<double> sums;
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < N; ++n) {
      double sum = 0.0;
      for (std::int64_t k = 0; k < K; ++k) {
        const auto za = static_cast<double>(a_zero[static_cast<std::size_t>(m) % a_zero.size()]);
        const auto zb = static_cast<double>(b_zero[static_cast<std::size_t>(n) % b_zero.size()]);
        sum += (wide_A.data<double>()[m * K + k] - za) * (wide_B.data<double>()[k * N + n] - zb);
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

TEST(MatMulInteger, TypesAndZeroPoints) {
  const Tensor u8 = random_tensor(DType::uint8, {2, 5}, 1, 0, 256);
  const Tensor i8 = random_tensor(DType::int8, {5, 3}, 2, -128, 128);
  const auto expected = [&](const Ints& a, const Ints& b) {
    return tensor_of(DType::int32, {2, 3}, product(u8, a, i8, b));
  };
  expect_close(run_op("MatMulInteger", 10, {u8, i8})[0], expected({0}, {0}));
  const Tensor a_zero = scalar(DType::uint8, 200);
  expect_close(run_op("MatMulInteger", 10, {u8, i8, a_zero, scalar(DType::int8, -7)})[0],
               expected({200}, {-7}));
  expect_close(run_op("MatMulInteger", 10, {u8, i8, Tensor(), scalar(DType::int8, 9)})[0],
               expected({0}, {9}));
  const Tensor a_zeros({2}, std::vector<std::uint8_t>{3, 250});
  const Tensor b_zeros({3}, std::vector<std::int8_t>{1, -128, 127});
  expect_close(run_op("MatMulInteger", 10, {u8, i8, a_zeros, b_zeros})[0],
               expected({3, 250}, {1, -128, 127}));
  // the same as a batch of one with zero points of full rank
  const auto batched = run_op("MatMulInteger", 10,
                              {u8.reshaped({1, 2, 5}), i8.reshaped({1, 5, 3}), a_zeros.reshaped({1, 2, 1}),
                               b_zeros.reshaped({1, 1, 3})});
  expect_close(batched[0].reshaped({2, 3}), expected({3, 250}, {1, -128, 127}));
  EXPECT_EQ(run_op_error("MatMulInteger", 10, {u8, i8, scalar(DType::int8, 0)}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("MatMulInteger", 10, {u8, i8, Tensor({3}, std::vector<std::uint8_t>{1, 2, 3})}),
            ErrorCode::invalid_model);
}

TEST(QLinearMatMul, ScalesPerTensorRowAndColumn) {
  const Tensor A = random_tensor(DType::int8, {2, 4}, 1, -128, 128);
  const Tensor B = random_tensor(DType::uint8, {4, 3}, 2, 0, 256);
  const std::vector<double> a_scales{0.5, 0.125},
      b_scales{0.25, 1, 0.0625};  // powers of two: no rounding before the last
  const auto sums = product(A, {3, -4}, B, {128, 0, 255});
  std::vector<double> expected;
  for (std::size_t i = 0; i < 6; ++i) {
    const double y = std::nearbyint(sums[i] * a_scales[i / 3] * b_scales[i % 3] / 32.0) + 10.0;
    expected.push_back(std::min(127.0, std::max(-128.0, y)));
  }
  for (const std::int64_t opset : {10, 21}) {
    const auto Y =
        run_op("QLinearMatMul", opset,
               {A, tensor_of(DType::float32, {2}, a_scales), Tensor({2}, std::vector<std::int8_t>{3, -4}), B,
                tensor_of(DType::float32, {3}, b_scales), Tensor({3}, std::vector<std::uint8_t>{128, 0, 255}),
                scalar(DType::float32, 32), scalar(DType::int8, 10)});
    expect_close(Y[0], tensor_of(DType::int8, {2, 3}, expected));
  }
}

TEST(QLinearMatMul, RoundsHalfToEven) {
  const auto one = scalar(DType::float32, 1);
  const auto zero = scalar(DType::uint8, 0);
  // 1*1, 1*3 and 1*5 over 2
  const Tensor A({1, 1}, std::vector<std::uint8_t>{1});
  const Tensor B({1, 3}, std::vector<std::uint8_t>{1, 3, 5});
  const auto Y = run_op("QLinearMatMul", 10, {A, one, zero, B, one, zero, scalar(DType::float32, 2), zero});
  expect_close(Y[0], tensor<std::uint8_t>({1, 3}, {0, 2, 2}));
}

TEST(ConvInteger, PaddingIsTheZeroPoint) {
  const Tensor X({1, 1, 3}, std::vector<std::uint8_t>{10, 12, 7});
  const Tensor W({2, 1, 2}, std::vector<std::int8_t>{1, 2, -3, 4});
  const Attributes padded{{"pads", Ints{1, 0}}};
  // x - 10 = 0 2 -3 with 0 in front
  expect_close(run_op("ConvInteger", 10, {X, W, scalar(DType::uint8, 10)}, padded)[0],
               tensor<std::int32_t>({1, 2, 3}, {0, 4, -4, 0, 8, -18}));
  const Tensor w_zeros({2}, std::vector<std::int8_t>{1, -1});  // w: 0 1 and -2 5
  expect_close(run_op("ConvInteger", 10, {X, W, scalar(DType::uint8, 10), w_zeros}, padded)[0],
               tensor<std::int32_t>({1, 2, 3}, {0, 2, -3, 0, 10, -19}));
  const Tensor two({1, 2, 2}, std::vector<std::uint8_t>{1, 2, 3, 4});
  expect_close(run_op("ConvInteger", 10, {two, W}, {{"group", 2}})[0],
               tensor<std::int32_t>({1, 2, 1}, {5, 7}));
}

TEST(QLinearConv, ScalesPerChannelAndBias) {
  const Tensor X({1, 1, 3}, std::vector<std::uint8_t>{10, 12, 7});
  const Tensor W({2, 1, 2}, std::vector<std::int8_t>{1, 2, -3, 4});
  const std::vector<Tensor> inputs{X,
                                   scalar(DType::float32, 0.5),
                                   scalar(DType::uint8, 10),
                                   W,
                                   tensor<float>({2}, {1, 4}),
                                   tensor<std::int8_t>({2}, {0, 0}),
                                   scalar(DType::float32, 1),
                                   scalar(DType::uint8, 20),
                                   tensor<std::int32_t>({2}, {1, -5})};
  // sums 4 -4 and 8 -18; plus B: 5 -3 and 3 -23; times 0.5 and 2: 2.5 -1.5 and 6 -46; 2 -2 and 6 -46; plus
  // 20, at least 0
  expect_close(run_op("QLinearConv", 10, inputs)[0], tensor<std::uint8_t>({1, 2, 2}, {22, 18, 26, 0}));
  auto plain = inputs;
  plain.pop_back();
  expect_close(run_op("QLinearConv", 10, plain)[0], tensor<std::uint8_t>({1, 2, 2}, {22, 18, 36, 0}));
  plain.push_back(tensor<std::uint8_t>({2}, {1, 2}));
  EXPECT_EQ(run_op_error("QLinearConv", 10, plain), ErrorCode::invalid_model) << "a bias of another type";
}

}  // namespace
}  // namespace bnrun::testing
