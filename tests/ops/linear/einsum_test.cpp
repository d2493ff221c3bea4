// Einsum, Det.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

struct EinsumCase {
  std::string equation;
  std::vector<Tensor> inputs;
  Tensor expected;
};

class EinsumTest : public ::testing::TestWithParam<EinsumCase> {};

TEST_P(EinsumTest, ByHand) {
  const auto& [equation, inputs, expected] = GetParam();
  expect_close(run_op("Einsum", 12, inputs, {{"equation", equation}})[0], expected);
}

const Tensor kM = tensor<float>({2, 2}, {1, 2, 3, 4});
const Tensor kV = tensor<float>({2}, {5, 6});
const Tensor kStack = tensor<float>({2, 2, 2}, {1, 0, 0, 1, 0, 1, 1, 0});

INSTANTIATE_TEST_SUITE_P(
    Table, EinsumTest,
    ::testing::Values(
        EinsumCase{"ij,jk->ik", {kM, kM}, tensor<float>({2, 2}, {7, 10, 15, 22})},
        EinsumCase{"ij,jk", {kM, kM}, tensor<float>({2, 2}, {7, 10, 15, 22})},
        EinsumCase{" i j , j -> i ", {kM, kV}, tensor<float>({2}, {17, 39})},
        EinsumCase{"ii->i", {kM}, tensor<float>({2}, {1, 4})}, EinsumCase{"ii", {kM}, tensor<float>({}, {5})},
        EinsumCase{"ba", {kM}, tensor<float>({2, 2}, {1, 3, 2, 4})},
        EinsumCase{"i,j->ij", {kV, kV}, tensor<float>({2, 2}, {25, 30, 30, 36})},
        EinsumCase{"i,i,i->", {kV, kV, kV}, tensor<float>({}, {341})},
        EinsumCase{"...ij,...jk->...ik", {kStack, kM}, tensor<float>({2, 2, 2}, {1, 2, 3, 4, 3, 4, 1, 2})},
        EinsumCase{"...i->...", {kStack}, tensor<float>({2, 2}, {1, 1, 1, 1})},
        EinsumCase{"...,i->i...", {kM, tensor<float>({1}, {2})}, tensor<float>({1, 2, 2}, {2, 4, 6, 8})},
        EinsumCase{"ij,ij->i", {kM, tensor<float>({2, 1}, {1, 10})}, tensor<float>({2}, {3, 70})},
        EinsumCase{"ij->j", {Tensor(DType::float32, {0, 2})}, tensor<float>({2}, {0, 0})},
        EinsumCase{"i,i->",
                   {tensor<std::int32_t>({2}, {-3, 4}), tensor<std::int32_t>({2}, {5, 6})},
                   tensor<std::int32_t>({}, {9})}));

TEST(Einsum, RejectsWhatDoesNotFit) {
  for (const char* bad : {"ij,jk->ii", "ij,jk->iz", "ij", "ij,j1->i", "ijk,jk->i", "......,ij", "i...,jkl"}) {
    EXPECT_EQ(run_op_error("Einsum", 12, {kM, kM}, {{"equation", std::string(bad)}}),
              ErrorCode::invalid_model)
        << bad;
  }
  EXPECT_EQ(run_op_error("Einsum", 12, {kM, tensor<float>({3, 1}, {1, 1, 1})},
                         {{"equation", std::string("ij,jk")}}),
            ErrorCode::invalid_model);
}

TEST(Det, ByHand) {
  expect_close(run_op("Det", 11, {tensor<float>({2, 2}, {0, 1, 2, 3})})[0], tensor<float>({}, {-2}));
  expect_close(run_op("Det", 22,
                      {tensor<double>({2, 3, 3}, {2, 0, 0, 0, 3, 0, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9})})[0],
               tensor<double>({2}, {24, 0}));
  EXPECT_EQ(run_op_error("Det", 11, {Tensor(DType::float32, {2, 3})}), ErrorCode::invalid_model);
}

}  // namespace
}  // namespace bnrun::testing
