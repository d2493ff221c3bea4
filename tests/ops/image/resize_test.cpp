// Resize and Upsample, worked by hand from the formulas of the specification.
#include <gtest/gtest.h>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

std::string text(const char* value) {
  return value;
}

Tensor floats(const Floats& values) {
  return Tensor({static_cast<std::int64_t>(values.size())}, values);
}
Tensor ints(const Ints& values) {
  return Tensor({static_cast<std::int64_t>(values.size())}, values);
}

/// One axis of X resized with opset 19: by `scale`, or to `size` when it is not 0.
struct LineCase {
  const char* name;
  Attributes attributes;
  std::vector<double> x;
  float scale;
  std::int64_t size;
  std::vector<double> y;
  Floats roi = {};
};
void PrintTo(const LineCase& c, std::ostream* out) {
  *out << c.name;
}

class ResizeLineTest : public ::testing::TestWithParam<LineCase> {};

TEST_P(ResizeLineTest, WorkedByHand) {
  const auto& c = GetParam();
  const Tensor roi = c.roi.empty() ? Tensor() : floats(c.roi);
  for (const DType dtype : {DType::float32, DType::float64, DType::float16}) {
    const Tensor X = tensor_of(dtype, {static_cast<std::int64_t>(c.x.size())}, c.x);
    const auto Y = c.size == 0 ? run_op("Resize", 19, {X, roi, floats({c.scale})}, c.attributes)[0]
                               : run_op("Resize", 19, {X, roi, Tensor(), ints({c.size})}, c.attributes)[0];
    expect_close(Y, tensor_of(dtype, {static_cast<std::int64_t>(c.y.size())}, c.y));
  }
}

Attributes nearest(const char* transformation, const char* rounding) {
  return {{"coordinate_transformation_mode", text(transformation)}, {"nearest_mode", text(rounding)}};
}
Attributes linear(const char* transformation, Attributes more = {}) {
  more["mode"] = text("linear");
  more["coordinate_transformation_mode"] = text(transformation);
  return more;
}

