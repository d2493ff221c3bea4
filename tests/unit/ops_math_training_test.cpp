// Dropout and the class losses.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace bnrun::test {
namespace {

const Tensor kX({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});

Tensor all_true(const Shape& shape) {
  return convert(Tensor(shape, std::vector<float>(static_cast<std::size_t>(shape.elements()), 1.0F)),
                 DType::boolean);
}

TEST(Dropout, IsTheIdentityAtInference) {
  const Tensor ratio({}, std::vector<float>{0.9F});
  const Tensor no({}, std::vector<bool>{false});
  const auto expect_identity = [&](const std::vector<Tensor>& result, DType mask) {
    expect_close(result[0], kX, 0.0, 0.0);
    expect_close(result[1], convert(all_true({2, 3}), mask));
  };
  expect_identity(run_op("Dropout", 1, {kX}, {{"is_test", 1}, {"ratio", 0.9F}}, 2), DType::float32);
  expect_identity(run_op("Dropout", 6, {kX}, {{"is_test", 1}}, 2), DType::float32);
  expect_identity(run_op("Dropout", 7, {kX}, {{"ratio", 0.9F}}, 2), DType::float32);
  expect_identity(run_op("Dropout", 10, {kX}, {{"ratio", 0.9F}}, 2), DType::boolean);
  expect_identity(run_op("Dropout", 12, {kX, ratio}, {}, 2), DType::boolean);
  expect_identity(run_op("Dropout", 13, {kX, {}, no}, {{"seed", 5}}, 2), DType::boolean);
  EXPECT_EQ(run_op_error("Dropout", 13, {kX}, {{"ratio", 0.9F}}), ErrorCode::unsupported);
}

TEST(Dropout, DropsAndRescalesInTraining) {
  const Tensor X({1000}, std::vector<double>(1000, 3.0));
  const Tensor ratio({}, std::vector<double>{0.25});
  const Tensor yes({}, std::vector<bool>{true});
  const auto result = run_op("Dropout", 13, {X, ratio, yes}, {{"seed", 7}}, 2);
  int dropped = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    const double y = result[0].span<double>()[i];
    const bool kept = result[1].span<bool>()[i];
    EXPECT_EQ(y, kept ? 4.0 : 0.0);
    dropped += kept ? 0 : 1;
  }
  EXPECT_GT(dropped, 200);
  EXPECT_LT(dropped, 300);
  expect_close(run_op("Dropout", 13, {X, ratio, yes}, {{"seed", 7}})[0], result[0]);
  EXPECT_FALSE(identical(run_op("Dropout", 13, {X, ratio, yes}, {{"seed", 8}})[0], result[0]));
  const Tensor zero({}, std::vector<double>{0.0});
  expect_close(run_op("Dropout", 13, {X, zero, yes})[0], X);
  const Tensor one({}, std::vector<double>{1.0});
  EXPECT_EQ(run_op_error("Dropout", 13, {X, one, yes}), ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("Dropout", 13, {X, one, one}), ErrorCode::invalid_model);
}

TEST(Dropout, TellsWhetherItIsRandom) {
  EXPECT_TRUE(op_of("Dropout", 13, 1)->deterministic());
  EXPECT_FALSE(op_of("Dropout", 13, 3)->deterministic());
  EXPECT_FALSE(op_of("Dropout", 6, 1)->deterministic());
  const ValueType types[] = {{DType::float32, Dims{Dim(2)}}, {}, {DType::boolean, Dims{}}};
  const bool used[] = {true, false};
  const Tensor no({}, std::vector<bool>{false});
  const Tensor yes({}, std::vector<bool>{true});
  const auto is_affine = [&](const Tensor* mode, std::span<const bool> output_used) {
    const Tensor* const constants[] = {nullptr, nullptr, mode};
    const FoldArgs args{.inputs = types, .constants = constants, .output_used = output_used};
    return std::holds_alternative<AffineForm>(op_of("Dropout", 13, 3, {}, 2)->as_affine(args));
  };
  EXPECT_TRUE(is_affine(&no, used));
  EXPECT_FALSE(is_affine(&yes, used));
  EXPECT_FALSE(is_affine(nullptr, used));
  const bool mask_used[] = {true, true};
  EXPECT_FALSE(is_affine(&no, mask_used));
}

