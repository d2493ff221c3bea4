// Maps through operators that weigh, add up or choose among elements.
#include <gtest/gtest.h>

#include <optional>

#include "support/fold_passing.h"

namespace bnrun {
namespace {

using namespace testing;

using Net = PassingNet;
constexpr std::int64_t kC = Net::kChannels;

Tensor floats(const Floats& values) {
  return row(values);
}
/// Twice the height and 1.5 times the width, by scales.
ValueId resize(Net& m, ValueId h, Attributes attributes, const Floats& scales = {1, 1, 2, 1.5F}) {
  return m.op("Resize", {h, ValueId{}, floats(scales)}, std::move(attributes));
}
Attributes mode(const char* name) {
  return {{"mode", std::string(name)}};
}
ValueId reduce(Net& m, const char* kind, ValueId h, const Ints& axes, std::int64_t keepdims = 1) {
  return m.op(kind, {h, Net::ints(axes)}, {{"keepdims", keepdims}});
}
Attributes cropped(float outside) {
  return {{"mode", std::string("linear")},
          {"coordinate_transformation_mode", std::string("tf_crop_and_resize")},
          {"extrapolation_value", outside}};
}
ValueId crop(Net& m, ValueId h, float outside) {
  const Tensor roi = floats({0, 0, -0.5F, 0.25F, 1, 1, 1, 1.5F});
  return m.op("Resize", {h, roi, ValueId{}, Net::ints({2, kC, 4, 4})}, cropped(outside));
}

class FoldPassesSums : public ::testing::TestWithParam<Passing> {};

TEST_P(FoldPassesSums, Forward) {
  expect_passes(GetParam(), FoldDirection::forward);
}
TEST_P(FoldPassesSums, Backward) {
  expect_passes(GetParam(), FoldDirection::backward);
}

constexpr auto kPositive = MapKind::positive;
constexpr auto kScale = MapKind::scale;
constexpr auto kPositiveScale = MapKind::positive_scale;

const Passing kBothWays[] = {
    // ---- weights that sum to 1
    {"ResizeNearest", [](Net& m, ValueId h) { return resize(m, h, mode("nearest")); }},
    {"ResizeLinear", [](Net& m, ValueId h) { return resize(m, h, mode("linear")); }},
    {"ResizeCubic", [](Net& m, ValueId h) { return resize(m, h, mode("cubic")); }},
    {"ResizeByOneMapWhateverTheAxes",
     [](Net& m, ValueId h) {
       return resize(m, h, mode("linear"), {2, 1.5F, 1, 1});
     },
     MapKind::uniform, MapKind::uniform, 12},
    {"ResizeLinearToTheCorners",
     [](Net& m, ValueId h) {
       auto attributes = mode("linear");
       attributes["coordinate_transformation_mode"] = std::string("align_corners");
       return resize(m, h, attributes);
     }},
    {"ResizeLinearWithinTheTensor",
     [](Net& m, ValueId h) {
       auto attributes = mode("linear");
       attributes["exclude_outside"] = std::int64_t{1};
       return resize(m, h, attributes);
     }},
    {"ResizeSmoothed",
     [](Net& m, ValueId h) {
       auto attributes = mode("linear");
       attributes["antialias"] = std::int64_t{1};
       return resize(m, h, attributes, {1, 1, 0.5F, 0.4F});
     },
     {},
     {},
     kC,
     4,
     18},
    {"ResizeSmoothedCubic",
     [](Net& m, ValueId h) {
       auto attributes = mode("cubic");
       attributes["antialias"] = std::int64_t{1};
       return resize(m, h, attributes, {1, 1, 0.5F, 0.4F});
     },
     {},
     {},
     kC,
     4,
     18},
    {"ResizeOfTheListedAxes",
     [](Net& m, ValueId h) {
       auto attributes = mode("linear");
       attributes["axes"] = Ints{2, 3};
       return m.op("Resize", {h, ValueId{}, ValueId{}, Net::ints({9, 4})}, attributes);
     },
     {},
     {},
     kC,
     4,
     18},
    {"ResizeToSizesOfItsOwnBatch",  // as interpolate(size=...) is exported
     [](Net& m, ValueId h) {
       const ValueId first = m.slice(m.op("Shape", {h}), 0, 0, 2);
       const ValueId sizes = m.op("Concat", {first, Net::ints({9, 4})}, {{"axis", std::int64_t{0}}});
       return m.op("Resize", {h, ValueId{}, ValueId{}, sizes}, mode("linear"));
     }},
    {"UpsampleByAttributes",
     [](Net& m, ValueId h) {
       return m.op("Upsample", {h}, {{"scales", std::vector<float>{1, 1, 2, 2}}});
     },
     {},
     {},
     kC,
     4,
     7},
    {"UpsampleLinear",
     [](Net& m, ValueId h) {
       return m.op("Upsample", {h, floats({1, 1, 2, 2})}, mode("linear"));
     },
     {},
     {},
     kC,
     4,
     9},
    // ---- sums and means
    {"ReduceSum", [](Net& m, ValueId h) { return reduce(m, "ReduceSum", h, {2}); }, MapKind::uniform},
    {"ReduceSumOfPlanes",
     [](Net& m, ValueId h) {
       return reduce(m, "ReduceSum", h, {2, -1});
     },
     kScale},
    {"ReduceSumWithoutItsAxes",
     [](Net& m, ValueId h) {
       return reduce(m, "ReduceSum", h, {3, 2}, 0);
     },
     kScale,
     {},
     kC,
     2},
    {"ReduceSumOfAllChannelsByOneMap", [](Net& m, ValueId h) { return reduce(m, "ReduceSum", h, {1}); },
     MapKind::uniform, MapKind::any, 1},
    {"ReduceMean",
     [](Net& m, ValueId h) {
       return reduce(m, "ReduceMean", h, {2, 3}, 0);
     },
     {},
     {},
     kC,
     2,
     18},
    // ---- extremes
    {"ReduceMax", [](Net& m, ValueId h) { return reduce(m, "ReduceMax", h, {2}); }, kPositive, kPositive, kC,
     4, 18},
    {"ReduceMin",
     [](Net& m, ValueId h) {
       return reduce(m, "ReduceMin", h, {2, 3}, 0);
     },
     kPositive, kPositive, kC, 2, 18},
    // ---- norms
    {"ReduceL1", [](Net& m, ValueId h) { return reduce(m, "ReduceL1", h, {2}); }, kScale, kPositiveScale, kC,
     4, 18},
    {"ReduceL2",
     [](Net& m, ValueId h) {
       return reduce(m, "ReduceL2", h, {2, 3});
     },
     kScale, kPositiveScale, kC, 4, 18},
    {"GlobalLpPool", [](Net& m, ValueId h) { return m.op("GlobalLpPool", {h}); }, kScale, kPositiveScale},
    {"LpPool",
     [](Net& m, ValueId h) {
       return m.op("LpPool", {h},
                   {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 0, 0, 1}}, {"p", std::int64_t{3}}});
     },
     kScale, kPositiveScale},
    {"Abs", [](Net& m, ValueId h) { return m.op("Abs", {h}); }, kScale, kPositiveScale},
};

