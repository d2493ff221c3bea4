// Conv, ConvTranspose and their fold hooks, against sums written straight from the definitions.
#include <gtest/gtest.h>

#include <functional>

#include "support/channel_map.h"
#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;

/// Calls visit(coordinates) for every position of `shape`, in row-major order.
void each(const Shape& shape, const std::function<void(const Ints&)>& visit) {
  Ints at(shape.rank(), 0);
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    visit(at);
    for (std::size_t axis = shape.rank(); axis-- > 0;) {
      if (++at[axis] < shape[axis]) break;
      at[axis] = 0;
    }
  }
}

/// The element at coordinates, or nullptr outside.
const double* element(const Tensor& tensor, const Ints& at) {
  std::int64_t index = 0;
  for (std::size_t axis = 0; axis < at.size(); ++axis) {
    if (at[axis] < 0 || at[axis] >= tensor.shape()[axis]) return nullptr;
    index = index * tensor.shape()[axis] + at[axis];
  }
  return tensor.data<double>() + index;
}

struct ConvCase {
  const char* name;
  Shape X, W;
  Ints strides, dilations, pads;  ///< as resolved
  std::int64_t group;
  Shape Y;
  Attributes attributes;
};
void PrintTo(const ConvCase& c, std::ostream* out) {
  *out << c.name;
}

Ints tail(const Ints& at, std::int64_t first, std::int64_t second) {
  Ints result = at;
  result[0] = first;
  result[1] = second;
  return result;
}

Tensor conv_by_definition(const ConvCase& c, const Tensor& X, const Tensor& W, const Tensor& B) {
  Tensor Y(DType::float64, c.Y);
  double* y = Y.mutable_data<double>();
  const std::int64_t M_per_group = c.W[0] / c.group;
  each(c.Y, [&](const Ints& o) {
    double sum = B.data<double>()[o[1]];
    each(c.W, [&](const Ints& w) {
      if (w[0] != o[1]) return;
      Ints x = tail(o, o[0], o[1] / M_per_group * c.W[1] + w[1]);
      for (std::size_t i = 2; i < x.size(); ++i)
        x[i] = o[i] * c.strides[i - 2] - c.pads[i - 2] + w[i] * c.dilations[i - 2];
      if (const double* value = element(X, x)) sum += *value * *element(W, w);
    });
    *y++ = sum;
  });
  return Y;
}

Tensor conv_transpose_by_definition(const ConvCase& c, const Tensor& X, const Tensor& W, const Tensor& B) {
  Tensor Y(DType::float64, c.Y);
  double* y = Y.mutable_data<double>();
  const std::int64_t C_per_group = c.W[0] / c.group;
  each(c.Y, [&](const Ints& o) {
    double sum = B.data<double>()[o[1]];
    each(c.W, [&](const Ints& w) {
      if (w[0] / C_per_group * c.W[1] + w[1] != o[1]) return;
      Ints x = tail(o, o[0], w[0]);
      for (std::size_t i = 2; i < x.size(); ++i) {
        const std::int64_t scaled = o[i] + c.pads[i - 2] - w[i] * c.dilations[i - 2];
        if (scaled < 0 || scaled % c.strides[i - 2] != 0) return;
        x[i] = scaled / c.strides[i - 2];
      }
      if (const double* value = element(X, x)) sum += *value * *element(W, w);
    });
    *y++ = sum;
  });
  return Y;
}

class ConvTest : public ::testing::TestWithParam<ConvCase> {};

