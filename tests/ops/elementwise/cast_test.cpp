// Cast, CastLike.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

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
}  // namespace bnrun::testing