INSTANTIATE_TEST_SUITE_P(All, FoldPassesSums, ::testing::ValuesIn(kBothWays), NameOfPassing());

/// log(sum(exp(x + t))) = log(sum(exp(x))) + t; a shift alone is no entry of the report.
TEST(FoldPasses, AShiftPassesTheLogarithmOfASum) {
  const Passing shift{"",
                      [](Net& m, ValueId h) { return reduce(m, "ReduceLogSumExp", h, {2}); },
                      MapKind::shift,
                      MapKind::shift,
                      kC,
                      4,
                      18};
  expect_passes(shift, FoldDirection::forward);
  expect_passes(shift, FoldDirection::backward);
}

// ---------------------------------------------------------------- neighbours that must stay

constexpr std::nullopt_t kShiftAlone = std::nullopt;

struct Staying {
  const char* name;
  std::function<ValueId(Net&, ValueId)> add;
  MapKind map;
  std::optional<Decline> reason;  ///< kShiftAlone: the scale goes
  std::int64_t channels = kC;
  std::int64_t opset = 18;
  std::size_t rank = 4;
  bool fixed = false;

  friend void PrintTo(const Staying& staying, std::ostream* out) { *out << staying.name; }
};

class FoldStaysAtSums : public ::testing::TestWithParam<Staying> {};

TEST_P(FoldStaysAtSums, Backward) {
  const Staying& row = GetParam();
  const Passing passing{row.name, row.add, row.map, row.map, row.channels, row.rank, row.opset, row.fixed};
  if (row.reason)
    expect_stays(passing, FoldDirection::backward, *row.reason);
  else
    expect_shift_stays(passing, FoldDirection::backward);
}

