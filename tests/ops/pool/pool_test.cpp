// MaxPool, AveragePool, LpPool, their global forms, MaxUnpool and their fold hooks, worked by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/channel_map.h"
#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct PoolCase {
  const char* name;
  std::int64_t opset;
  Attributes attributes;
  Shape X;
  std::vector<double> x;
  Shape Y;
  std::vector<double> y;
};
void PrintTo(const PoolCase& c, std::ostream* out) {
  *out << c.name;
}

class PoolTest : public ::testing::TestWithParam<PoolCase> {};

TEST_P(PoolTest, HandWorkedInEveryFloatType) {
  const auto& c = GetParam();
  for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    expect_close(run_op(c.name, c.opset, {tensor_of(dtype, c.X, c.x)}, c.attributes)[0],
                 tensor_of(dtype, c.Y, c.y));
  }
}

const Attributes kPair{{"kernel_shape", Ints{2}}};

Attributes with(Attributes attributes, Attributes more) {
  attributes.merge(more);
  return attributes;
}

INSTANTIATE_TEST_SUITE_P(
    Table, PoolTest,
    ::testing::Values(
        PoolCase{"MaxPool", 1, kPair, {1, 1, 4}, {1, 3, -2, -5}, {1, 1, 3}, {3, 3, -2}},
        PoolCase{"MaxPool",
                 8,
                 with(kPair, {{"strides", Ints{2}}}),
                 {1, 2, 3},
                 {1, 2, 3, 6, 5, 4},
                 {1, 2, 1},
                 {2, 6}},
        // padding is -inf, not 0
        PoolCase{"MaxPool", 8, with(kPair, {{"pads", Ints{1, 0}}}), {1, 1, 2}, {-3, -4}, {1, 1, 2}, {-3, -3}},
        PoolCase{
            "MaxPool", 10, with(kPair, {{"dilations", Ints{2}}}), {1, 1, 4}, {5, 1, 2, 3}, {1, 1, 2}, {5, 3}},
        PoolCase{"MaxPool",
                 10,
                 with(kPair, {{"strides", Ints{2}}, {"ceil_mode", 1}}),
                 {1, 1, 3},
                 {1, 2, 3},
                 {1, 1, 2},
                 {2, 3}},
        // the third window would start in the padding behind the input: there is none
        PoolCase{"MaxPool",
                 22,
                 {{"kernel_shape", Ints{1}}, {"strides", Ints{2}}, {"pads", Ints{0, 1}}, {"ceil_mode", 1}},
                 {1, 1, 4},
                 {1, 2, 3, 4},
                 {1, 1, 2},
                 {1, 3}},
        PoolCase{"MaxPool",
                 12,
                 with(kPair, {{"auto_pad", std::string("SAME_LOWER")}}),
                 {1, 1, 3},
                 {3, 1, 2},
                 {1, 1, 3},
                 {3, 3, 2}},
        PoolCase{"MaxPool",
                 12,
                 with(kPair, {{"auto_pad", std::string("SAME_UPPER")}}),
                 {1, 1, 3},
                 {3, 1, 2},
                 {1, 1, 3},
                 {3, 2, 2}},
        PoolCase{"MaxPool", 12, kPair, {1, 1, 4}, {1, kNaN, 2, 3}, {1, 1, 3}, {kNaN, kNaN, 3}},
        PoolCase{"MaxPool",
                 12,
                 {{"kernel_shape", Ints{2, 1, 2}}},
                 {1, 1, 2, 2, 2},
                 {1, 2, 3, 4, 5, 0, 0, 0},
                 {1, 1, 1, 2, 1},
                 {5, 4}},
        PoolCase{"AveragePool", 1, kPair, {1, 1, 3}, {1, 3, 6}, {1, 1, 2}, {2, 4.5}},
        PoolCase{
            "AveragePool", 7, with(kPair, {{"pads", Ints{1, 1}}}), {1, 1, 2}, {2, 4}, {1, 1, 3}, {2, 3, 4}},
        PoolCase{"AveragePool",
                 7,
                 with(kPair, {{"pads", Ints{1, 1}}, {"count_include_pad", 1}}),
                 {1, 1, 2},
                 {2, 4},
                 {1, 1, 3},
                 {1, 3, 2}},
        // the last window reaches one past the padding, which is not counted even when padding is
        PoolCase{"AveragePool",
                 10,
                 {{"kernel_shape", Ints{3}},
                  {"strides", Ints{2}},
                  {"pads", Ints{0, 1}},
                  {"ceil_mode", 1},
                  {"count_include_pad", 1}},
                 {1, 1, 5},
                 {3, 3, 3, 6, 6},
                 {1, 1, 3},
                 {3, 5, 3}},
        PoolCase{
            "AveragePool", 19, with(kPair, {{"dilations", Ints{2}}}), {1, 1, 3}, {1, 9, 5}, {1, 1, 1}, {3}},
        PoolCase{"LpPool", 1, with(kPair, {{"p", 1.0F}}), {1, 1, 3}, {1, -3, 6}, {1, 1, 2}, {4, 9}},
        PoolCase{"LpPool", 2, kPair, {1, 1, 3}, {3, -4, 0}, {1, 1, 2}, {5, 4}},
        PoolCase{"LpPool",
                 18,
                 with(kPair, {{"p", 3}, {"dilations", Ints{2}}, {"pads", Ints{1, 0}}}),
                 {1, 1, 3},
                 {1, 2, 3},
                 {1, 1, 2},
                 {2, std::cbrt(28.0)}},
        PoolCase{"GlobalAveragePool", 1, {}, {1, 2, 2, 2}, {1, 2, 3, 4, 0, 0, 0, 8}, {1, 2, 1, 1}, {2.5, 2}},
        PoolCase{"GlobalMaxPool", 1, {}, {2, 1, 3}, {1, 5, 3, -4, -2, -3}, {2, 1, 1}, {5, -2}},
        PoolCase{"GlobalMaxPool", 22, {}, {1, 1, 2}, {-kInf, -kInf}, {1, 1, 1}, {-kInf}},
        PoolCase{"GlobalLpPool", 1, {{"p", 1.0F}}, {1, 1, 2, 1}, {-1, 2}, {1, 1, 1, 1}, {3}},
        PoolCase{"GlobalLpPool", 2, {}, {1, 1, 2}, {6, -8}, {1, 1, 1}, {10}}),
    [](const auto& row) { return std::string(row.param.name) + "_" + std::to_string(row.index); });