TEST_P(ConvTest, EqualsTheDefinitionInEveryFloatType) {
  const auto& c = GetParam();
  const bool transposed = std::string_view(c.name).starts_with("transpose");
  const Shape bias{c.Y[1]};
  for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    const Tensor X = random_tensor(dtype, c.X, 1);
    const Tensor W = random_tensor(dtype, c.W, 2);
    const Tensor B = random_tensor(dtype, bias, 3);
    const auto wide = [](const Tensor& tensor) { return convert(tensor, DType::float64); };
    const auto define = transposed ? conv_transpose_by_definition : conv_by_definition;
    const char* op = transposed ? "ConvTranspose" : "Conv";
    for (const std::int64_t opset : {1, 11, 22}) {
      expect_close(run_op(op, opset, {X, W, B}, c.attributes)[0],
                   convert(define(c, wide(X), wide(W), wide(B)), dtype));
    }
    const Tensor none(DType::float64, bias);
    expect_close(run_op(op, 11, {X, W}, c.attributes)[0], convert(define(c, wide(X), wide(W), none), dtype));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, ConvTest,
    ::testing::Values(
        ConvCase{"plain_2d", {2, 3, 5, 6}, {4, 3, 3, 2}, {1, 1}, {1, 1}, {0, 0}, 1, {2, 4, 3, 5}, {}},
        ConvCase{"line",
                 {1, 2, 9},
                 {3, 2, 3},
                 {2},
                 {1},
                 {1},
                 1,
                 {1, 3, 5},
                 {{"strides", Ints{2}}, {"pads", Ints{1, 1}}}},
        ConvCase{"volume_dilated",
                 {1, 2, 5, 4, 4},
                 {2, 2, 2, 2, 2},
                 {1, 1, 1},
                 {2, 1, 3},
                 {0, 1, 0},
                 1,
                 {1, 2, 3, 5, 1},
                 {{"dilations", Ints{2, 1, 3}}, {"pads", Ints{0, 1, 0, 0, 1, 0}}}},
        ConvCase{"groups",
                 {2, 6, 4, 4},
                 {4, 3, 2, 2},
                 {1, 1},
                 {1, 1},
                 {0, 0},
                 2,
                 {2, 4, 3, 3},
                 {{"group", 2}, {"kernel_shape", Ints{2, 2}}}},
        ConvCase{"depthwise_twice",
                 {1, 3, 4, 4},
                 {6, 1, 3, 3},
                 {1, 1},
                 {1, 1},
                 {1, 1},
                 3,
                 {1, 6, 4, 4},
                 {{"group", 3}, {"pads", Ints{1, 1, 1, 1}}}},
        ConvCase{"uneven_pads",
                 {1, 1, 4, 5},
                 {2, 1, 3, 3},
                 {1, 2},
                 {1, 1},
                 {2, 0},
                 1,
                 {1, 2, 5, 3},
                 {{"strides", Ints{1, 2}}, {"pads", Ints{2, 0, 1, 2}}}},
        // 7 over stride 2: 4 outputs need (4-1)*2+4-7 = 3 of padding, 2 of them where the odd one goes
        ConvCase{"same_upper",
                 {1, 2, 7},
                 {2, 2, 4},
                 {2},
                 {1},
                 {1},
                 1,
                 {1, 2, 4},
                 {{"strides", Ints{2}}, {"auto_pad", std::string("SAME_UPPER")}}},
        ConvCase{"same_lower",
                 {1, 2, 7},
                 {2, 2, 4},
                 {2},
                 {1},
                 {2},
                 1,
                 {1, 2, 4},
                 {{"strides", Ints{2}}, {"auto_pad", std::string("SAME_LOWER")}}},
        ConvCase{"valid",
                 {1, 2, 7},
                 {2, 2, 4},
                 {2},
                 {1},
                 {0},
                 1,
                 {1, 2, 2},
                 {{"strides", Ints{2}}, {"auto_pad", std::string("VALID")}}},
        // more than 1024 output positions: several blocks of columns
        ConvCase{"large_plane",
                 {1, 1, 40, 33},
                 {2, 1, 3, 3},
                 {1, 1},
                 {1, 1},
                 {1, 1},
                 1,
                 {1, 2, 40, 33},
                 {{"pads", Ints{1, 1, 1, 1}}}},
        ConvCase{"empty_batch", {0, 2, 4}, {3, 2, 2}, {1}, {1}, {0}, 1, {0, 3, 3}, {}},
        ConvCase{"transpose_2d", {2, 3, 3, 4}, {3, 2, 3, 2}, {1, 1}, {1, 1}, {0, 0}, 1, {2, 2, 5, 5}, {}},
        ConvCase{"transpose_line",
                 {1, 2, 4},
                 {2, 3, 3},
                 {3},
                 {1},
                 {1},
                 1,
                 {1, 3, 11},
                 {{"strides", Ints{3}}, {"pads", Ints{1, 0}}, {"output_padding", Ints{0}}}},
        ConvCase{
            "transpose_groups",
            {2, 4, 3, 3},
            {4, 3, 2, 2},
            {2, 1},
            {1, 2},
            {0, 1},
            2,
            {2, 6, 6, 3},
            {{"group", 2}, {"strides", Ints{2, 1}}, {"dilations", Ints{1, 2}}, {"pads", Ints{0, 1, 0, 1}}}},
        ConvCase{"transpose_output_padding",
                 {1, 1, 3},
                 {1, 1, 3},
                 {3},
                 {1},
                 {1},
                 1,
                 {1, 1, 9},
                 {{"strides", Ints{3}}, {"pads", Ints{1, 1}}, {"output_padding", Ints{2}}}},
        // 2*(4-1)+3 = 9, one too many: the specification takes the odd one from the begin unless SAME_UPPER
        ConvCase{"transpose_output_shape",
                 {1, 1, 4},
                 {1, 1, 3},
                 {2},
                 {1},
                 {1},
                 1,
                 {1, 1, 8},
                 {{"strides", Ints{2}}, {"output_shape", Ints{8}}}},
        ConvCase{"transpose_same_upper",
                 {1, 1, 4},
                 {1, 1, 3},
                 {2},
                 {1},
                 {0},
                 1,
                 {1, 1, 8},
                 {{"strides", Ints{2}}, {"auto_pad", std::string("SAME_UPPER")}}},
        ConvCase{"transpose_same_lower",
                 {1, 1, 4},
                 {1, 1, 3},
                 {2},
                 {1},
                 {1},
                 1,
                 {1, 1, 8},
                 {{"strides", Ints{2}}, {"auto_pad", std::string("SAME_LOWER")}}},
        ConvCase{"transpose_volume",
                 {1, 2, 2, 3, 2},
                 {2, 1, 2, 1, 3},
                 {1, 2, 1},
                 {1, 1, 1},
                 {0, 0, 0},
                 1,
                 {1, 1, 3, 5, 4},
                 {{"strides", Ints{1, 2, 1}}}},
        ConvCase{"transpose_large",
                 {1, 1, 1100},
                 {1, 2, 2},
                 {2},
                 {1},
                 {0},
                 1,
                 {1, 2, 2200},
                 {{"strides", Ints{2}}}}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Conv, RefusesWhatCannotFit) {
  const Tensor X(DType::float32, {1, 4, 5});
  const auto error = [&](const Shape& W, const Attributes& attributes) {
    return run_op_error("Conv", 11, {X, Tensor(DType::float32, W)}, attributes);
  };
  EXPECT_EQ(error({2, 3, 3}, {}), ErrorCode::invalid_model);
  EXPECT_EQ(error({2, 4, 3, 3}, {}), ErrorCode::invalid_model);
  EXPECT_EQ(error({3, 2, 3}, {{"group", 2}}), ErrorCode::invalid_model);
  EXPECT_EQ(error({2, 4, 6}, {}), ErrorCode::invalid_model);
  EXPECT_EQ(error({2, 4, 3}, {{"kernel_shape", Ints{2}}}), ErrorCode::invalid_model);
  EXPECT_EQ(error({2, 4, 3}, {{"strides", Ints{0}}}), ErrorCode::invalid_model);
  EXPECT_EQ(error({2, 4, 3}, {{"pads", Ints{1}}}), ErrorCode::invalid_model);
  EXPECT_EQ(error({2, 4, 3}, {{"auto_pad", std::string("EVEN")}}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Conv", 11, {X, Tensor(DType::float64, {2, 4, 3})}), ErrorCode::invalid_model);
}

TEST(Conv, KeepsASymbolicBatchAndUnchangedExtents) {
  const auto op = op_of("Conv", 11, 2, {{"pads", Ints{1, 1, 1, 1}}});
  const std::vector<ValueType> types{
      {DType::float32, Dims{Dim::symbol("N"), Dim(3), Dim::symbol("H"), Dim(8)}},
      ValueType::of(DType::float32, {16, 3, 3, 3})};
  const std::vector<TensorView> values(2);
  EXPECT_EQ(to_string(op->infer({.inputs = types, .values = values})[0]), "float32[N,16,H,8]");
}

// -------- folding

ChannelAffine map_of(int axis, std::size_t channels, bool with_shift, std::uint32_t seed) {
  const auto extent = static_cast<std::int64_t>(channels);
  const Tensor scale = random_tensor(DType::float64, {extent}, seed, -2.0, 2.0);
  const Tensor shift = random_tensor(DType::float64, {extent}, seed + 1);
  ChannelAffine map{axis, {}, std::vector<double>(channels, 0.0)};
  map.scale.assign(scale.data<double>(), scale.data<double>() + channels);
  if (with_shift) map.shift.assign(shift.data<double>(), shift.data<double>() + channels);
  return map;
}

struct FoldCase {
  const char* op;
  Shape X, W;
  bool has_bias;
  bool shift_before;
  Attributes attributes;
};
void PrintTo(const FoldCase& c, std::ostream* out) {
  *out << c.op;
}

class ConvFoldTest : public ::testing::TestWithParam<FoldCase> {};

TEST_P(ConvFoldTest, FoldedWeightsComputeTheSame) {
  const auto& c = GetParam();
  const Tensor X = random_tensor(DType::float64, c.X, 1);
  const Tensor W = random_tensor(DType::float64, c.W, 2);
  const Tensor plain = run_op(c.op, 11, {X, W}, c.attributes)[0];
  const std::int64_t M = plain.shape()[1];
  const Tensor B = random_tensor(DType::float64, {M}, 3);
  std::vector<Tensor> inputs{X, W};
  if (c.has_bias) inputs.push_back(B);

  const auto before = map_of(1, static_cast<std::size_t>(c.X[1]), c.shift_before, 4);
  const auto after = map_of(1, static_cast<std::size_t>(M), true, 6);
  std::vector<ValueType> types;
  std::vector<const Tensor*> constants;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    types.push_back(ValueType::of(inputs[i].view()));
    constants.push_back(i == 0 ? nullptr : &inputs[i]);
  }
  const auto op = op_of(c.op, 11, inputs.size(), c.attributes);
  EXPECT_TRUE(op->linear());
  const auto result = op->absorb_affine(before, after, {.inputs = types, .constants = constants});
  const auto* absorbed = std::get_if<Absorbed>(&result);
  ASSERT_NE(absorbed, nullptr);
  ASSERT_EQ(absorbed->inputs.size(), 2U);
  EXPECT_EQ(absorbed->inputs[0].first, 1U);
  EXPECT_EQ(absorbed->inputs[1].first, 2U);
  EXPECT_TRUE(absorbed->remaining.is_identity());

  auto unfolded = inputs;
  unfolded[0] = applied(before, X);
  const Tensor expected = applied(after, run_op(c.op, 11, unfolded, c.attributes)[0]);
  std::vector<Tensor> folded{X};
  for (const auto& [index, scaled] : absorbed->inputs)
    folded.push_back(round_to_storage(scaled, DType::float64).tensor);
  expect_close(run_op(c.op, 11, folded, c.attributes)[0], expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ConvFoldTest,
    ::testing::Values(
        FoldCase{"Conv", {2, 3, 5, 5}, {4, 3, 3, 3}, true, true, {}},
        FoldCase{"Conv", {2, 3, 5, 5}, {4, 3, 3, 3}, false, true, {{"strides", Ints{2, 1}}}},
        FoldCase{"Conv", {2, 3, 5, 5}, {4, 3, 3, 3}, true, false, {{"pads", Ints{1, 1, 1, 1}}}},
        FoldCase{"Conv", {1, 6, 4}, {4, 3, 2}, true, true, {{"group", 2}}},
        FoldCase{"Conv", {1, 3, 4}, {6, 1, 2}, false, true, {{"group", 3}}},
        FoldCase{"Conv", {1, 3, 4}, {2, 3, 1}, true, true, {{"auto_pad", std::string("SAME_UPPER")}}},
        FoldCase{"ConvTranspose", {2, 3, 4, 4}, {3, 2, 3, 3}, true, false, {{"strides", Ints{2, 2}}}},
        FoldCase{"ConvTranspose", {1, 4, 5}, {4, 3, 2}, false, false, {{"group", 2}}}));

std::optional<Decline> conv_decline(const char* op, const ChannelAffine& before, const ChannelAffine& after,
                                    const Attributes& attributes, bool constant_W, bool constant_B) {
  const Tensor W = random_tensor(DType::float64, {2, 2, 3}, 1);
  const Tensor B = random_tensor(DType::float64, {2}, 1);
  const std::vector<ValueType> types{ValueType::of(DType::float64, {1, 2, 6}), ValueType::of(W.view()),
                                     ValueType::of(B.view())};
  const std::vector<const Tensor*> constants{nullptr, constant_W ? &W : nullptr, constant_B ? &B : nullptr};
  const auto result =
      op_of(op, 11, 3, attributes)->absorb_affine(before, after, {.inputs = types, .constants = constants});
  const auto* declined = std::get_if<Declined>(&result);
  return declined != nullptr ? std::optional(declined->reason) : std::nullopt;
}

TEST(ConvFold, DeclinesWithItsReason) {
  const ChannelAffine none;
  const auto shift = map_of(1, 2, true, 1);
  const auto scale = map_of(1, 2, false, 1);
  const Attributes padded{{"pads", Ints{0, 1}}};
  const Attributes same{{"auto_pad", std::string("SAME_LOWER")}};
  EXPECT_EQ(conv_decline("Conv", shift, none, padded, true, true), Decline::padding);
  EXPECT_EQ(conv_decline("Conv", shift, none, same, true, true), Decline::padding);
  EXPECT_EQ(conv_decline("Conv", scale, shift, padded, true, true), std::nullopt);
  EXPECT_EQ(conv_decline("Conv", none, shift, {}, false, true), Decline::not_constant);
  EXPECT_EQ(conv_decline("Conv", none, shift, {}, true, false), Decline::not_constant);
  EXPECT_EQ(conv_decline("Conv", none, map_of(2, 4, true, 1), {}, true, true), Decline::axis_unproven);
  EXPECT_EQ(conv_decline("ConvTranspose", shift, none, {}, true, true), Decline::padding);
  EXPECT_EQ(conv_decline("ConvTranspose", map_of(0, 1, false, 1), none, {}, true, true),
            Decline::axis_unproven);
}

}  // namespace
}  // namespace bnrun::testing