const Staying kStaying[] = {
    {"ACubicKernelThatIsCut",
     [](Net& m, ValueId h) {
       auto attributes = mode("cubic");
       attributes["exclude_outside"] = std::int64_t{1};
       return resize(m, h, attributes);
     },
     MapKind::any, kShiftAlone},
    {"WhatIsExtrapolated", [](Net& m, ValueId h) { return crop(m, h, 0.0F); }, MapKind::uniform, kShiftAlone,
     kC, 18, 4, true},
    {"WhatIsExtrapolatedIsScaled", [](Net& m, ValueId h) { return crop(m, h, 1.0F); }, MapKind::uniform_scale,
     Decline::padding, kC, 18, 4, true},
    {"ChannelsThatAreResized",
     [](Net& m, ValueId h) {
       return resize(m, h, mode("linear"), {1, 1.5F, 1, 1});
     },
     MapKind::any, Decline::axis_unproven, 12},
    {"ChannelsThatMayBeResized",
     [](Net& m, ValueId h) {
       const ValueId zeros = m.op("Mul", {m.b.input("k", DType::int64, {4}), Net::ints({0})});
       const ValueId ones = m.op("Add", {zeros, Net::ints({1})});
       const ValueId scales = m.op("Cast", {ones}, {{"to", std::int64_t{1}}});
       return m.op("Resize", {h, ValueId{}, scales}, mode("linear"));
     },
     MapKind::any, Decline::axis_unproven},
    {"ReduceMaxByANegativeScale", [](Net& m, ValueId h) { return reduce(m, "ReduceMax", h, {2}); },
     MapKind::any, Decline::activation_between},
    {"ReduceMinByANegativeScale", [](Net& m, ValueId h) { return reduce(m, "ReduceMin", h, {2}); },
     MapKind::scale, Decline::activation_between},
    {"ReduceSumOfUnknownCountByAShift",
     [](Net& m, ValueId h) {
       const ValueId start = m.b.input("start", DType::int64, {1});
       const ValueId some = m.op("Slice", {h, start, Net::ints({6}), Net::ints({2})});
       return reduce(m, "ReduceSum", some, {2});
     },
     MapKind::any, kShiftAlone},
    {"ReduceL2ByAShift", [](Net& m, ValueId h) { return reduce(m, "ReduceL2", h, {2}); }, kPositive,
     kShiftAlone},
    {"ReduceL1ByANegativeScale", [](Net& m, ValueId h) { return reduce(m, "ReduceL1", h, {2}); }, kScale,
     Decline::activation_between},
    {"ReduceLogSumExpByAScale", [](Net& m, ValueId h) { return reduce(m, "ReduceLogSumExp", h, {2}); },
     kPositiveScale, Decline::activation_between},
    {"ReduceSumSquare", [](Net& m, ValueId h) { return reduce(m, "ReduceSumSquare", h, {2}); },
     kPositiveScale, Decline::activation_between},
    {"LpPoolByAShift",
     [](Net& m, ValueId h) {
       return m.op("LpPool", {h}, {{"kernel_shape", Ints{2, 2}}});
     },
     kPositive, kShiftAlone},
    {"AbsByANegativeScale", [](Net& m, ValueId h) { return m.op("Abs", {h}); }, kScale,
     Decline::activation_between},
};

INSTANTIATE_TEST_SUITE_P(All, FoldStaysAtSums, ::testing::ValuesIn(kStaying), NameOfPassing());

TEST(FoldPasses, ManyMapsDoNotPassAReductionOfTheChannels) {
  for (const char* kind : {"ReduceSum", "ReduceMean", "ReduceMax"}) {
    const Passing row{"",
                      [=](Net& m, ValueId h) { return reduce(m, kind, h, {1}); },
                      MapKind::positive_scale,
                      MapKind::any,
                      1,
                      4,
                      18};
    expect_stays(row, FoldDirection::forward, Decline::axis_unproven);
  }
}

TEST(FoldPasses, ExtrapolatedZerosStayZerosUnderAScale) {
  const Passing row{"",
                    [](Net& m, ValueId h) { return crop(m, h, 0.0F); },
                    MapKind::uniform_scale,
                    MapKind::uniform_scale,
                    kC,
                    4,
                    18,
                    true};
  expect_passes(row, FoldDirection::forward);
  expect_passes(row, FoldDirection::backward);
}

}  // namespace
}  // namespace bnrun
