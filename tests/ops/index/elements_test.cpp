// Operators that move elements: values worked out by hand.
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "passes/prepare.h"
#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;
using Strings = std::vector<std::string>;
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

Tensor ints(const Ints& values) {
  return {Shape{static_cast<std::int64_t>(values.size())}, values};
}
Tensor scalar(std::int64_t value) {
  return {{}, Ints{value}};
}
/// 0, 1, 2, ... as float.
Tensor counting(const Shape& shape) {
  Tensor result(DType::float32, shape);
  std::iota(result.mutable_span<float>().begin(), result.mutable_span<float>().end(), 0.0F);
  return result;
}
Tensor floats(const Shape& shape, const Floats& values) {
  return {shape, values};
}
AttributeValue number(std::int64_t value) {
  return value;
}

struct Case {
  std::string op_type;
  std::int64_t opset;
  std::vector<Tensor> inputs;
  Attributes attributes;
  std::vector<Tensor> expected;
};

void check(const std::vector<Case>& cases) {
  int position = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::Message() << "case " << position++ << ", " << c.op_type << " opset " << c.opset);
    const auto outputs = run_op(c.op_type, c.opset, c.inputs, c.attributes, c.expected.size());
    for (std::size_t i = 0; i < c.expected.size(); ++i) expect_close(outputs.at(i), c.expected[i]);
  }
}

TEST(Slice, CountsAsNumpy) {
  const Tensor X = counting({2, 5});
  const Tensor none;
  check({
      {"Slice",
       1,
       {X},
       {{"starts", Ints{1}}, {"ends", Ints{3}}, {"axes", Ints{1}}},
       {floats({2, 2}, {1, 2, 6, 7})}},
      {"Slice", 1, {X}, {{"starts", Ints{1, -2}}, {"ends", Ints{2, 1000}}}, {floats({1, 2}, {8, 9})}},
      {"Slice", 10, {X, ints({1}), ints({kMax}), ints({1}), ints({2})}, {}, {floats({2, 2}, {1, 3, 6, 8})}},
      {"Slice",
       13,
       {X, ints({-1}), ints({kMin}), ints({-1}), ints({-2})},
       {},
       {floats({2, 3}, {4, 2, 0, 9, 7, 5})}},
      {"Slice",
       13,
       {X, ints({3, 1}), ints({0, 0}), ints({1, 0}), ints({-1, -1})},
       {},
       {floats({1, 3}, {8, 7, 6})}},
      {"Slice", 13, {X, ints({4}), ints({2}), ints({1})}, {}, {floats({2, 0}, {})}},
      {"Slice", 13, {X, ints({0}), ints({1}), none, ints({1})}, {}, {floats({1, 5}, {0, 1, 2, 3, 4})}},
      {"Slice", 13, {X, ints({100}), ints({-100}), ints({1}), ints({kMin})}, {}, {floats({2, 1}, {4, 9})}},
      {"Slice",
       13,
       {Tensor({3}, Strings{"a", "b", "c"}), ints({-1}), ints({kMin}), none, ints({-1})},
       {},
       {Tensor({3}, Strings{"c", "b", "a"})}},
  });
  EXPECT_EQ(run_op_error("Slice", 13, {X, ints({0}), ints({1}), ints({0}), ints({0})}),
            ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Slice", 13, {X, ints({0}), ints({1}), ints({2})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Slice", 13, {X, ints({0, 0}), ints({1, 1}), ints({1, -1})}),
            ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Slice", 13, {X, ints({0}), ints({1, 1})}), ErrorCode::invalid_model);
}

