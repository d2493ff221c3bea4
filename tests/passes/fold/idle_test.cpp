// Operators that return their input are gone, and what they stood between folds.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <ostream>

#include "support/fold_passing.h"

namespace bnrun {
namespace {

using namespace testing;

using Net = PassingNet;
constexpr std::int64_t kC = Net::kChannels;
constexpr std::int64_t kE = Net::kExtent;

struct Idle {
  const char* name;
  std::function<ValueId(Net&, ValueId)> add;
  std::int64_t opset = 13;

  friend void PrintTo(const Idle& row, std::ostream* out) { *out << row.name; }
};

Tensor floats(const Floats& values) {
  return row(values);
}
Tensor boolean(bool value) {
  Tensor tensor(DType::boolean, {});
  *tensor.mutable_data<bool>() = value;
  return tensor;
}
/// A matrix on its way through a network of images.
ValueId within_a_matrix(Net& m, ValueId h, const std::function<ValueId(ValueId)>& add) {
  const ValueId matrix = m.op("Flatten", {m.op("GlobalAveragePool", {h})});
  return m.op("Unsqueeze", {m.op("Unsqueeze", {add(matrix), Net::ints({2})}), Net::ints({3})});
}
/// An axis of extent 1 at the end.
ValueId within_rank_5(Net& m, ValueId h, const std::function<ValueId(ValueId)>& add) {
  return m.op("Squeeze", {add(m.op("Unsqueeze", {h, Net::ints({4})})), Net::ints({4})});
}

const Idle kIdle[] = {
    {"PadOfNothing",
     [](Net& m, ValueId h) {
       return m.op("Pad", {h, Net::ints(Ints(8, 0))});
     }},
    {"PadOfNothingByAttributes",
     [](Net& m, ValueId h) {
       return m.op("Pad", {h}, {{"pads", Ints(8, 0)}, {"mode", std::string("reflect")}});
     },
     9},
    {"SliceOfEverything", [](Net& m, ValueId h) { return m.slice(h, 2, 0, kE); }},
    {"SliceOfEverythingFromTheEnd", [](Net& m, ValueId h) { return m.slice(h, 2, -kE, 1000); }},
    {"SliceOfEveryRow",
     [](Net& m, ValueId h) { return m.slice(h, 0, 0, std::numeric_limits<std::int64_t>::max()); }},
    {"SliceOfEveryRowByAttributes",
     [](Net& m, ValueId h) {
       return m.op("Slice", {h},
                   {{"starts", Ints{0, 0}}, {"ends", Ints{2147483647, 8}}, {"axes", Ints{0, 1}}});
     },
     9},
    {"ExpandByNothing",
     [](Net& m, ValueId h) {
       return m.op("Expand", {h, Net::ints({1, 1, kE, 1})});
     }},
    {"ExpandToItsOwnShape",
     [](Net& m, ValueId h) {
       return m.op("Expand", {h, m.op("Shape", {h})});
     }},
    {"TileOnce",
     [](Net& m, ValueId h) {
       return m.op("Tile", {h, Net::ints({1, 1, 1, 1})});
     }},
    {"ResizeByOne",
     [](Net& m, ValueId h) {
       return m.op("Resize", {h, ValueId{}, floats({1, 1, 1, 1})}, {{"mode", std::string("cubic")}});
     }},
    {"ResizeToItsOwnSize",
     [](Net& m, ValueId h) {
       return m.op("Resize", {h, ValueId{}, ValueId{}, m.op("Shape", {h})},
                   {{"mode", std::string("linear")}});
     }},
    {"UpsampleByOne",
     [](Net& m, ValueId h) {
       return m.op("Upsample", {h}, {{"scales", std::vector<float>{1, 1, 1, 1}}});
     },
     8},
    {"CastToItsType",
     [](Net& m, ValueId h) {
       return m.op("Cast", {h}, {{"to", std::int64_t{1}}});
     }},
    {"CastLikeItself",
     [](Net& m, ValueId h) {
       return m.op("CastLike", {h, h});
     },
     15},
    {"ConcatOfOne",
     [](Net& m, ValueId h) {
       return m.op("Concat", {h}, {{"axis", std::int64_t{1}}});
     }},
    {"SplitIntoOne",
     [](Net& m, ValueId h) {
       return m.op("Split", {h}, {{"axis", std::int64_t{1}}});
     }},
    {"TransposeOfNothing",
     [](Net& m, ValueId h) {
       return m.op("Transpose", {h}, {{"perm", Ints{0, 1, 2, 3}}});
     }},
    {"DropoutOfNothing",
     [](Net& m, ValueId h) {
       return m.op("Dropout", {h, Tensor({}, Floats{0}), boolean(true)});
     }},
    {"DropoutOfNothingInTraining",
     [](Net& m, ValueId h) {
       return m.op("Dropout", {h}, {{"ratio", 0.0F}, {"is_test", std::int64_t{0}}});
     },
     6},
    {"ReshapeToItsOwnShape",
     [](Net& m, ValueId h) {
       return m.op("Reshape", {h, Net::ints({0, kC, -1, kE})});
     }},
    {"ReshapeToTheShapeItHas",
     [](Net& m, ValueId h) {
       return m.op("Reshape", {h, m.op("Shape", {h})});
     }},
    {"FlattenOfAMatrix",
     [](Net& m, ValueId h) {
       return within_a_matrix(m, h, [&](ValueId matrix) { return m.op("Flatten", {matrix}); });
     }},
    {"ViewOfAMatrix",
     [](Net& m, ValueId h) {
       return within_a_matrix(m, h, [&](ValueId matrix) {
         const ValueId rows = m.op("Gather", {m.op("Shape", {matrix}), Net::ints({0})});
         const ValueId shape = m.op("Concat", {rows, Net::ints({-1})}, {{"axis", std::int64_t{0}}});
         return m.op("Reshape", {matrix, shape});
       });
     }},
    {"SqueezeOfNothing",
     [](Net& m, ValueId h) {
       return m.op("Squeeze", {h, Net::ints({})});
     }},
    {"UnsqueezeOfNothing",
     [](Net& m, ValueId h) {
       return m.op("Unsqueeze", {h, Net::ints({})});
     }},
    {"ReduceMeanOfOne",
     [](Net& m, ValueId h) {
       return within_rank_5(m, h, [&](ValueId x) { return m.op("ReduceMean", {x}, {{"axes", Ints{4}}}); });
     }},
    {"ReduceSumOfOne",
     [](Net& m, ValueId h) {
       return within_rank_5(m, h, [&](ValueId x) { return m.op("ReduceSum", {x, Net::ints({-1})}); });
     }},
    {"ReduceMaxOfOne",
     [](Net& m, ValueId h) {
       return within_rank_5(m, h, [&](ValueId x) { return m.op("ReduceMax", {x, Net::ints({4})}); });
     },
     18},
    {"ReduceMinOfOne",
     [](Net& m, ValueId h) {
       return within_rank_5(m, h, [&](ValueId x) { return m.op("ReduceMin", {x, Net::ints({4})}); });
     },
     18},
    {"ReduceSumOfNoAxes",
     [](Net& m, ValueId h) {
       return m.op("ReduceSum", {h, Net::ints({})}, {{"noop_with_empty_axes", std::int64_t{1}}});
     }},
    {"AveragePoolOfOne",
     [](Net& m, ValueId h) {
       return m.op("AveragePool", {h}, {{"kernel_shape", Ints{1, 1}}, {"strides", Ints{1, 1}}});
     }},
    {"MaxPoolOfOne",
     [](Net& m, ValueId h) {
       return m.op("MaxPool", {h}, {{"kernel_shape", Ints{1, 1}}, {"auto_pad", std::string("SAME_UPPER")}});
     }},
    {"SumOfOne", [](Net& m, ValueId h) { return m.op("Sum", {h}); }},
    {"MaxOfOne", [](Net& m, ValueId h) { return m.op("Max", {h}); }},
    {"MinOfOne", [](Net& m, ValueId h) { return m.op("Min", {h}); }},
    {"MeanOfOne", [](Net& m, ValueId h) { return m.op("Mean", {h}); }},
    {"ClipWithoutBounds", [](Net& m, ValueId h) { return m.op("Clip", {h}); }},
    {"GatherOfEverythingInItsPlace",
     [](Net& m, ValueId h) {
       return m.op("Gather", {h, Net::ints({0, 1, 2, -3, 4, 5})}, {{"axis", std::int64_t{2}}});
     }},
    {"DepthToSpaceOfSingleElements",
     [](Net& m, ValueId h) {
       return m.op("DepthToSpace", {h}, {{"blocksize", std::int64_t{1}}});
     }},
};

class IdleOperators : public ::testing::TestWithParam<Idle> {};

/// The operators that `within_...` adds around it.
Operators surroundings(const Idle& row) {
  Net m(row.opset, false);
  const bool matrix = std::string(row.name).ends_with("OfAMatrix");
  const bool rank_5 = std::string(row.name).starts_with("Reduce") && std::string(row.name).ends_with("OfOne");
  const auto nothing = [](ValueId x) { return x; };
  if (matrix) within_a_matrix(m, m.x, nothing);
  if (rank_5) within_rank_5(m, m.x, nothing);
  return count(m.b.model()).operators;
}

/// No layer is near: the operator goes because it does nothing, whatever stands around it.
TEST_P(IdleOperators, AreGone) {
  const Idle& row = GetParam();
  Net m(row.opset, false);
  m.b.output(m.op("Tanh", {row.add(m, m.op("Sigmoid", {m.x}))}));
  Operators left = surroundings(row);
  left["Sigmoid"] = left["Tanh"] = 1;
  if (std::string(row.name).starts_with("Reduce") && std::string(row.name).ends_with("OfOne")) {
    left.erase("Unsqueeze"), left.erase("Squeeze");  // they cancel once nothing stands between
  }
  expect_fold(m.b.model(), left);
}

/// layer -> BatchNormalization -> the operator -> activation, and the operator in front of BatchNormalization.
TEST_P(IdleOperators, StandInNoWay) {
  const Idle& row = GetParam();
  if (row.opset < 7) return;  // is_test is another test's matter
  for (const bool before : {false, true}) {
    Net m(row.opset, false);
    ValueId h = m.layer(m.x, kC, kC, 4);
    if (before) h = row.add(m, h);
    h = m.batch_normalization(h, kC);
    if (!before) h = row.add(m, h);
    m.b.output(m.op("Tanh", {h}));
    Operators left = surroundings(row);
    left["Conv"] = left["Tanh"] = 1;
    if (std::string(row.name).starts_with("Reduce") && std::string(row.name).ends_with("OfOne")) {
      left.erase("Unsqueeze"), left.erase("Squeeze");
    }
    EXPECT_TRUE(expect_fold(m.b.model(), left, 8e-6).complete());
  }
}

INSTANTIATE_TEST_SUITE_P(All, IdleOperators, ::testing::ValuesIn(kIdle), NameOfPassing());

// ---------------------------------------------------------------- neighbours that do something

const Idle kBusy[] = {
    {"PadOfOneElement",
     [](Net& m, ValueId h) {
       return m.op("Pad", {h, Net::ints({0, 0, 0, 0, 0, 0, 0, 1})});
     }},
    {"PadOfAsManyAsItTakes",
     [](Net& m, ValueId h) {
       return m.op("Pad", {h, Net::ints({0, 0, -1, 0, 0, 0, 1, 0})});
     }},
    {"Flip",
     [](Net& m, ValueId h) { return m.slice(h, 2, -1, std::numeric_limits<std::int64_t>::min(), -1); }},
    {"SliceOfAllButTheLastRow", [](Net& m, ValueId h) { return m.slice(h, 0, 0, -1); }},
    {"TileTwice",
     [](Net& m, ValueId h) {
       return m.op("Tile", {h, Net::ints({1, 1, 1, 2})});
     }},
    {"ResizeToTheSameExtentByAnotherScale",  // floor(6 * 1.1) = 6
     [](Net& m, ValueId h) {
       return m.op("Resize", {h, ValueId{}, floats({1, 1, 1.1F, 1})}, {{"mode", std::string("linear")}});
     }},
    {"ResizeByOneFromOtherPlaces",
     [](Net& m, ValueId h) {
       return m.op("Resize", {h, ValueId{}, floats({1, 1, 1, 1})},
                   {{"mode", std::string("linear")},
                    {"coordinate_transformation_mode", std::string("tf_half_pixel_for_nn")}});
     }},
    {"ResizeByOneOfAPart",
     [](Net& m, ValueId h) {
       return m.op("Resize", {h, floats({0, 0, 0.1F, 0, 1, 1, 1.1F, 1}), floats({1, 1, 1, 1})},
                   {{"coordinate_transformation_mode", std::string("tf_crop_and_resize")}});
     }},
    {"CastToAnotherType",
     [](Net& m, ValueId h) {
       return m.op("Cast", {h}, {{"to", std::int64_t{11}}});
     }},
    {"TransposeOfEqualExtents",
     [](Net& m, ValueId h) {
       return m.op("Transpose", {h}, {{"perm", Ints{0, 1, 3, 2}}});
     }},
    {"ReduceL1OfOne",
     [](Net& m, ValueId h) {
       return m.op("ReduceL1", {m.slice(h, 2, 0, 1)}, {{"axes", Ints{2}}});
     }},
    {"ReduceSumSquareOfOne",
     [](Net& m, ValueId h) {
       return m.op("ReduceSumSquare", {m.slice(h, 2, 0, 1)}, {{"axes", Ints{2}}});
     }},
    {"AveragePoolOfOneOfTwo",
     [](Net& m, ValueId h) {
       return m.op("AveragePool", {h}, {{"kernel_shape", Ints{1, 1}}, {"strides", Ints{1, 2}}});
     }},
    {"LpPoolOfOne",
     [](Net& m, ValueId h) {
       return m.op("LpPool", {h}, {{"kernel_shape", Ints{1, 1}}});
     }},
    {"MaxPoolThatPads",
     [](Net& m, ValueId h) {
       return m.op("MaxPool", {h}, {{"kernel_shape", Ints{1, 1}}, {"pads", Ints{0, 0, 0, 1}}});
     }},
    {"GatherOfEverythingElsewhere",
     [](Net& m, ValueId h) {
       return m.op("Gather", {h, Net::ints({0, 1, 2, 4, 3, 5})}, {{"axis", std::int64_t{2}}});
     }},
    {"DropoutThatTrains",
     [](Net& m, ValueId h) {
       return m.op("Dropout", {h, Tensor({}, Floats{0.5F}), boolean(true)});
     }},
};

class BusyOperators : public ::testing::TestWithParam<Idle> {};

TEST_P(BusyOperators, Stay) {
  Net m(GetParam().opset, false);
  m.b.output(m.op("Tanh", {GetParam().add(m, m.op("Identity", {m.op("Sigmoid", {m.x})}))}));
  Model model = m.b.model();
  Operators left = count(model).operators;
  left.erase("Identity");
  EXPECT_EQ(fold(model).after.operators, left);
}

INSTANTIATE_TEST_SUITE_P(All, BusyOperators, ::testing::ValuesIn(kBusy), NameOfPassing());

}  // namespace
}  // namespace bnrun
