// NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

struct LossCase {
  std::string reduction;
  bool weighted;
  bool ignores;  ///< class 2
  std::vector<double> loss;
};

class LossTest : public ::testing::TestWithParam<LossCase> {};

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
    ::testing::Values(LossCase{"none", false, false, {1, 1, 2}}, LossCase{"sum", false, false, {4}},
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
}  // namespace bnrun::testing
