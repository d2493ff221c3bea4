// Maps through operators that move, repeat or leave out elements.
#include <gtest/gtest.h>

#include <limits>
#include <optional>

#include "support/fold_passing.h"

namespace bnrun {
namespace {

using namespace testing;

using Net = PassingNet;
constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kFront = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kC = Net::kChannels;

ValueId pad(Net& m, ValueId h, const char* mode, const Ints& pads) {
  return m.op("Pad", {h, Net::ints(pads)}, {{"mode", std::string(mode)}});
}
ValueId gather(Net& m, ValueId h, std::int64_t axis, const Tensor& indices) {
  return m.op("Gather", {h, indices}, {{"axis", axis}});
}
Attributes block_of_two(const char* mode) {
  return {{"blocksize", std::int64_t{2}}, {"mode", std::string(mode)}};
}
Tensor mask(const Shape& shape) {
  return convert(random_tensor<double>(shape, 7, 0.0, 2.0), DType::boolean);
}
Tensor condition(const std::vector<bool>& taken) {
  Tensor tensor(DType::boolean, {static_cast<std::int64_t>(taken.size())});
  for (std::size_t i = 0; i < taken.size(); ++i) tensor.mutable_data<bool>()[i] = taken[i];
  return tensor;
}
Tensor scalar(float value) {
  return {Shape{}, Floats{value}};
}

// ---------------------------------------------------------------- both ways

class FoldPassesMoves : public ::testing::TestWithParam<Passing> {};

TEST_P(FoldPassesMoves, Forward) {
  expect_passes(GetParam(), FoldDirection::forward);
}
TEST_P(FoldPassesMoves, Backward) {
  expect_passes(GetParam(), FoldDirection::backward);
}

const Passing kBothWays[] = {
    {"SliceOfPixels", [](Net& m, ValueId h) { return m.slice(m.slice(h, 2, 1, 5), 3, 0, -2); }},
    {"SliceOfChannels", [](Net& m, ValueId h) { return m.slice(h, 1, 1, 4); }, {}, {}, 3},
    {"SliceOfEveryThirdChannel", [](Net& m, ValueId h) { return m.slice(h, 1, 1, kAll, 3); }, {}, {}, 3},
    {"SliceOfRows", [](Net& m, ValueId h) { return m.slice(h, 0, 1, kAll, 2); }},
    {"FlipOfPixels", [](Net& m, ValueId h) { return m.slice(h, 3, -1, kFront, -1); }},
    {"FlipOfChannels", [](Net& m, ValueId h) { return m.slice(h, 1, -1, kFront, -1); }},
    {"SliceByAttributes",
     [](Net& m, ValueId h) {
       return m.op("Slice", {h}, {{"starts", Ints{2, 1}}, {"ends", Ints{6, 5}}, {"axes", Ints{1, 2}}});
     },
     {},
     {},
     4,
     4,
     9},
    {"SliceOfPixelsThatAnInputTells",
     [](Net& m, ValueId h) {
       const ValueId start = m.b.input("start", DType::int64, {1});
       return m.op("Slice", {h, start, Net::ints({6}), Net::ints({2})});
     }},
    {"GatherOfPixels",
     [](Net& m, ValueId h) {
       return gather(m, h, 2, Net::ints({5, 0, -2}));
     }},
    {"GatherOfPixelsThatAnInputTells",
     [](Net& m, ValueId h) {
       return m.op("Gather", {h, m.b.input("at", DType::int64, {3})}, {{"axis", std::int64_t{3}}});
     }},
    {"GatherOfChannels",
     [](Net& m, ValueId h) {
       return gather(m, h, 1, Net::ints({6, -8, 3}));
     },
     {},
     {},
     3},
    {"GatherOfOneRow", [](Net& m, ValueId h) { return gather(m, h, 2, Tensor({}, Ints{4})); }, {}, {}, kC, 3},
    {"GatherOfATable",
     [](Net& m, ValueId h) {
       return gather(m, h, 2, Tensor({2, 2}, Ints{4, 1, 0, 4}));
     },
     {},
     {},
     kC,
     5},
    {"GatherInFrontOfTheChannels",
     [](Net& m, ValueId h) {
       return gather(m, m.op("Unsqueeze", {h, Net::ints({1})}), 1, Tensor({}, Ints{0}));
     }},
    {"GatherOfOneChannel", [](Net& m, ValueId h) { return gather(m, h, 1, Tensor({}, Ints{4})); },
     MapKind::any, MapKind::uniform, Net::kExtent, 3},
    {"GatherElementsOfPixels",
     [](Net& m, ValueId h) {
       return m.op("GatherElements",
                   {h, convert(random_tensor<double>({2, kC, 6, 3}, 3, 0, 5), DType::int64)},
                   {{"axis", std::int64_t{3}}});
     },
     {},
     {},
     kC,
     4,
     13,
     true},
    {"GatherNDOfRows",
     [](Net& m, ValueId h) {
       return m.op("GatherND", {h, Tensor({3, 1}, Ints{1, 0, 1})});
     },
     {},
     {},
     kC,
     4,
     13,
     true},
    {"GatherNDWithinTheBatch",
     [](Net& m, ValueId h) {
       const ValueId turned = m.op("Transpose", {h}, {{"perm", Ints{0, 2, 3, 1}}});
       const ValueId taken = m.op("GatherND", {turned, Tensor({2, 3, 1}, Ints{5, 0, 1, 2, 2, 4})},
                                  {{"batch_dims", std::int64_t{1}}});
       return m.op("Transpose", {taken}, {{"perm", Ints{0, 3, 1, 2}}});
     },
     {},
     {},
     kC,
     4,
     13,
     true},
    {"PadByReflection",
     [](Net& m, ValueId h) {
       return pad(m, h, "reflect", {0, 0, 1, 2, 0, 0, 2, 1});
     }},
    {"PadByTheEdge",
     [](Net& m, ValueId h) {
       return pad(m, h, "edge", {0, 0, 3, 0, 0, 0, 0, 1});
     }},
    {"PadByWrapping",
     [](Net& m, ValueId h) {
       return pad(m, h, "wrap", {0, 0, 1, 2, 0, 0, 2, 1});
     },
     {},
     {},
     kC,
     4,
     19},
    {"PadThatCrops",
     [](Net& m, ValueId h) {
       return pad(m, h, "constant", {0, 0, -1, 0, 0, 0, 0, -2});
     }},
    {"PadThatTakesChannels",
     [](Net& m, ValueId h) {
       return pad(m, h, "constant", {0, -1, 0, 0, 0, -3, 0, 0});
     },
     {},
     {},
     4},
    {"PadByZerosAndAScale",
     [](Net& m, ValueId h) {
       return pad(m, h, "constant", {0, 0, 1, 1, 0, 0, 1, 1});
     },
     MapKind::scale, MapKind::scale},
    {"ExpandOfPixels",
     [](Net& m, ValueId h) {
       return m.op("Expand", {m.slice(h, 2, 0, 1), Net::ints({1, 5, 1})});
     }},
    {"ExpandByMoreAxes",
     [](Net& m, ValueId h) {
       return m.op("Squeeze", {m.op("Expand", {h, Net::ints({1, 1, 1, 1, 1})}), Net::ints({0})});
     }},
    {"TileOfPixels",
     [](Net& m, ValueId h) {
       return m.op("Tile", {h, Net::ints({1, 1, 2, 3})});
     }},
    {"TileOfChannelsByOneMap",
     [](Net& m, ValueId h) {
       return m.op("Tile", {h, Net::ints({1, 2, 1, 1})});
     },
     MapKind::any, MapKind::uniform, 2 * kC},
    {"DepthToSpaceBackward", [](Net& m, ValueId h) { return m.op("DepthToSpace", {h}, block_of_two("DCR")); },
     MapKind::uniform, MapKind::any, 2},
    {"DepthToSpaceOfColumnsBackward",
     [](Net& m, ValueId h) { return m.op("DepthToSpace", {h}, block_of_two("CRD")); }, MapKind::uniform,
     MapKind::any, 2},
    {"SpaceToDepth",
     [](Net& m, ValueId h) {
       return m.op("SpaceToDepth", {h}, {{"blocksize", std::int64_t{2}}});
     },
     MapKind::any, MapKind::uniform, 4 * kC},
    {"ReverseSequence",
     [](Net& m, ValueId h) {
       return m.op("ReverseSequence", {h, Net::ints({1, 2, 2, 0, 1, 2, 1, 2})});
     },
     {},
     {},
     kC,
     4,
     13,
     true},
    {"CompressOfPixels",
     [](Net& m, ValueId h) {
       return m.op("Compress", {h, condition({true, false, true, true})}, {{"axis", std::int64_t{2}}});
     }},
    {"TriangleByAScale", [](Net& m, ValueId h) { return m.op("Trilu", {h}); }, MapKind::scale, MapKind::scale,
     kC, 4, 14},
    {"WhereOfTwoBranches",
     [](Net& m, ValueId h) {
       return m.op("Where", {mask({6, 1}), h, m.slice(h, 3, -1, kFront, -1)});
     }},
    {"WhereWithZerosByAScale",
     [](Net& m, ValueId h) {
       return m.op("Where", {mask({6, 6}), h, scalar(0)});
     },
     MapKind::scale, MapKind::scale},
    {"WhereOfBatchesThatAnInputTells",
     [](Net& m, ValueId h) {
       const ValueId kept = m.op("Cast", {m.b.input("kept", DType::int64, {1})}, {{"to", std::int64_t{9}}});
       return m.op("Where", {kept, h, m.slice(h, 2, -1, kFront, -1)});
     }},
    {"ScatterNDOfRows",
     [](Net& m, ValueId h) {
       return m.op("ScatterND", {h, Tensor({1, 1}, Ints{0}), m.slice(h, 0, 1, 2)});
     },
     {},
     {},
     kC,
     4,
     13,
     true},
    {"ScatterNDOfOneRow",
     [](Net& m, ValueId h) {
       const ValueId last = m.op("Squeeze", {m.slice(h, 0, 1, 2), Net::ints({0})});
       return m.op("ScatterND", {h, Net::ints({0}), last});
     },
     {},
     {},
     kC,
     4,
     13,
     true},
    {"ScatterElementsOfPixels",
     [](Net& m, ValueId h) {
       return m.op("ScatterElements", {h, Tensor(DType::int64, {2, kC, 1, 6}), m.slice(h, 2, 3, 4)},
                   {{"axis", std::int64_t{2}}});
     },
     {},
     {},
     kC,
     4,
     13,
     true},
    {"ScatterOfZerosByAScale",
     [](Net& m, ValueId h) {
       return m.op("ScatterND", {h, Tensor({1, 2}, Ints{0, 3}), Tensor(DType::float32, {1, 6, 6})});
     },
     MapKind::scale, MapKind::scale, kC, 4, 13, true},
    {"MaxUnpoolByAScale",
     [](Net& m, ValueId h) {
       const Attributes window = {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}};
       const auto pooled = m.b.node("MaxPool", {h}, window, {"", ""});
       return m.op("MaxUnpool", {pooled[0], pooled[1]}, window);
     },
     MapKind::positive_scale, MapKind::positive_scale},
};

INSTANTIATE_TEST_SUITE_P(All, FoldPassesMoves, ::testing::ValuesIn(kBothWays), NameOfPassing());

// ---------------------------------------------------------------- one way only

class FoldPassesOneWay : public ::testing::TestWithParam<Passing> {};

TEST_P(FoldPassesOneWay, ForwardAndNotBackward) {
  expect_passes(GetParam(), FoldDirection::forward);
  expect_declined(GetParam().model(FoldDirection::backward), Decline::axis_unproven);
}

const Passing kForward[] = {
    {"GatherOfOneChannelTwice",
     [](Net& m, ValueId h) {
       return gather(m, h, 1, Net::ints({5, 5, 2}));
     },
     {},
     {},
     3},
    {"PadOfChannelsByTheEdge",
     [](Net& m, ValueId h) {
       return pad(m, h, "edge", {0, 1, 0, 0, 0, 0, 0, 0});
     },
     {},
     {},
     kC + 1},
    {"TileOfChannels",
     [](Net& m, ValueId h) {
       return m.op("Tile", {h, Net::ints({1, 2, 1, 1})});
     },
     {},
     {},
     2 * kC},
    {"ExpandOfOneChannel",
     [](Net& m, ValueId h) {
       return m.op("Expand", {m.slice(h, 1, 2, 3), Net::ints({1, 5, 1, 1})});
     },
     {},
     {},
     5},
    {"SpaceToDepthOfManyMaps",
     [](Net& m, ValueId h) {
       return m.op("SpaceToDepth", {h}, {{"blocksize", std::int64_t{2}}});
     },
     {},
     {},
     4 * kC},
};

INSTANTIATE_TEST_SUITE_P(All, FoldPassesOneWay, ::testing::ValuesIn(kForward), NameOfPassing());

TEST(FoldPasses, ConstantChannelsKeepTheirNumberForward) {
  const Passing row{"",
                    [](Net& m, ValueId h) {
                      return m.op("Pad", {h, Net::ints({0, 1, 0, 0, 0, 2, 0, 0}), scalar(3)});
                    },
                    MapKind::any, MapKind::any, kC + 3};
  expect_passes(row, FoldDirection::forward);
  expect_stays(row, FoldDirection::backward, Decline::padding);
}

TEST(FoldPasses, TheConstantOfAPadTakesOneMapBackward) {
  const Passing row{"",
                    [](Net& m, ValueId h) {
                      return m.op("Pad", {h, Net::ints({0, 0, 1, 0, 0, 0, 2, 0}), scalar(3)});
                    },
                    MapKind::uniform, MapKind::uniform};
  expect_passes(row, FoldDirection::backward);
  expect_stays(row, FoldDirection::forward, Decline::padding);
}

TEST(FoldPasses, APadByAFixedPointOfTheMap) {
  for (const float value : {2.0F, 3.0F}) {  // 0.5*2 + 1 = 2
    Net m(13, false);
    const ValueId h = m.op("Mul", {m.op("Sigmoid", {m.x}), scalar(0.5F)});
    const ValueId a = m.op("Add", {h, scalar(1)});
    const ValueId padded = m.op("Pad", {a, Net::ints({0, 0, 1, 0, 0, 0, 2, 0}), scalar(value)});
    m.b.output(m.op("Tanh", {m.layer(padded, kC, 3, 4)}));
    if (value == 2.0F)
      expect_fold(m.b.model(), {{"Sigmoid", 1}, {"Pad", 1}, {"Conv", 1}, {"Tanh", 1}});
    else
      expect_untouched(m.b.model(), Decline::padding);
  }
}

TEST(FoldPasses, TheConstantBranchTakesOneMapBackward) {
  const Passing row{"",
                    [](Net& m, ValueId h) {
                      return m.op("Where", {mask({6, 6}), h, scalar(-3)});
                    },
                    MapKind::uniform, MapKind::uniform};
  expect_passes(row, FoldDirection::backward);
  expect_stays(row, FoldDirection::forward, Decline::activation_between);
}

/// Channel c is in place c/2 of CRD's block and in channel c%2 of DCR: maps that are alike within one are not in
/// the other.
TEST(FoldPasses, DepthToSpaceForwardWhereABlockSharesAMap) {
  for (const bool by_column : {false, true}) {
    for (const bool shared : {false, true}) {
      Net m(13, false);
      Tensor scales(DType::float32, {kC, 1, 1});
      for (std::int64_t c = 0; c < kC; ++c)
        scales.mutable_data<float>()[c] = (by_column == shared ? c / 4 : c % 2) == 0 ? 3.0F : -2.0F;
      const ValueId h = m.op("Mul", {m.op("Sigmoid", {m.x}), scales});
      const ValueId wide = m.op("DepthToSpace", {h}, block_of_two(by_column ? "CRD" : "DCR"));
      m.b.output(m.op("Tanh", {m.layer(wide, 2, 3, 4)}));
      if (shared)
        expect_fold(m.b.model(), {{"Sigmoid", 1}, {"DepthToSpace", 1}, {"Conv", 1}, {"Tanh", 1}}, 4e-6);
      else
        expect_untouched(m.b.model(), Decline::axis_unproven);
    }
  }
}

// ---------------------------------------------------------------- neighbours that must stay

constexpr std::nullopt_t kShiftAlone = std::nullopt;

struct Staying {
  const char* name;
  Passing row;
  FoldDirection direction;
  std::optional<Decline> reason;  ///< kShiftAlone: the scale goes

