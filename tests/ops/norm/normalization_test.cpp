// LayerNormalization, RMSNormalization, InstanceNormalization, GroupNormalization, LRN.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

/// The rows of X[rows, width] normalised one by one in double; element i then gets factor(i) and term(i).
Tensor normalized(const Tensor& X, std::int64_t width, double epsilon, bool centred,
                  const std::function<std::pair<double, double>(std::int64_t)>& parameters) {
  Tensor Y = convert(X, DType::float64);
  double* y = Y.mutable_data<double>();
  for (std::int64_t row = 0; row < X.elements() / width; ++row) {
    double sum = 0.0;
    double squares = 0.0;
    for (std::int64_t i = row * width; i < (row + 1) * width; ++i) {
      sum += y[i];
      squares += y[i] * y[i];
    }
    const double n = static_cast<double>(width);
    const double mean = centred ? sum / n : 0.0;
    const double deviation = std::sqrt(squares / n - mean * mean + epsilon);
    for (std::int64_t i = row * width; i < (row + 1) * width; ++i) {
      const auto [factor, term] = parameters(i);
      y[i] = (y[i] - mean) / deviation * factor + term;
    }
  }
  return convert(Y, X.dtype());
}

const Shape kShape{2, 4, 3};
constexpr DType kTypes[] = {DType::float32, DType::float64, DType::float16, DType::bfloat16};

TEST(LayerNormalization, EqualsTheDefinitionAtEveryAxis) {
  for (const DType dtype : kTypes) {
    const Tensor X = random_tensor(dtype, kShape, 1, -2.0, 3.0);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      Shape tail(std::span(kShape.begin() + axis, kShape.end()));
      const Tensor scale = random_tensor(dtype, tail, 2);
      const Tensor B = random_tensor(dtype, tail, 3);
      const auto s = convert(scale, DType::float64);
      const auto b = convert(B, DType::float64);
      const std::int64_t width = tail.elements();
      for (const std::int64_t written :
           {static_cast<std::int64_t>(axis), static_cast<std::int64_t>(axis) - 3}) {
        const Attributes attributes{{"axis", written}, {"epsilon", 0.125F}};
        const auto result = run_op("LayerNormalization", 17, {X, scale, B}, attributes, 3);
        expect_close(result[0], normalized(X, width, 0.125, true, [&](std::int64_t i) {
                       return std::pair(s.data<double>()[i % width], b.data<double>()[i % width]);
                     }));
        EXPECT_EQ(result[1].dtype(), DType::float32);
        EXPECT_EQ(result[1].shape().elements(), 24 / width);
        EXPECT_EQ(result[1].shape().rank(), 3U);
        const Attributes plain{{"axis", written}};
        expect_close(run_op("RMSNormalization", 23, {X, scale}, plain)[0],
                     normalized(X, width, 1e-5, false,
                                [&](std::int64_t i) { return std::pair(s.data<double>()[i % width], 0.0); }));
      }
    }
  }
}

TEST(LayerNormalization, GivesMeanAndInverseDeviation) {
  // means 3 and 0; population variances 4 and 1, plus epsilon 0 and so 1/2 and 1
  const Tensor X({2, 2}, std::vector<float>{1, 5, -1, 1});
  const Tensor scale({2}, std::vector<float>{1, 10});
  const auto result = run_op("LayerNormalization", 17, {X, scale}, {{"epsilon", 0.0F}}, 3);
  expect_close(result[0], tensor<float>({2, 2}, {-1, 10, -1, 10}));
  expect_close(result[1], tensor<float>({2, 1}, {3, 0}));
  expect_close(result[2], tensor<float>({2, 1}, {0.5F, 1}));
}

TEST(LayerNormalization, StretchesItsParameters) {
  const Tensor X({2, 2}, std::vector<double>{1, 5, -1, 1});
  const Attributes exact{{"epsilon", 0.0F}};
  const Tensor per_row({2, 1}, std::vector<double>{1, 100});
  expect_close(run_op("LayerNormalization", 17, {X, per_row}, exact)[0],
               tensor<double>({2, 2}, {-1, 1, -100, 100}));
  const Tensor one({1}, std::vector<double>{7});
  expect_close(run_op("LayerNormalization", 17, {X, one, one}, exact)[0],
               tensor<double>({2, 2}, {0, 14, 0, 14}));
  EXPECT_EQ(run_op_error("LayerNormalization", 17, {X, Tensor(DType::float64, {3})}),
            ErrorCode::invalid_model);
}

TEST(RMSNormalization, DividesByTheRootOfTheMeanSquare) {
  // mean square 12.5 and the sum 12.5 + 3.5 = 16
  const Tensor X({1, 2}, std::vector<float>{3, 4});
  const Tensor scale({2}, std::vector<float>{1, 2});
  expect_close(run_op("RMSNormalization", 23, {X, scale}, {{"epsilon", 3.5F}})[0],
               tensor<float>({1, 2}, {0.75F, 2}));
}