INSTANTIATE_TEST_SUITE_P(
    Table, ResizeLineTest,
    ::testing::Values(
        // positions 0 .5 1 1.5 2 2.5
        LineCase{"floor", nearest("asymmetric", "floor"), {1, 2, 3}, 2, 0, {1, 1, 2, 2, 3, 3}},
        LineCase{"ceil", nearest("asymmetric", "ceil"), {1, 2, 3}, 2, 0, {1, 2, 2, 3, 3, 3}},
        LineCase{
            "prefer_floor", nearest("asymmetric", "round_prefer_floor"), {1, 2, 3}, 2, 0, {1, 1, 2, 2, 3, 3}},
        LineCase{
            "prefer_ceil", nearest("asymmetric", "round_prefer_ceil"), {1, 2, 3}, 2, 0, {1, 2, 2, 3, 3, 3}},
        // positions (o + 0.5) / 1.5 - 0.5 = -1/6 1/2 7/6
        LineCase{"half_pixel_floor_tie", {}, {1, 2}, 1.5F, 0, {1, 1, 2}},
        LineCase{
            "half_pixel_ceil_tie", {{"nearest_mode", text("round_prefer_ceil")}}, {1, 2}, 1.5F, 0, {1, 2, 2}},
        // (o + 0.5) / 2 = 0.25 0.75 1.25 1.75
        LineCase{"tf_half_pixel", nearest("tf_half_pixel_for_nn", "floor"), {1, 2}, 2, 0, {1, 1, 2, 2}},
        // 1 / 0.33333334F is 3, not a little less
        LineCase{"third", nearest("asymmetric", "floor"), {1, 2, 3, 4, 5, 6}, 1.0F / 3, 0, {1, 4}},
        // 10 * 0.7F is 7; positions o / 0.7
        LineCase{"seven_tenths",
                 nearest("asymmetric", "floor"),
                 {0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
                 0.7F,
                 0,
                 {0, 1, 2, 4, 5, 7, 8}},
        // positions -.25 .25 .75 1.25
        LineCase{"linear", linear("half_pixel"), {1, 3}, 2, 0, {1, 1.5, 2.5, 3}},
        LineCase{"linear_to_size", linear("half_pixel"), {1, 3}, 0, 4, {1, 1.5, 2.5, 3}},
        LineCase{"linear_asymmetric", linear("asymmetric"), {1, 3}, 2, 0, {1, 2, 3, 3}},
        LineCase{"linear_align_corners", linear("align_corners"), {1, 4}, 2, 0, {1, 2, 3, 4}},
        LineCase{"align_corners_to_one", linear("align_corners"), {5, 4}, 0, 1, {5}},
        // half_pixel puts a single output in the middle, PyTorch at the front
        LineCase{"half_pixel_to_one", linear("half_pixel"), {1, 3}, 0, 1, {2}},
        LineCase{"pytorch_to_one", linear("pytorch_half_pixel"), {1, 3}, 0, 1, {1}},
        // 3 * 1.5 = 4.5 becomes 4: centre 1.5 * (1 - 4/4.5) = 1/6 more than half_pixel's -1/6 1/2 7/6 11/6
        LineCase{"half_pixel_symmetric", linear("half_pixel_symmetric"), {0, 6, 12}, 1.5F, 0, {0, 4, 8, 12}},
        // from 0.25*3 to 0.75*3 in two steps of 0.75
        LineCase{"crop", linear("tf_crop_and_resize"), {0, 4, 8, 12}, 0, 3, {3, 6, 9}, {0.25F, 0.75F}},
        LineCase{"crop_to_one", linear("tf_crop_and_resize"), {0, 4, 8, 12}, 0, 1, {6}, {0.25F, 0.75F}},
        // 4 * 0.5 * 1.5 = 3
        LineCase{
            "crop_by_scale", linear("tf_crop_and_resize"), {0, 4, 8, 12}, 1.5F, 0, {3, 6, 9}, {0.25F, 0.75F}},
        // positions -3 0 3 6
        LineCase{"crop_outside",
                 linear("tf_crop_and_resize", {{"extrapolation_value", -7.0F}}),
                 {0, 4, 8, 12},
                 0,
                 4,
                 {-7, 0, 12, -7},
                 {-1, 2}},
        LineCase{"crop_nearest",
                 {{"coordinate_transformation_mode", text("tf_crop_and_resize")}},
                 {5, 6, 7, 8},
                 0,
                 4,
                 {0, 5, 8, 0},
                 {-1, 2}},
        // position 0.5: -a/8 and (4+a)/8 with a = -0.75, the outer ones clamped
        LineCase{
            "cubic",
            {{"mode", text("cubic")}},
            {8, 16, 0, 24},
            0,
            2,
            {8 * -0.09375 + 8 * 0.59375 + 16 * 0.59375, 0 + 24 * 0.59375 + 24 * -0.09375 + 16 * -0.09375}},
        LineCase{"cubic_keys", {{"mode", text("cubic")}, {"cubic_coeff_a", -0.5F}}, {16, 32}, 0, 1, {24}},
        // without the two outer taps the inner ones share the whole: (16 + 48)/2
        LineCase{"cubic_inside", {{"mode", text("cubic")}, {"exclude_outside", 1}}, {16, 48}, 0, 1, {32}},
        // scale 1/2, positions .5 2.5: a triangle twice as wide, weights 1/4 3/4 3/4 1/4 over 2, clamped
        LineCase{"antialias",
                 linear("half_pixel", {{"antialias", 1}}),
                 {8, 16, 0, 24},
                 0,
                 2,
                 {(8 + 3 * 8 + 3 * 16 + 0) / 8.0, (16 + 0 + 3 * 24 + 24) / 8.0}},
        LineCase{"antialias_inside",
                 linear("half_pixel", {{"antialias", 1}, {"exclude_outside", 1}}),
                 {7, 14, 0, 21},
                 0,
                 2,
                 {(3 * 7 + 3 * 14 + 0) / 7.0, (14 + 0 + 3 * 21) / 7.0}},
        LineCase{
            "antialias_growing", linear("half_pixel", {{"antialias", 1}}), {1, 3}, 2, 0, {1, 1.5, 2.5, 3}}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Resize, EveryAxisByItself) {
  const Tensor X({1, 1, 2, 2}, Floats{1, 2, 3, 4});
  expect_close(run_op("Resize", 13, {X, Tensor(), floats({1, 1, 2, 1.5F})}, linear("half_pixel"))[0],
               tensor<float>({1, 1, 4, 3}, {1, 1.5F, 2, 1.5F, 2, 2.5F, 2.5F, 3, 3.5F, 3, 3.5F, 4}));
}

TEST(Resize, OneOutputOfAnAxisOfSeveralIsTheFirst) {
  const Tensor X({2, 2}, Floats{1, 2, 3, 4});
  for (const char* mode : {"linear", "nearest"}) {
    Attributes attributes = linear("pytorch_half_pixel");
    attributes["mode"] = text(mode);
    expect_close(run_op("Resize", 19, {X, Tensor(), Tensor(), ints({2, 1})}, attributes)[0],
                 Tensor({2, 1}, Floats{1, 3}));
    expect_close(run_op("Resize", 19, {X, Tensor(), Tensor(), ints({1, 2})}, attributes)[0],
                 Tensor({1, 2}, Floats{1, 2}));
  }
}

TEST(Resize, Opset11WritesEmptyTensorsForAbsentInputs) {
  const Tensor X({2}, Floats{1, 2});
  const Tensor empty = floats({});
  const Tensor expected({4}, Floats{1, 1, 2, 2});
  expect_close(run_op("Resize", 11, {X, empty, floats({2})})[0], expected);
  expect_close(run_op("Resize", 11, {X, empty, empty, ints({4})})[0], expected);
}

TEST(Resize, AxesAndAspectRatio) {
  const Tensor X({2, 4}, std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, 7, 8});
  const Attributes floor = nearest("asymmetric", "floor");
  const auto with = [&](Attributes more) {
    more.insert(floor.begin(), floor.end());
    return more;
  };
  expect_close(run_op("Resize", 18, {X, Tensor(), floats({0.5F})}, with({{"axes", Ints{-1}}}))[0],
               tensor<std::int32_t>({2, 2}, {1, 3, 5, 7}));
  // sizes for axes 1 and 0, in that order
  expect_close(run_op("Resize", 18, {X, Tensor(), Tensor(), ints({2, 1})}, with({{"axes", Ints{1, 0}}}))[0],
               tensor<std::int32_t>({1, 2}, {1, 3}));
  // 2 -> 4 doubles, 4 -> 6 grows by a half: not larger takes 1.5, not smaller 2
  expect_close(run_op("Resize", 18, {X, Tensor(), Tensor(), ints({4, 6})},
                      with({{"keep_aspect_ratio_policy", text("not_larger")}}))[0],
               tensor<std::int32_t>({3, 6}, {1, 1, 2, 3, 3, 4, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8}));
  EXPECT_EQ(to_string(run_op("Resize", 19, {X, Tensor(), Tensor(), ints({4, 6})},
                             with({{"keep_aspect_ratio_policy", text("not_smaller")}}))[0]
                          .shape()),
            "[4,8]");
  // 3 * 0.5 = 1.5 rounds up
  const Tensor row({3, 4}, Floats(12, 1));
  EXPECT_EQ(to_string(run_op("Resize", 18, {row, Tensor(), Tensor(), ints({3, 2})},
                             with({{"keep_aspect_ratio_policy", text("not_larger")}}))[0]
                          .shape()),
            "[2,2]");
}

TEST(Resize, MovesAnyTypeAndRoundsIntegersTowardsZero) {
  const Tensor words({2}, std::vector<std::string>{"a", "b"});
  expect_close(run_op("Resize", 13, {words, Tensor(), floats({2})})[0],
               tensor<std::string>({4}, {"a", "a", "b", "b"}));
  const Tensor bytes({2}, std::vector<std::uint8_t>{10, 13});
  expect_close(run_op("Resize", 13, {bytes, Tensor(), floats({2})}, linear("half_pixel"))[0],
               tensor<std::uint8_t>({4}, {10, 10, 12, 13}));
  // cubic overshoots: 255 * 1.1875 stays 255
  const Tensor peak({4}, std::vector<std::uint8_t>{0, 255, 255, 0});
  expect_close(run_op("Resize", 13, {peak, Tensor(), Tensor(), ints({1})}, {{"mode", text("cubic")}})[0],
               tensor<std::uint8_t>({1}, {255}));
}

TEST(Resize, EarlyVersions) {
  const Tensor X({1, 1, 1, 4}, Floats{1, 2, 3, 4});
  // opset 10: positions o / 0.6 = 0 1.67, taken up because the axis shrinks; and down where it grows
  expect_close(run_op("Resize", 10, {X, floats({1, 1, 1, 0.6F})})[0], tensor<float>({1, 1, 1, 2}, {1, 3}));
  const Tensor expected({1, 1, 1, 6}, Floats{1, 1, 2, 3, 3, 4});
  expect_close(run_op("Resize", 10, {X, floats({1, 1, 1, 1.5F})})[0], expected);
  expect_close(run_op("Upsample", 9, {X, floats({1, 1, 1, 1.5F})})[0], expected);
  expect_close(run_op("Upsample", 7, {X}, {{"scales", Floats{1, 1, 1, 1.5F}}})[0], expected);
  expect_close(run_op("Upsample", 1, {X}, {{"height_scale", 1.0F}, {"width_scale", 1.5F}})[0], expected);
  expect_close(run_op("Upsample", 9, {X, floats({1, 1, 1, 2})}, {{"mode", text("linear")}})[0],
               tensor<float>({1, 1, 1, 8}, {1, 1.5F, 2, 2.5F, 3, 3.5F, 4, 4}));
}

TEST(Resize, RefusesWhatCannotBe) {
  const Tensor X({2, 2}, Floats{1, 2, 3, 4});
  EXPECT_EQ(run_op_error("Resize", 13, {X}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Resize", 13, {X, Tensor(), floats({2})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Resize", 13, {X, Tensor(), floats({2, -1})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Resize", 13, {X, Tensor(), floats({2, 2}), ints({4, 4})}),
            ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Resize", 13, {X, Tensor(), floats({2, 2})}, linear("tf_crop_and_resize")),
            ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Resize", 13, {X, Tensor(), floats({2, 2})}, linear("other")),
            ErrorCode::unsupported);
  EXPECT_EQ(run_op_error("Resize", 10, {X, floats({2, 2})}, {{"mode", text("cubic")}}),
            ErrorCode::unsupported);
}

TEST(Resize, SymbolicExtents) {
  const auto op = op_of("Resize", 13, 3);
  const Tensor scales = floats({1, 2});
  const std::vector<ValueType> types{
      {DType::float32, Dims{Dim::symbol("N"), Dim(3)}}, {}, ValueType::of(scales.view())};
  const std::vector<TensorView> values{{}, {}, scales.view()};
  EXPECT_EQ(to_string(op->infer({.inputs = types, .values = values})[0]), "float32[N,6]");
}

}  // namespace
}  // namespace bnrun::testing