  friend void PrintTo(const Staying& staying, std::ostream* out) { *out << staying.name; }
};

class FoldStaysAtMoves : public ::testing::TestWithParam<Staying> {};

TEST_P(FoldStaysAtMoves, WhatCannotPass) {
  const Staying& staying = GetParam();
  if (staying.reason)
    expect_stays(staying.row, staying.direction, *staying.reason);
  else
    expect_shift_stays(staying.row, staying.direction);
}

constexpr auto kForth = FoldDirection::forward;
constexpr auto kBack = FoldDirection::backward;

const Staying kStaying[] = {
    {"PadByZerosAndAShift",
     {"",
      [](Net& m, ValueId h) {
        return pad(m, h, "constant", {0, 0, 1, 1, 0, 0, 1, 1});
      },
      MapKind::any, MapKind::any},
     kForth,
     kShiftAlone},
    {"PadByZerosAndAShiftBackward",
     {"",
      [](Net& m, ValueId h) {
        return pad(m, h, "constant", {0, 0, 1, 1, 0, 0, 1, 1});
      }},
     kBack,
     kShiftAlone},
    {"TriangleByAShift",
     {"", [](Net& m, ValueId h) { return m.op("Trilu", {h}); }, {}, {}, kC, 4, 14},
     kBack,
     kShiftAlone},
    {"SliceOfChannelsThatAnInputTells",
     {"",
      [](Net& m, ValueId h) {
        const ValueId start = m.op("Mul", {m.b.input("start", DType::int64, {1}), Net::ints({0})});
        return m.op("Slice", {h, start, Net::ints({8}), Net::ints({1})});
      }},
     kBack,
     Decline::axis_unproven},
    {"GatherOfChannelsThatAnInputTells",
     {"",
      [](Net& m, ValueId h) {
        return m.op("Gather", {h, m.b.input("at", DType::int64, {8})}, {{"axis", std::int64_t{1}}});
      }},
     kForth,
     Decline::axis_unproven},
    {"ReverseSequenceOfChannels",
     {"",
      [](Net& m, ValueId h) {
        return m.op("ReverseSequence", {h, Net::ints({3, 8})},
                    {{"batch_axis", std::int64_t{0}}, {"time_axis", std::int64_t{1}}});
      },
      {},
      {},
      kC,
      4,
      13,
      true},
     kForth,
     Decline::axis_unproven},
    {"GatherElementsOfChannels",
     {"",
      [](Net& m, ValueId h) {
        return m.op("GatherElements", {h, Tensor(DType::int64, {2, kC, 6, 6})}, {{"axis", std::int64_t{1}}});
      },
      {},
      {},
      kC,
      4,
      13,
      true},
     kForth,
     Decline::axis_unproven},
    {"WhereOfAMapAndNone",
     {"",
      [](Net& m, ValueId h) {
        return m.op("Where", {mask({6, 6}), h, m.x});
      },
      MapKind::any, MapKind::any},
     kForth,
     Decline::activation_between},
    {"WhereOfAMaskAndAShift",
     {"",
      [](Net& m, ValueId h) {
        return m.op("Where", {mask({6, 6}), h, scalar(0)});
      },
      MapKind::any, MapKind::any},
     kForth,
     kShiftAlone},
    {"WhereThatStretchesABranch",
     {"",
      [](Net& m, ValueId h) {
        return m.op("Where", {mask({6, 6}), m.slice(h, 1, 0, 1), h});
      },
      MapKind::any, MapKind::any},
     kBack,
     Decline::axis_unproven},
    {"ScatterThatAdds",
     {"",
      [](Net& m, ValueId h) {
        return m.op("ScatterND", {h, Tensor({1, 1}, Ints{0}), m.slice(h, 0, 1, 2)},
                    {{"reduction", std::string("add")}});
      },
      {},
      {},
      kC,
      4,
      16,
      true},
     kForth,
     Decline::intermediate_used_elsewhere},
    {"ScatterOfOtherUpdates",
     {"",
      [](Net& m, ValueId h) {
        return m.op("ScatterND", {h, Tensor({1, 1}, Ints{0}), m.slice(m.x, 0, 1, 2)});
      },
      {},
      {},
      kC,
      4,
      16,
      true},
     kForth,
     Decline::activation_between},
};

INSTANTIATE_TEST_SUITE_P(All, FoldStaysAtMoves, ::testing::ValuesIn(kStaying), NameOfPassing());

// ---------------------------------------------------------------- parts of one value

/// What Split does, written as the Slices or Gathers that exporters make of x[:, a:b].
TEST(FoldPasses, SlicesOfOneValueEachWithItsMap) {
  for (const bool uniform : {false, true}) {
    Net m(13, false);
    const ValueId h = m.layer(m.x, kC, kC, 4);
    const ValueId a = m.slice(h, 1, 0, 3);
    const ValueId b = m.slice(h, 1, 3, kAll);
    m.b.output(m.op("Tanh", {m.map(uniform ? MapKind::uniform : MapKind::any, a, 3, 4)}));
    m.b.output(m.op("Tanh", {m.batch_normalization(b, kC - 3)}));
    expect_fold(m.b.model(), {{"Conv", 1}, {"Slice", 2}, {"Tanh", 2}}, 4e-6);
  }
}

TEST(FoldPasses, ASliceThatNobodyMapsKeepsItsNumbers) {
  Net m(13, false);
  const ValueId h = m.layer(m.x, kC, kC, 4);
  m.b.output(m.op("Tanh", {m.batch_normalization(m.slice(h, 1, 0, 3), 3)}));
  m.b.output(m.op("Sigmoid", {m.slice(h, 1, 3, kAll)}));
  expect_fold(m.b.model(), {{"Conv", 1}, {"Slice", 2}, {"Tanh", 1}, {"Sigmoid", 1}}, 4e-6);
}

TEST(FoldPasses, ChannelsTakenOneByOne) {
  Net m(13, false);
  const ValueId h = m.layer(m.x, kC, kC, 4);
  for (const std::int64_t channel : {2, 5}) {
    const ValueId taken = gather(m, h, 1, Tensor({}, Ints{channel}));
    m.b.output(m.op("Tanh", {m.map(MapKind::uniform, taken, 6, 3)}));
  }
  expect_fold(m.b.model(), {{"Conv", 1}, {"Gather", 2}, {"Tanh", 2}}, 4e-6);
}

TEST(FoldPasses, WhatIsTakenAlongHasAnotherReaderToo) {
  Net m(13, false);
  Tensor scales(DType::float32, {kC, 1, 1});
  for (std::int64_t c = 0; c < kC; ++c) scales.mutable_data<float>()[c] = c < 3 ? -2.0F : 1.0F;
  const ValueId h = m.map(MapKind::shift, m.layer(m.x, kC, kC, 4), kC, 4);
  m.b.output(m.op("Sigmoid", {m.slice(h, 1, 3, kAll)}));
  m.b.output(m.op("Tanh", {m.op("Mul", {h, scales})}));
  expect_fold(m.b.model(), {{"Conv", 1}, {"Slice", 1}, {"Tanh", 1}, {"Sigmoid", 1}}, 4e-6);
}

/// -(-h) = h for whoever reads it.
TEST(FoldPasses, AChainThatComesToNothingHasAnotherReaderToo) {
  Net m(13, false);
  const ValueId h = m.map(MapKind::shift, m.layer(m.x, kC, kC, 4), kC, 4);
  m.b.output(m.op("Max", {m.op("Neg", {m.op("Neg", {h})}), h}));
  expect_fold(m.b.model(), {{"Conv", 1}, {"Max", 1}}, 4e-6);
}

TEST(FoldPasses, SlicesThatOverlapStay) {
  Net m(13, false);
  const ValueId h = m.layer(m.x, kC, kC, 4);
  m.b.output(m.op("Tanh", {m.batch_normalization(m.slice(h, 1, 0, 4), 4)}));
  m.b.output(m.op("Sigmoid", {m.slice(h, 1, 3, kAll)}));
  expect_untouched(m.b.model(), Decline::intermediate_used_elsewhere);
}

TEST(FoldPasses, AMapOfChannelsThatNobodyTakesGoes) {
  Net m(13, false);
  Tensor scales(DType::float32, {kC, 1, 1});
  for (std::int64_t c = 0; c < kC; ++c) scales.mutable_data<float>()[c] = c < 2 ? 3.0F : 1.0F;
  const ValueId h = m.op("Mul", {m.op("Sigmoid", {m.x}), scales});
  m.b.output(m.op("Tanh", {m.slice(h, 1, 2, kAll)}));
  expect_fold(m.b.model(), {{"Sigmoid", 1}, {"Slice", 1}, {"Tanh", 1}});
}

}  // namespace
}  // namespace bnrun
