// Dropout.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace bnrun::testing {
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

}  // namespace
}  // namespace bnrun::testing