TEST(Concat, AlongAnyAxis) {
  const Tensor A = counting({2, 2});
  const Tensor B = floats({2, 1}, {7, 8});
  check({
      {"Concat", 1, {A, B}, {}, {floats({2, 3}, {0, 1, 7, 2, 3, 8})}},
      {"Concat", 13, {A, B, A}, {{"axis", number(-1)}}, {floats({2, 5}, {0, 1, 7, 0, 1, 2, 3, 8, 2, 3})}},
      {"Concat", 4, {A, floats({0, 2}, {})}, {{"axis", number(0)}}, {A}},
      {"Concat",
       13,
       {Tensor({1}, std::vector<bool>{true}), Tensor({2}, std::vector<bool>{false, true})},
       {{"axis", number(0)}},
       {Tensor({3}, std::vector<bool>{true, false, true})}},
  });
  EXPECT_EQ(run_op_error("Concat", 4, {A, B}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Concat", 13, {A, B}, {{"axis", number(0)}}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Concat", 13, {A, ints({1})}, {{"axis", number(0)}}), ErrorCode::invalid_model);
}

TEST(Split, IntoGivenOrEqualParts) {
  const Tensor X = counting({7});
  const Tensor Y = counting({2, 4});
  check({
      {"Split", 2, {Y}, {{"axis", number(1)}}, {floats({2, 2}, {0, 1, 4, 5}), floats({2, 2}, {2, 3, 6, 7})}},
      {"Split",
       11,
       {X},
       {{"split", Ints{3, 0, 4}}},
       {floats({3}, {0, 1, 2}), floats({0}, {}), floats({4}, {3, 4, 5, 6})}},
      {"Split",
       1,
       {Y, ints({1, 3})},
       {{"axis", number(1)}},
       {floats({2, 1}, {0, 4}), floats({2, 3}, {1, 2, 3, 5, 6, 7})}},
      {"Split", 13, {X, ints({6, 1})}, {}, {floats({6}, {0, 1, 2, 3, 4, 5}), floats({1}, {6})}},
      {"Split",
       18,
       {X},
       {{"num_outputs", number(3)}},
       {floats({3}, {0, 1, 2}), floats({3}, {3, 4, 5}), floats({1}, {6})}},
  });
  EXPECT_EQ(run_op_error("Split", 13, {X}, {}, 3), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Split", 13, {X, ints({3, 3})}, {}, 2), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Split", 13, {X, ints({8, -1})}, {}, 2), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Split", 18, {X}, {{"num_outputs", number(3)}}, 2), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Split", 18, {X}, {{"num_outputs", number(5)}}, 5), ErrorCode::invalid_model);
}

TEST(Gather, BlocksOfAnyAxis) {
  const Tensor X = counting({2, 3});
  check({
      {"Gather", 1, {X, ints({1, 0})}, {}, {floats({2, 3}, {3, 4, 5, 0, 1, 2})}},
      {"Gather",
       13,
       {X, Tensor({1, 2}, Ints{-1, 0})},
       {{"axis", number(1)}},
       {floats({2, 1, 2}, {2, 0, 5, 3})}},
      {"Gather", 13, {X, scalar(1)}, {{"axis", number(-1)}}, {floats({2}, {1, 4})}},
      {"Gather", 13, {X, Tensor({1}, std::vector<std::int32_t>{1})}, {}, {floats({1, 3}, {3, 4, 5})}},
      {"Gather",
       13,
       {Tensor({2}, Strings{"no", "yes"}), ints({1, 1})},
       {},
       {Tensor({2}, Strings{"yes", "yes"})}},
  });
  EXPECT_EQ(run_op_error("Gather", 13, {X, ints({2})}), ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("Gather", 13, {X, ints({-3})}), ErrorCode::invalid_input);
}

TEST(GatherElements, ReplacesOneCoordinate) {
  const Tensor X = counting({3, 3});
  check({
      {"GatherElements",
       11,
       {X, Tensor({2, 3}, Ints{1, 2, 0, -1, 0, 0})},
       {},
       {floats({2, 3}, {3, 7, 2, 6, 1, 2})}},
      {"GatherElements",
       13,
       {X, Tensor({2, 1}, Ints{2, 0})},
       {{"axis", number(1)}},
       {floats({2, 1}, {2, 3})}},
  });
  EXPECT_EQ(run_op_error("GatherElements", 13, {X, Tensor({1, 1}, Ints{3})}), ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("GatherElements", 13, {X, Tensor({1, 4}, Ints{0, 0, 0, 0})}),
            ErrorCode::invalid_model);
}