TEST(InstanceNormalization, EqualsTheDefinitionAtEveryVersion) {
  for (const DType dtype : kTypes) {
    const Tensor X = random_tensor(dtype, kShape, 1, -2.0, 3.0);
    const Tensor scale = tensor_of(dtype, {4}, {1, 2, -0.5, 0});
    const Tensor B = tensor_of(dtype, {4}, {0, 1, 0.25, -3});
    const Tensor expected = normalized(X, 3, 1e-5, true, [](std::int64_t i) {
      const double factors[] = {1, 2, -0.5, 0};
      const double terms[] = {0, 1, 0.25, -3};
      return std::pair(factors[i / 3 % 4], terms[i / 3 % 4]);
    });
    expect_close(run_op("InstanceNormalization", 1, {X, scale, B},
                        {{"consumed_inputs", std::vector<std::int64_t>{0}}})[0],
                 expected);
    expect_close(run_op("InstanceNormalization", 6, {X, scale, B})[0], expected);
    expect_close(run_op("InstanceNormalization", 22, {X, scale, B})[0], expected);
  }
}

TEST(GroupNormalization, ParametersCountGroupsThenChannels) {
  const Tensor X = random_tensor(DType::float64, kShape, 1, -2.0, 3.0);
  const double factors[] = {1, 2, -0.5, 3};
  const double terms[] = {0, 1, 0.25, -3};
  const auto vector = [](const double* values, std::int64_t count) {
    return Tensor({count}, std::vector<double>(values, values + count));
  };
  const Attributes attributes{{"num_groups", 2}, {"epsilon", 0.5F}};
  expect_close(run_op("GroupNormalization", 18, {X, vector(factors, 2), vector(terms, 2)}, attributes)[0],
               normalized(X, 6, 0.5, true,
                          [&](std::int64_t i) { return std::pair(factors[i / 6 % 2], terms[i / 6 % 2]); }));
  expect_close(run_op("GroupNormalization", 21, {X, vector(factors, 4), vector(terms, 4)}, attributes)[0],
               normalized(X, 6, 0.5, true,
                          [&](std::int64_t i) { return std::pair(factors[i / 3 % 4], terms[i / 3 % 4]); }));
  EXPECT_EQ(run_op_error("GroupNormalization", 21, {X, vector(factors, 2), vector(terms, 2)}, attributes),
            ErrorCode::invalid_model);
  EXPECT_EQ(
      run_op_error("GroupNormalization", 21, {X, vector(factors, 4), vector(terms, 4)}, {{"num_groups", 3}}),
      ErrorCode::invalid_model);
}

TEST(Lrn, SumsSquaresOfNeighbouringChannels) {
  // size 3, alpha 3, bias 1, beta 1: y = x / (1 + squares of c-1, c, c+1)
  const Tensor X({1, 3, 1}, std::vector<double>{1, 2, 3});
  const Attributes odd{{"size", 3}, {"alpha", 3.0F}, {"beta", 1.0F}};
  expect_close(run_op("LRN", 1, {X}, odd)[0], tensor<double>({1, 3, 1}, {1.0 / 6, 2.0 / 15, 3.0 / 14}));
  // size 2 reaches one channel ahead and none back
  const Attributes even{{"size", 2}, {"alpha", 2.0F}, {"beta", 1.0F}, {"bias", 2.0F}};
  expect_close(run_op("LRN", 13, {X}, even)[0], tensor<double>({1, 3, 1}, {1.0 / 7, 2.0 / 15, 3.0 / 11}));
}

using Ints = std::vector<std::int64_t>;

TEST(LpNormalization, BothNorms) {
  const Tensor X({2, 2}, std::vector<float>{3, -4, 0, 0});
  expect_close(run_op("LpNormalization", 1, {X})[0], tensor<float>({2, 2}, {0.6F, -0.8F, 0, 0}));
  expect_close(run_op("LpNormalization", 22, {X}, {{"p", 1}, {"axis", 1}})[0],
               tensor<float>({2, 2}, {3.0F / 7, -4.0F / 7, 0, 0}));
  EXPECT_EQ(run_op_error("LpNormalization", 1, {X}, {{"p", 3}}), ErrorCode::invalid_model);
}

TEST(MeanVarianceNormalization, OverItsAxes) {
  const Tensor X({2, 2}, std::vector<double>{1, 5, 3, 5});
  expect_close(run_op("MeanVarianceNormalization", 13, {X}, {{"axes", Ints{0}}})[0],
               tensor<double>({2, 2}, {-1, 0, 1, 0}), 1e-8, 1e-8);
  const Tensor image = X.reshaped({2, 1, 1, 2});
  expect_close(run_op("MeanVarianceNormalization", 9, {image})[0],
               tensor<double>({2, 1, 1, 2}, {-2.5 / std::sqrt(2.75), 1.5 / std::sqrt(2.75),
                                             -0.5 / std::sqrt(2.75), 1.5 / std::sqrt(2.75)}),
               1e-8, 1e-8);
}

}  // namespace
}  // namespace bnrun::testing