struct LossCase {
  std::string reduction;
  bool weighted;
  bool ignores;  ///< class 2
  std::vector<double> loss;
};

class LossTest : public testing::TestWithParam<LossCase> {};

// Three rows of log probabilities; targets 0, 2, 1; weights 1, 2, 4.
TEST_P(LossTest, ByHand) {
  const auto& [reduction, weighted, ignores, loss] = GetParam();
  const std::vector<double> probabilities = {0.5, 0.25, 0.25, 0.125, 0.375, 0.5, 0.25, 0.25, 0.5};
  std::vector<double> scores;
  for (const double p : probabilities) scores.push_back(std::log2(p));
  const double ln2 = std::log(2.0);
  Attributes attributes = {{"reduction", reduction}};
  if (ignores) attributes["ignore_index"] = std::int64_t{2};
  std::vector<Tensor> inputs = {tensor<double>({3, 3}, scores), tensor<std::int64_t>({3}, {0, 2, 1})};
  if (weighted) inputs.push_back(tensor<double>({3}, {1, 2, 4}));
  const Shape shape = reduction == "none" ? Shape{3} : Shape{};
  for (const std::int64_t opset : {12, 13, 22}) {
    expect_close(run_op("NegativeLogLikelihoodLoss", opset, inputs, attributes)[0], tensor(shape, loss));
  }
  // natural logarithms shifted by a number per row are scores whose LogSoftmax are the logarithms again
  std::vector<double> shifted;
  std::vector<double> log_probabilities;
  std::vector<double> natural;
  for (std::size_t i = 0; i < 9; ++i) {
    log_probabilities.push_back(scores[i] * ln2);
    shifted.push_back(log_probabilities[i] + 100.0 * static_cast<double>(i / 3));
  }
  for (const double x : loss) natural.push_back(x * ln2);
  inputs[0] = tensor<double>({3, 3}, shifted);
  const auto result = run_op("SoftmaxCrossEntropyLoss", 13, inputs, attributes, 2);
  expect_close(result[0], tensor(shape, natural), 1e-11);
  expect_close(result[1], tensor<double>({3, 3}, log_probabilities), 1e-11);
}

INSTANTIATE_TEST_SUITE_P(
    Table, LossTest,
    testing::Values(LossCase{"none", false, false, {1, 1, 2}}, LossCase{"sum", false, false, {4}},
                    LossCase{"mean", false, false, {4.0 / 3}}, LossCase{"none", true, false, {1, 4, 4}},
                    LossCase{"sum", true, false, {9}}, LossCase{"mean", true, false, {9.0 / 7}},
                    LossCase{"none", false, true, {1, 0, 2}}, LossCase{"mean", false, true, {1.5}},
                    LossCase{"mean", true, true, {5.0 / 3}}));

TEST(Loss, HigherRanksAndBadTargets) {
  // X[1,2,2]: position 0 has log probabilities (-1,-2), position 1 (-3,-4)
  const Tensor X({1, 2, 2}, std::vector<float>{-1, -3, -2, -4});
  expect_close(run_op("NegativeLogLikelihoodLoss", 13, {X, tensor<std::int32_t>({1, 2}, {1, 0})},
                      {{"reduction", std::string("none")}})[0],
               tensor<float>({1, 2}, {2, 3}));
  EXPECT_EQ(run_op_error("NegativeLogLikelihoodLoss", 13, {X, tensor<std::int64_t>({1, 2}, {1, 2})}),
            ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("NegativeLogLikelihoodLoss", 13, {X, tensor<std::int64_t>({2}, {1, 1})}),
            ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("SoftmaxCrossEntropyLoss", 13,
                         {Tensor(DType::float32, {2, 0}), tensor<std::int64_t>({2}, {0, 0})}),
            ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("SoftmaxCrossEntropyLoss", 13, {X, tensor<std::int64_t>({1, 2}, {-1, 0})}),
            ErrorCode::invalid_input);
}

}  // namespace
}  // namespace bnrun::test