TEST(GatherND, PicksBlocksWithinTheBatch) {
  const Tensor X = counting({2, 2, 2});
  check({
      {"GatherND", 11, {X, Tensor({2, 2}, Ints{0, 1, 1, -2})}, {}, {floats({2, 2}, {2, 3, 4, 5})}},
      {"GatherND",
       12,
       {X, Tensor({2, 1}, Ints{1, 0})},
       {{"batch_dims", number(1)}},
       {floats({2, 2}, {2, 3, 4, 5})}},
      {"GatherND", 13, {X, Tensor({1, 3}, Ints{1, 1, 1})}, {}, {floats({1}, {7})}},
  });
  EXPECT_EQ(run_op_error("GatherND", 13, {X, Tensor({1, 1}, Ints{2})}), ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("GatherND", 13, {X, Tensor({1, 4}, Ints{0, 0, 0, 0})}), ErrorCode::invalid_model);
}

TEST(Scatter, WritesOrReduces) {
  const Tensor X = floats({4}, {1, 2, 3, 4});
  const Tensor at = ints({1, 1, -1});
  const Tensor updates = floats({3}, {10, 0.5F, -1});
  const auto reduced = [&](const std::string& reduction, const Floats& expected) {
    return Case{"ScatterElements", 18, {X, at, updates}, {{"reduction", reduction}}, {floats({4}, expected)}};
  };
  const Tensor rows = floats({2, 2}, {10, 20, 30, 40});
  check({
      {"Scatter", 9, {X, at, updates}, {}, {floats({4}, {1, 0.5F, 3, -1})}},
      reduced("none", {1, 0.5F, 3, -1}),
      reduced("add", {1, 12.5F, 3, 3}),
      reduced("mul", {1, 10, 3, -4}),
      reduced("max", {1, 10, 3, 4}),
      reduced("min", {1, 0.5F, 3, -1}),
      {"ScatterElements",
       11,
       {counting({2, 3}), Tensor({1, 2}, Ints{2, 0}), floats({1, 2}, {8, 9})},
       {{"axis", number(1)}},
       {floats({2, 3}, {9, 1, 8, 3, 4, 5})}},
      {"ScatterND",
       11,
       {counting({3, 2}), Tensor({2, 1}, Ints{2, 0}), rows},
       {},
       {floats({3, 2}, {30, 40, 2, 3, 10, 20})}},
      {"ScatterND",
       16,
       {counting({3, 2}), Tensor({2, 1}, Ints{1, 1}), rows},
       {{"reduction", std::string("add")}},
       {floats({3, 2}, {0, 1, 42, 63, 4, 5})}},
      {"ScatterND",
       13,
       {Tensor({2}, Strings{"a", "b"}), Tensor({1, 1}, Ints{-1}), Tensor({1}, Strings{"z"})},
       {},
       {Tensor({2}, Strings{"a", "z"})}},
  });
  EXPECT_EQ(run_op_error("ScatterElements", 13, {X, ints({4}), floats({1}, {0})}), ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("ScatterElements", 13, {X, at, floats({2}, {0, 0})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("ScatterElements", 18, {X, at, updates}, {{"reduction", std::string("xor")}}),
            ErrorCode::unsupported);
  EXPECT_EQ(run_op_error("ScatterElements", 13, {X, at, updates}, {{"reduction", std::string("add")}}),
            ErrorCode::unsupported);
}

TEST(Pad, EveryMode) {
  const Tensor X = floats({1, 4}, {1, 2, 3, 4});
  const auto pad = [&](const std::string& mode, const Ints& pads, const Floats& expected) {
    return Case{"Pad",
                19,
                {X, ints(pads)},
                {{"mode", mode}},
                {floats({1, static_cast<std::int64_t>(expected.size())}, expected)}};
  };
  check({
      {"Pad", 1, {X}, {{"paddings", Ints{0, 1, 0, 0}}, {"value", 9.0F}}, {floats({1, 5}, {9, 1, 2, 3, 4})}},
      {"Pad", 2, {X}, {{"pads", Ints{0, -1, 1, 0}}}, {floats({2, 3}, {2, 3, 4, 0, 0, 0})}},
      {"Pad", 11, {X, ints({0, 0, 0, 1}), Tensor({}, Floats{7})}, {}, {floats({1, 5}, {1, 2, 3, 4, 7})}},
      {"Pad", 18, {X, ints({2, -3}), Tensor(), ints({-1})}, {}, {floats({1, 3}, {0, 0, 1})}},
      pad("edge", {0, 2, 0, 1}, {1, 1, 1, 2, 3, 4, 4}),
      pad("reflect", {0, 2, 0, 3}, {3, 2, 1, 2, 3, 4, 3, 2, 1}),
      pad("reflect", {0, 5, 0, 0}, {2, 3, 4, 3, 2, 1, 2, 3, 4}),
      pad("wrap", {0, 1, 0, 5}, {4, 1, 2, 3, 4, 1, 2, 3, 4, 1}),
      pad("wrap", {0, -1, 0, 2}, {2, 3, 4, 2, 3}),
      {"Pad", 13, {Tensor({1}, Strings{"a"}), ints({0, 1})}, {}, {Tensor({2}, Strings{"a", ""})}},
      {"Pad", 13, {ints({5}), ints({1, 0}), scalar(3)}, {}, {ints({3, 5})}},
  });
  EXPECT_EQ(run_op_error("Pad", 18, {X, ints({0, 1, 0, 0})}, {{"mode", std::string("wrap")}}),
            ErrorCode::unsupported);
  EXPECT_EQ(run_op_error("Pad", 13, {X, ints({0, 1})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Pad", 13, {X, ints({0, -3, 0, -2})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Pad", 13, {floats({0}, {}), ints({1, 0})}, {{"mode", std::string("edge")}}),
            ErrorCode::invalid_input);
}

TEST(ExpandAndTile, Repeat) {
  const Tensor column = floats({2, 1}, {1, 2});
  check({
      {"Expand", 8, {column, ints({3})}, {}, {floats({2, 3}, {1, 1, 1, 2, 2, 2})}},
      {"Expand", 13, {column, ints({2, 1, 1})}, {}, {floats({2, 2, 1}, {1, 2, 1, 2})}},
      {"Expand", 13, {column, ints({0})}, {}, {floats({2, 0}, {})}},
      {"Tile", 1, {column, scalar(2), scalar(0)}, {}, {floats({4, 1}, {1, 2, 1, 2})}},
      {"Tile",
       6,
       {counting({2, 2}), ints({2, 2})},
       {},
       {floats({4, 4}, {0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3})}},
      {"Tile", 13, {counting({2, 2}), ints({1, 0})}, {}, {floats({2, 0}, {})}},
  });
  EXPECT_EQ(run_op_error("Expand", 13, {counting({2, 2}), ints({3})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Tile", 13, {column, ints({2})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Tile", 13, {column, ints({2, -1})}), ErrorCode::invalid_model);
}

TEST(ShapeAndSize, OfAnyTensor) {
  const Tensor X(DType::string, {2, 3, 4});
  check({
      {"Shape", 1, {X}, {}, {ints({2, 3, 4})}},
      {"Shape", 15, {X}, {{"start", number(1)}}, {ints({3, 4})}},
      {"Shape", 15, {X}, {{"start", number(-2)}, {"end", number(-1)}}, {ints({3})}},
      {"Shape", 15, {X}, {{"start", number(2)}, {"end", number(1)}}, {ints({})}},
      {"Shape", 15, {X}, {{"start", number(-9)}, {"end", number(9)}}, {ints({2, 3, 4})}},
      {"Size", 13, {X}, {}, {scalar(24)}},
      {"Size", 13, {Tensor(DType::float32, {})}, {}, {scalar(1)}},
  });
  EXPECT_EQ(run_op_error("Shape", 13, {X}, {{"end", number(1)}}), ErrorCode::unsupported);
}

TEST(Generators, MakeTensorsFromNumbers) {
  check({
      {"ConstantOfShape", 9, {ints({2, 1})}, {}, {floats({2, 1}, {0, 0})}},
      {"ConstantOfShape", 9, {ints({})}, {{"value", ints({4})}}, {scalar(4)}},
      {"EyeLike",
       9,
       {Tensor(DType::int32, {2, 3})},
       {{"k", number(1)}},
       {Tensor({2, 3}, std::vector<std::int32_t>{0, 1, 0, 0, 0, 1})}},
      {"EyeLike", 9, {Tensor(DType::int32, {1, 2})}, {{"dtype", number(1)}}, {floats({1, 2}, {1, 0})}},
      {"Range", 11, {scalar(5), scalar(-2), scalar(-3)}, {}, {ints({5, 2, -1})}},
      {"Range", 11, {scalar(5), scalar(5), scalar(1)}, {}, {ints({})}},
      {"Range", 11, {scalar(kMin), scalar(kMax), scalar(kMax)}, {}, {ints({kMin, -1, kMax - 1})}},
      {"Range",
       11,
       {Tensor({}, Floats{1}), Tensor({}, Floats{2}), Tensor({}, Floats{0.375F})},
       {},
       {floats({3}, {1, 1.375F, 1.75F})}},
      {"OneHot",
       9,
       {ints({0, -1, 3, -4}), scalar(3), Tensor({2}, Floats{1, 5})},
       {},
       {floats({4, 3}, {5, 1, 1, 1, 1, 5, 1, 1, 1, 1, 1, 1})}},
      {"OneHot",
       11,
       {Tensor({2}, Floats{1, 0}), Tensor({1}, Floats{2}), ints({0, 1})},
       {{"axis", number(0)}},
       {Tensor({2, 2}, Ints{0, 1, 1, 0})}},
  });
  EXPECT_EQ(run_op_error("ConstantOfShape", 9, {ints({-1})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("ConstantOfShape", 9, {ints({1})}, {{"value", ints({1, 2})}}),
            ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Range", 11, {scalar(0), scalar(1), scalar(0)}), ErrorCode::invalid_input);
  EXPECT_EQ(run_op_error("Range", 11, {scalar(kMin), scalar(kMax), scalar(1)}), ErrorCode::resource_limit);
}

TEST(Chosen, ByConditionValueOrPlace) {
  const auto mask = [](const std::vector<bool>& values) {
    return Tensor({static_cast<std::int64_t>(values.size())}, values);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  check({
      {"Compress",
       9,
       {counting({2, 3}), mask({false, true})},
       {{"axis", number(0)}},
       {floats({1, 3}, {3, 4, 5})}},
      {"Compress",
       11,
       {counting({2, 3}), mask({true, false, true})},
       {{"axis", number(-1)}},
       {floats({2, 2}, {0, 2, 3, 5})}},
      {"Compress",
       11,
       {counting({2, 3}), mask({false, true, false, false, true})},
       {},
       {floats({2}, {1, 4})}},
      {"NonZero", 13, {floats({2, 2}, {0, nan, -0.0F, 2})}, {}, {Tensor({2, 2}, Ints{0, 1, 1, 1})}},
      {"NonZero", 13, {Tensor({}, Floats{3})}, {}, {Tensor({0, 1}, Ints{})}},
      {"Trilu", 14, {counting({2, 3})}, {}, {floats({2, 3}, {0, 1, 2, 0, 4, 5})}},
      {"Trilu", 14, {counting({2, 3}), scalar(1)}, {}, {floats({2, 3}, {0, 1, 2, 0, 0, 5})}},
      {"Trilu",
       14,
       {counting({2, 2, 2}), scalar(kMin)},
       {{"upper", number(0)}},
       {floats({2, 2, 2}, Floats(8, 0.0F))}},
      {"Unique",
       11,
       {floats({6}, {2, 1, 1, 3, nan, nan})},
       {},
       {floats({4}, {1, 2, 3, nan}), ints({1, 0, 3, 4}), ints({1, 0, 0, 2, 3, 3}), ints({2, 1, 1, 2})}},
      {"Unique",
       11,
       {floats({4}, {2, 1, 1, 3})},
       {{"sorted", number(0)}},
       {floats({3}, {2, 1, 3}), ints({0, 1, 3}), ints({0, 1, 1, 2}), ints({1, 2, 1})}},
      {"Unique",
       11,
       {floats({3, 2}, {1, 0, 1, 0, 0, 9})},
       {{"axis", number(0)}},
       {floats({2, 2}, {0, 9, 1, 0}), ints({2, 0}), ints({1, 1, 0}), ints({1, 2})}},
      {"Unique", 11, {Tensor({3}, Strings{"b", "a", "b"})}, {}, {Tensor({2}, Strings{"a", "b"})}},
      {"Unique", 11, {floats({4}, {0, -1, -0.0F, -2})}, {}, {floats({3}, {-2, -1, 0}), ints({3, 1, 0})}},
      {"Unique", 11, {ints({kMax, 0, kMin, kMax - 1})}, {}, {ints({kMin, 0, kMax - 1, kMax})}},
      {"Unique", 11, {mask({true, false, true})}, {}, {mask({false, true})}},
  });
  EXPECT_EQ(run_op_error("Compress", 11, {counting({2}), ints({1, 0})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("Compress", 11, {counting({2}), mask({true, true, true})}),
            ErrorCode::invalid_input);
}

TEST(DepthAndSpace, EachOtherBack) {
  // Channel 2*i + j of a 1x1 image is pixel (i, j).
  const Tensor deep = counting({1, 8, 1, 1});
  const Tensor dcr = floats({1, 2, 2, 2}, {0, 2, 4, 6, 1, 3, 5, 7});
  check({
      {"DepthToSpace", 1, {deep}, {{"blocksize", number(2)}}, {dcr}},
      {"DepthToSpace",
       11,
       {deep},
       {{"blocksize", number(2)}, {"mode", std::string("CRD")}},
       {counting({1, 2, 2, 2})}},
      {"SpaceToDepth", 13, {dcr}, {{"blocksize", number(2)}}, {deep}},
  });
  EXPECT_EQ(run_op_error("DepthToSpace", 13, {counting({1, 6, 1, 1})}, {{"blocksize", number(2)}}),
            ErrorCode::invalid_model);
}

TEST(ReverseSequence, OnlyTheLengthOfEach) {
  const Tensor X = counting({3, 2});
  check({
      {"ReverseSequence", 10, {X, ints({3, 2})}, {}, {floats({3, 2}, {4, 3, 2, 1, 0, 5})}},
      {"ReverseSequence",
       10,
       {X, ints({2, 1, 0})},
       {{"batch_axis", number(0)}, {"time_axis", number(1)}},
       {floats({3, 2}, {1, 0, 2, 3, 4, 5})}},
  });
  EXPECT_EQ(run_op_error("ReverseSequence", 10, {X, ints({4, 1})}), ErrorCode::invalid_input);
}

// -------- what is known before anything runs

/// Flatten as exporters write it: Reshape(x, Concat(Gather(Shape(x), 0), -1)).
TEST(Content, SymbolicBatchSurvivesShapeArithmetic) {
  Graph graph;
  graph.opsets[""] = 13;
  const ValueId x = graph.add_input("x", {DType::float32, Dims{Dim::symbol("N"), Dim(8), Dim(8)}});
  const auto add = [&](const char* op_type, std::vector<ValueId> inputs, Attributes attributes = {}) {
    const ValueId output = graph.add_value(std::string(op_type) + "_out");
    Node node;
    node.op_type = op_type;
    node.attributes = std::move(attributes);
    node.inputs = std::move(inputs);
    node.outputs = {output};
    graph.add_node(std::move(node));
    return output;
  };
  const ValueId batch = add("Gather", {add("Shape", {x}), graph.add_constant("zero", scalar(0))});
  const ValueId list = add("Unsqueeze", {batch, graph.add_constant("axes", ints({0}))});
  const ValueId shape = add("Concat", {list, graph.add_constant("rest", ints({-1}))}, {{"axis", number(0)}});
  const ValueId y = add("Reshape", {x, shape});
  graph.add_output(y);
  infer_types(graph);
  EXPECT_EQ(to_string(graph.value(y).type), "float32[N,64]");
  EXPECT_EQ(prepare(graph), 0U);
}

TEST(Content, ShapeOfAStaticTensorIsAConstant) {
  Graph graph;
  graph.opsets[""] = 13;
  const ValueId x = graph.add_input("x", {DType::float32, Dims{Dim(2), Dim(3)}});
  const ValueId shape = graph.add_value("shape");
  const ValueId y = graph.add_value("y");
  Node first;
  first.op_type = "Shape";
  first.inputs = {x};
  first.outputs = {shape};
  graph.add_node(std::move(first));
  Node second;
  second.op_type = "ConstantOfShape";
  second.inputs = {shape};
  second.outputs = {y};
  graph.add_node(std::move(second));
  graph.add_output(y);
  infer_types(graph);
  EXPECT_EQ(prepare(graph), 2U);
  EXPECT_TRUE(graph.live_nodes().empty());
  ASSERT_NE(graph.value(y).as_constant(), nullptr);
  expect_close(*graph.value(y).as_constant(), floats({2, 3}, Floats(6, 0.0F)));
}

struct ContentCase {
  std::string op_type;
  std::vector<ValueType> inputs;
  Attributes attributes;
  std::vector<std::string> expected;  ///< of output 0; "?" is unknown
};

TEST(Content, MovesWithTheElements) {
  const Dim N = Dim::symbol("N");
  const auto known = [](std::vector<Content> content) {
    return ValueType{DType::int64, Dims{Dim(static_cast<std::int64_t>(content.size()))}, content};
  };
  const auto constant = [](const Tensor& tensor) { return ValueType::of(tensor.view()); };
  const auto n = Content::of(N);
  const auto c = Content::of(3);
  const std::vector<ContentCase> cases = {
      {"Gather", {known({n, c}), constant(ints({1, 0}))}, {}, {"3", "N"}},
      {"Gather", {known({n, c}), constant(scalar(-2))}, {}, {"N"}},
      {"Slice",
       {known({n, c, Content::of(4)}),
        constant(ints({-1})),
        constant(ints({kMin})),
        {},
        constant(ints({-2}))},
       {},
       {"4", "N"}},
      {"Concat",
       {known({n}), {DType::int64, Dims{Dim(1)}}, known({c})},
       {{"axis", number(0)}},
       {"N", "?", "3"}},
      {"Squeeze", {known({n})}, {}, {"N"}},
      {"Unsqueeze", {{DType::int64, Dims{}, std::vector{n}}, constant(ints({0}))}, {}, {"N"}},
      {"Reshape", {{DType::int64, Dims{}, std::vector{n}}, constant(ints({-1}))}, {}, {"N"}},
      {"Expand", {known({n}), constant(ints({2}))}, {}, {"N", "N"}},
      {"Tile", {known({n, c}), constant(ints({2}))}, {}, {"N", "3", "N", "3"}},
      {"Split", {known({n, c})}, {}, {"N", "3"}},
      {"Shape", {{DType::float32, Dims{N, Dim(), Dim(3)}}}, {}, {"N", "?", "3"}},
      {"Size", {{DType::float32, Dims{N, Dim(2), Dim(3)}}}, {}, {"6*N"}},
      {"ConstantOfShape", {constant(ints({2}))}, {{"value", ints({7})}}, {"7", "7"}},
      {"Range", {constant(scalar(4)), constant(scalar(0)), constant(scalar(-2))}, {}, {"4", "2"}},
  };
  for (const ContentCase& test : cases) {
    SCOPED_TRACE(test.op_type);
    const auto op = op_of(test.op_type, 13, test.inputs.size(), test.attributes);
    const auto output = op->infer({.inputs = test.inputs, .values = {}}).at(0);
    ASSERT_TRUE(output.content);
    std::vector<std::string> texts;
    for (const Content& element : *output.content) {
      texts.push_back(element.number           ? std::to_string(*element.number)
                      : element.symbol.empty() ? "?"
                                               : element.symbol);
    }
    EXPECT_EQ(texts, test.expected);
  }
}

}  // namespace
}  // namespace bnrun::testing