TEST(MaxPool, IntegersPadWithTheirLeast) {
  const Tensor X({1, 1, 2}, std::vector<std::int8_t>{-128, -7});
  const auto Y = run_op("MaxPool", 12, {X}, with(kPair, {{"pads", Ints{1, 0}}}));
  expect_close(Y[0], tensor<std::int8_t>({1, 1, 2}, {-128, -7}));
}

TEST(MaxPool, IndicesCountInTheWholeTensorAndEitherOrder) {
  // channel 1 holds its largest number at row 0, column 2 of a 2x3 plane
  const Tensor X({1, 2, 2, 3}, std::vector<float>{0, 0, 0, 9, 0, 0, 1, 2, 8, 3, 4, 5});
  const Attributes whole{{"kernel_shape", Ints{2, 3}}};
  const auto row_major = run_op("MaxPool", 12, {X}, whole, 2);
  expect_close(row_major[0], tensor<float>({1, 2, 1, 1}, {9, 8}));
  expect_close(row_major[1], tensor<std::int64_t>({1, 2, 1, 1}, {3, 6 + 2}));
  const auto column_major = run_op("MaxPool", 12, {X}, with(whole, {{"storage_order", 1}}), 2);
  expect_close(column_major[1], tensor<std::int64_t>({1, 2, 1, 1}, {1, 6 + 4}));
}

TEST(MaxPool, TheFirstOfEqualElementsIsTheIndex) {
  const Tensor X({1, 1, 3}, std::vector<float>{2, 2, 2});
  const auto result = run_op("MaxPool", 8, {X}, {{"kernel_shape", Ints{3}}}, 2);
  expect_close(result[1], tensor<std::int64_t>({1, 1, 1}, {0}));
}

TEST(MaxUnpool, PutsElementsBackAtIndicesOfTheSmallestShape) {
  const Tensor X({1, 1, 2, 2}, std::vector<float>{1, 2, 3, 4});
  const Tensor I({1, 1, 2, 2}, std::vector<std::int64_t>{5, 7, 13, 15});
  const Attributes attributes{{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}};
  expect_close(run_op("MaxUnpool", 9, {X, I}, attributes)[0],
               tensor<float>({1, 1, 4, 4}, {0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4}));
  // 13 is row 3, column 1 of the 4x4 plane, and stays so in a wider one
  const Tensor shape({4}, std::vector<std::int64_t>{1, 1, 4, 5});
  expect_close(run_op("MaxUnpool", 11, {X, I, shape}, attributes)[0],
               tensor<float>({1, 1, 4, 5}, {0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4, 0}));
  const Tensor outside({1, 1, 2, 2}, std::vector<std::int64_t>{5, 7, 13, 16});
  EXPECT_EQ(run_op_error("MaxUnpool", 9, {X, outside}, attributes), ErrorCode::invalid_input);
}

// Whoever writes such a model wants memory, or an overflow.
TEST(Pool, AbsurdWindowsAreErrorsNotAllocations) {
  const Tensor X(DType::float32, {1, 1, 4});
  const std::int64_t huge = std::int64_t{1} << 29;
  const auto error = [&](const Ints& kernel, const Ints& pads, const Ints& strides) {
    return run_op_error("MaxPool", 12, {X}, {{"kernel_shape", kernel}, {"pads", pads}, {"strides", strides}});
  };
  EXPECT_EQ(error({huge}, {huge / 2, huge / 2}, {1}), ErrorCode::resource_limit);
  EXPECT_EQ(error({2}, {huge * 16, 0}, {1}), ErrorCode::invalid_model);
  EXPECT_EQ(error({2}, {0, 0}, {std::int64_t{1} << 62}), ErrorCode::invalid_model);
  const auto op = op_of("MaxPool", 12, 1, kPair);
  const std::vector<ValueType> types{{DType::float32, Dims{Dim(1), Dim(1), Dim(std::int64_t{1} << 62)}}};
  const std::vector<TensorView> values(1);
  expect_error(ErrorCode::resource_limit, [&] { op->infer({.inputs = types, .values = values}); });
}

TEST(MaxUnpool, UndoesMaxPool) {
  const Tensor X = random_tensor(DType::float32, {2, 3, 4, 6}, 1, 1.0, 2.0);
  const Attributes attributes{{"kernel_shape", Ints{2, 3}}, {"strides", Ints{2, 3}}};
  const auto pooled = run_op("MaxPool", 12, {X}, attributes, 2);
  const auto back = run_op("MaxUnpool", 11, pooled, attributes)[0];
  ASSERT_EQ(to_string(back.shape()), "[2,3,4,6]");
  expect_close(run_op("MaxPool", 12, {back}, attributes, 2)[1], pooled[1]);
}

struct PassCase {
  const char* op;
  Attributes attributes;
  ChannelAffine map;
  std::optional<Decline> reason;
};
void PrintTo(const PassCase& c, std::ostream* out) {
  *out << c.op;
}

class PoolFoldTest : public ::testing::TestWithParam<PassCase> {};

TEST_P(PoolFoldTest, PassesWhatItSays) {
  const auto& c = GetParam();
  const Tensor X = random_tensor(DType::float64, {2, 2, 6}, 1);
  const std::vector<ValueType> types{ValueType::of(X.view())};
  for (const Side side : {Side::input, Side::output}) {
    const auto result = op_of(c.op, 11, 1, c.attributes)->pass_affine(side, c.map, {.inputs = types});
    if (c.reason) {
      ASSERT_TRUE(std::holds_alternative<Declined>(result));
      EXPECT_EQ(std::get<Declined>(result).reason, *c.reason);
      continue;
    }
    ASSERT_TRUE(std::holds_alternative<ChannelAffine>(result));
    expect_close(run_op(c.op, 11, {applied(c.map, X)}, c.attributes)[0],
                 applied(std::get<ChannelAffine>(result), run_op(c.op, 11, {X}, c.attributes)[0]));
  }
}

const ChannelAffine kRising{1, {2.0, 0.5}, {3.0, -1.0}};
const ChannelAffine kFalling{1, {2.0, -0.5}, {0.0, 0.0}};
const Attributes kPadded{{"kernel_shape", Ints{3}}, {"pads", Ints{1, 2}}};

INSTANTIATE_TEST_SUITE_P(
    Table, PoolFoldTest,
    ::testing::Values(
        PassCase{"MaxPool", kPadded, kRising, {}}, PassCase{"GlobalMaxPool", {}, kRising, {}},
        PassCase{"MaxPool", kPadded, kFalling, Decline::activation_between},
        PassCase{"GlobalMaxPool", {}, {ChannelAffine::kUniform, {0.0}, {1.0}}, Decline::activation_between},
        PassCase{"MaxPool", kPair, {2, {1, 1, 1, 1, 1, 2}, {0, 0, 0, 0, 0, 0}}, Decline::axis_unproven},
        PassCase{"AveragePool", kPadded, kRising, {}}, PassCase{"AveragePool", kPadded, kFalling, {}},
        PassCase{"AveragePool", with(kPadded, {{"count_include_pad", 1}}), kFalling, {}},
        PassCase{"AveragePool", with(kPadded, {{"count_include_pad", 1}}), kRising, Decline::padding},
        PassCase{"AveragePool", with(kPair, {{"count_include_pad", 1}}), kRising, {}},
        PassCase{
            "AveragePool",
            {{"kernel_shape", Ints{4}}, {"strides", Ints{3}}, {"ceil_mode", 1}, {"count_include_pad", 1}},
            kRising,
            {}},
        PassCase{"GlobalAveragePool", {}, kRising, {}},
        PassCase{"LpPool", kPair, kRising, Decline::activation_between}),
    [](const auto& row) { return std::string(row.param.op) + "_" + std::to_string(row.index); });

}  // namespace
}  // namespace bnrun::testing
