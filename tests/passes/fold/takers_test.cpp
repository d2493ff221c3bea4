// Folding where only a part of a map can go, through products, and into operators other than Gemm, MatMul and Conv:
// structure and numbers against double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "api/model_access.h"
#include "support/fold_layer.h"
#include "support/fold_testing.h"

namespace bnrun {
namespace {

using namespace testing;

constexpr std::int64_t kChannels = 4;
const Attributes kPadded{{"pads", Ints{1, 1, 1, 1}}};

struct Net : Maker {
  ValueId x = b.input("x", DType::float32, {"N", kChannels});
  ValueId image = b.input("image", DType::float32, {"N", kChannels, 5, 6});
  ValueId words = b.input("words", DType::float32, {"N", 3, kChannels});

  ValueId conv(ValueId data, Attributes attributes = kPadded, std::int64_t from = kChannels) {
    return b.op("Conv", {data, random({kChannels, from, 3, 3}), random({kChannels})}, std::move(attributes));
  }
  ValueId gemm(ValueId data) {
    return b.op("Gemm", {data, random({kChannels, kChannels}), random({kChannels})});
  }
  ValueId matmul(ValueId data) { return b.op("MatMul", {data, random({kChannels, kChannels})}); }
  ValueId biased(ValueId data) { return b.op("Add", {matmul(data), random({kChannels})}); }
  ValueId batch_normalization(ValueId data) {
    return b.op("BatchNormalization", {data, random({kChannels}, 0.5, 2.0), random({kChannels}),
                                       random({kChannels}), random({kChannels}, 0.5, 2.0)});
  }
  ValueId scaled(ValueId data, const Shape& shape) { return b.op("Mul", {data, random(shape, 0.5, 2.0)}); }
  ValueId relu(ValueId data) { return b.op("Relu", {data}); }
  ValueId sigmoid(ValueId data) { return b.op("Sigmoid", {data}); }
  /// [N,C,1,1] from a map: the gate of squeeze-and-excitation.
  ValueId gate(ValueId map) {
    return sigmoid(
        conv(b.op("GlobalAveragePool", {map}), {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}));
  }
  ValueId einsum(const char* equation, const std::vector<NodeInput>& inputs) {
    return b.op("Einsum", inputs, {{"equation", std::string(equation)}});
  }
  /// Rounded to steps of its own on the way, with one scale and zero point or one for each channel of axis 1.
  ValueId dequantised(ValueId data, std::int64_t scales) {
    const Shape shape = scales == 1 ? Shape{} : Shape{scales};
    const Tensor scale(shape, Floats(static_cast<std::size_t>(scales), 0.03125F));
    const Tensor zero(shape, std::vector<std::int8_t>(static_cast<std::size_t>(scales), 3));
    return b.op("DequantizeLinear", {b.op("QuantizeLinear", {data, scale, zero}), scale, zero});
  }
  void end(ValueId y) { b.output(b.op("Tanh", {y})); }
};

struct Case {
  const char* name;
  std::function<void(Net&)> build;
  Operators left;
  std::size_t staying = 0;  ///< channels in which a shift stays
};

class FoldTakers : public ::testing::TestWithParam<Case> {};

TEST_P(FoldTakers, TakeWhatCanGo) {
  Net m;
  GetParam().build(m);
  const FoldReport report = expect_fold(m.b.model(), GetParam().left, 4e-6);
  EXPECT_TRUE(report.complete());
  std::size_t staying = 0;
  for (const FoldEntry& entry : report.entries) staying += entry.centred_channels;
  EXPECT_EQ(staying, GetParam().staying);
}

const Case kCases[] = {
    // ---- a scale without its shift
    {"ForwardIntoAConvThatPads",
     [](Net& m) { m.end(m.conv(m.batch_normalization(m.relu(m.image)))); },
     {{"Relu", 1}, {"Sub", 1}, {"Conv", 1}, {"Tanh", 1}},
     kChannels},
    {"ForwardThroughAnActivation",
     [](Net& m) { m.end(m.conv(m.relu(m.batch_normalization(m.sigmoid(m.image))))); },
     {{"Sigmoid", 1}, {"Sub", 1}, {"Relu", 1}, {"Conv", 1}, {"Tanh", 1}},
     kChannels},
    {"ForwardIntoAConvTranspose",
     [](Net& m) {
       m.end(
           m.b.op("ConvTranspose", {m.batch_normalization(m.relu(m.image)), m.random({kChannels, 2, 3, 3})}));
     },
     {{"Relu", 1}, {"Sub", 1}, {"ConvTranspose", 1}, {"Tanh", 1}},
     kChannels},
    {"ForwardIntoTwoConvsThatPad",
     [](Net& m) {
       const ValueId a = m.batch_normalization(m.sigmoid(m.image));
       m.end(m.conv(a));
       m.end(m.conv(a));
     },
     {{"Sigmoid", 1}, {"Sub", 1}, {"Conv", 2}, {"Tanh", 2}},
     kChannels},
    {"ForwardOfSubAndDiv",
     [](Net& m) {
       const ValueId a = m.b.op("Sub", {m.image, m.random({kChannels, 1, 1})});
       m.end(m.conv(m.b.op("Div", {a, m.random({kChannels, 1, 1}, 0.5, 2.0)})));
     },
     {{"Sub", 1}, {"Conv", 1}, {"Tanh", 1}},
     kChannels},
    {"BackwardThroughAnActivation",
     [](Net& m) { m.end(m.batch_normalization(m.relu(m.gemm(m.x)))); },
     {{"Gemm", 1}, {"Relu", 1}, {"Add", 1}, {"Tanh", 1}},
     kChannels},
    {"BackwardThroughAnAverageThatCountsPadding",
     [](Net& m) {
       const Attributes pool{
           {"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 0, 0, 1}}, {"count_include_pad", std::int64_t{1}}};
       m.end(m.batch_normalization(m.b.op("AveragePool", {m.conv(m.image)}, pool)));
     },
     {{"Conv", 1}, {"AveragePool", 1}, {"Add", 1}, {"Tanh", 1}},
     kChannels},
    // ---- through products
    {"BackwardThroughAGate",
     [](Net& m) {
       const ValueId h = m.conv(m.image);
       m.end(m.scaled(m.b.op("Mul", {m.relu(h), m.gate(m.image)}), {kChannels, 1, 1}));
     },
     {{"Conv", 2}, {"Relu", 1}, {"GlobalAveragePool", 1}, {"Sigmoid", 1}, {"Mul", 1}, {"Tanh", 1}}},
    {"BackwardIntoTheSecondFactor",
     [](Net& m) {
       m.end(m.scaled(m.b.op("Mul", {m.sigmoid(m.x), m.gemm(m.x)}), {kChannels}));
     },
     {{"Sigmoid", 1}, {"Gemm", 1}, {"Mul", 1}, {"Tanh", 1}}},
    {"BackwardThroughAGateLeavingTheShift",
     [](Net& m) {
       m.end(m.batch_normalization(m.b.op("Mul", {m.gemm(m.x), m.sigmoid(m.x)})));
     },
     {{"Sigmoid", 1}, {"Gemm", 1}, {"Mul", 1}, {"Add", 1}, {"Tanh", 1}},
     kChannels},
    {"BackwardIntoANumerator",
     [](Net& m) {
       m.end(m.scaled(m.b.op("Div", {m.gemm(m.x), m.b.op("Exp", {m.x})}), {kChannels}));
     },
     {{"Exp", 1}, {"Gemm", 1}, {"Div", 1}, {"Tanh", 1}}},
    {"BackwardIntoADivisor",
     [](Net& m) {
       const ValueId divisor =
           m.b.op("Conv", {m.b.op("Exp", {m.image}), m.random({kChannels, kChannels, 1, 1}, 0.5, 1.0)});
       m.end(m.scaled(m.b.op("Div", {m.sigmoid(m.image), divisor}), {kChannels, 1, 1}));
     },
     {{"Exp", 1}, {"Sigmoid", 1}, {"Conv", 1}, {"Div", 1}, {"Tanh", 1}}},
    {"ForwardThroughAGate",
     [](Net& m) {
       const ValueId s = m.scaled(m.sigmoid(m.image), {kChannels, 1, 1});
       m.end(m.conv(m.b.op("Mul", {s, m.b.op("Exp", {m.image})})));
     },
     {{"Exp", 1}, {"Sigmoid", 1}, {"Mul", 1}, {"Conv", 1}, {"Tanh", 1}}},
    {"ForwardThroughADivisor",
     [](Net& m) {
       const ValueId s = m.scaled(m.b.op("Exp", {m.x}), {kChannels});
       m.end(m.gemm(m.b.op("Div", {m.sigmoid(m.x), s})));
     },
     {{"Exp", 1}, {"Sigmoid", 1}, {"Div", 1}, {"Gemm", 1}, {"Tanh", 1}}},
    {"ForwardThroughASquare",
     [](Net& m) {
       const ValueId s = m.scaled(m.sigmoid(m.x), {kChannels});
       m.end(m.gemm(m.b.op("Mul", {s, s})));
     },
     {{"Sigmoid", 1}, {"Mul", 1}, {"Gemm", 1}, {"Tanh", 1}}},
    {"TheScaleOfAttention",  // q*k^T / sqrt(d): into the layer that makes q
     [](Net& m) {
       const ValueId q = m.biased(m.words);
       const ValueId k = m.b.op("Transpose", {m.biased(m.words)}, {{"perm", Ints{0, 2, 1}}});
       const ValueId scores = m.b.op("Div", {m.b.op("MatMul", {q, k}), Tensor({}, Floats{2.0F})});
       m.end(m.b.op("Softmax", {scores}, {{"axis", std::int64_t{-1}}}));
     },
     {{"MatMul", 3}, {"Add", 2}, {"Transpose", 1}, {"Softmax", 1}, {"Tanh", 1}}},
    {"TheColumnsOfAComputedMatrix",
     [](Net& m) {
       const ValueId rows =
           m.b.op("Softmax",
                  {m.b.op("MatMul", {m.words, m.b.op("Transpose", {m.words}, {{"perm", Ints{0, 2, 1}}})})},
                  {{"axis", std::int64_t{-1}}});
       m.end(m.scaled(m.b.op("MatMul", {rows, m.biased(m.words)}), {kChannels}));
     },
     {{"MatMul", 3}, {"Add", 1}, {"Transpose", 1}, {"Softmax", 1}, {"Tanh", 1}}},
    // ---- Einsum that is a MatMul
    {"EinsumInFront",
     [](Net& m) {
       m.end(m.einsum("bsk,kn->bsn", {m.scaled(m.words, {kChannels}), m.random({kChannels, 5})}));
     },
     {{"Einsum", 1}, {"Tanh", 1}}},
    {"EinsumWithTransposedWeightsAndAShiftInFront",
     [](Net& m) {
       const ValueId a = m.b.op("Add", {m.scaled(m.words, {kChannels}), m.random({kChannels})});
       m.end(m.einsum("bsk,nk->bsn", {a, m.random({5, kChannels})}));
     },
     {{"Einsum", 1}, {"Add", 1}, {"Tanh", 1}}},
    {"EinsumBehind",
     [](Net& m) {
       m.end(m.batch_normalization(m.einsum("nk,km->nm", {m.x, m.random({kChannels, kChannels})})));
     },
     {{"Einsum", 1}, {"Add", 1}, {"Tanh", 1}}},
    // ---- DequantizeLinear
    {"DequantizeLinearOfOneScaleBehind",
     [](Net& m) { m.end(m.batch_normalization(m.dequantised(m.image, 1))); },
     {{"QuantizeLinear", 1}, {"DequantizeLinear", 1}, {"Add", 1}, {"Tanh", 1}}},
    {"DequantizeLinearOfOneScalePerChannelBehind",
     [](Net& m) { m.end(m.batch_normalization(m.dequantised(m.image, kChannels))); },
     {{"QuantizeLinear", 1}, {"DequantizeLinear", 1}, {"Add", 1}, {"Tanh", 1}}},
    {"DequantizeLinearByAScalar",
     [](Net& m) {
       m.end(m.b.op("Mul", {m.dequantised(m.image, kChannels), m.random({}, -2.0, -1.0)}));
     },
     {{"QuantizeLinear", 1}, {"DequantizeLinear", 1}, {"Tanh", 1}}},
    {"DequantizeLinearThroughAnActivation",
     [](Net& m) {
       m.end(m.scaled(m.relu(m.dequantised(m.image, 1)), {kChannels, 1, 1}));
     },
     {{"QuantizeLinear", 1}, {"DequantizeLinear", 1}, {"Relu", 1}, {"Tanh", 1}}},
    {"EinsumThatMovesTheChannels",
     [](Net& m) {
       const ValueId h = m.einsum("...k,kn->n...", {m.x, m.random({kChannels, kChannels})});
       m.end(m.scaled(h, {kChannels, 1}));
     },
     {{"Einsum", 1}, {"Tanh", 1}}},
};

INSTANTIATE_TEST_SUITE_P(All, FoldTakers, ::testing::ValuesIn(kCases),
                         [](const auto& row) { return std::string(row.param.name); });

// ---------------------------------------------------------------- guards

TEST(FoldTakersGuard, AScaleOfZeroLeavesNoShiftInFront) {
  Net m;  // s = 0 in one channel: t is all of it, and x - t/0 is nothing
  const ValueId a = m.b.op("Mul", {m.sigmoid(m.image), Tensor({kChannels, 1, 1}, Floats{1, 0, 2, 3})});
  m.end(m.conv(m.b.op("Add", {a, m.random({kChannels, 1, 1})})));
  const auto report =
      expect_fold(m.b.model(), {{"Sigmoid", 1}, {"Mul", 1}, {"Add", 1}, {"Conv", 1}, {"Tanh", 1}});
  EXPECT_FALSE(report.complete());
}

/// A centring that stands alone is the whole of the shift: where its rounding is more than that of normalised data,
/// the map stays; where it is a number that float32 holds, it goes.
TEST(FoldTakersGuard, ACentringThatRoundsAwayDigitsDoesNotStandAlone) {
  for (const bool exact : {false, true}) {
    Net m;
    const float c = exact ? 1000.0F : 3000.0F;
    const ValueId scaled = m.b.op("Mul", {m.sigmoid(m.image), Tensor({}, Floats{exact ? 2.0F : 2.9999F})});
    m.end(m.conv(m.b.op("Sub", {scaled, Tensor({}, Floats{c})})));
    Model model = m.b.model();
    EXPECT_EQ(fold(model).after.operators.contains("Mul"), !exact);
  }
}

TEST(FoldTakersGuard, AnActivationLetsNoNegativeScalePassAlone) {
  Net m;
  const ValueId a = m.b.op("Mul", {m.relu(m.gemm(m.x)), row({1, -1, 2, 3})});
  m.end(m.b.op("Add", {a, m.random({kChannels})}));
  EXPECT_FALSE(
      expect_fold(m.b.model(), {{"Gemm", 1}, {"Relu", 1}, {"Mul", 1}, {"Add", 1}, {"Tanh", 1}}).complete());
}

TEST(FoldTakersGuard, AFactorOfOtherChannelsTakesNoScale) {
  Net m;  // [N,1] * [N,4]: neither the column nor the activated map can take one scale for each of 4
  const ValueId column = m.b.op("Gemm", {m.x, m.random({kChannels, 1})});
  m.end(m.scaled(m.b.op("Mul", {column, m.sigmoid(m.x)}), {kChannels}));
  expect_untouched(m.b.model(), Decline::axis_unproven);
}

TEST(FoldTakersGuard, OneChannelThatIsStretchedIsNotMany) {
  Net m;
  const ValueId column = m.sigmoid(m.b.op("Gemm", {m.x, m.random({kChannels, 1})}));
  const ValueId scaled = m.b.op("BatchNormalization", {column, row({3}), row({0}), row({0}), row({2})});
  m.end(m.gemm(m.b.op("Mul", {scaled, m.sigmoid(m.x)})));
  expect_untouched(m.b.model(), Decline::axis_unproven);
}

/// x - 1e22 squared is infinite where the map of x is not.
TEST(FoldTakersGuard, ACentringOfAnySizeDoesNotStandAlone) {
  Net m;
  const ValueId scaled = m.b.op("Mul", {m.sigmoid(m.image), Tensor({}, Floats{1e-22F})});
  const ValueId a = m.b.op("Add", {scaled, Tensor({}, Floats{1})});
  m.end(m.conv(m.b.op("Mul", {a, a})));
  EXPECT_FALSE(expect_fold(m.b.model(), {{"Sigmoid", 1}, {"Mul", 2}, {"Add", 1}, {"Conv", 1}, {"Tanh", 1}})
                   .complete());
}

TEST(FoldTakersGuard, ADivisorTakesNoScaleOfZero) {
  Net m;
  const ValueId quotient = m.b.op("Div", {m.sigmoid(m.x), m.gemm(m.b.op("Exp", {m.x}))});
  m.end(m.b.op("Mul", {quotient, row({1, 0, 1, 1})}));
  expect_untouched(m.b.model(), Decline::activation_between);
}

TEST(FoldTakersGuard, AValueTimesItselfIsReadTwice) {
  Net m;
  const ValueId h = m.gemm(m.x);
  m.end(m.scaled(m.b.op("Mul", {h, m.sigmoid(h)}), {kChannels}));
  expect_untouched(m.b.model(), Decline::intermediate_used_elsewhere);
}

TEST(FoldTakersGuard, TheSumOfComputedMatricesTakesNoScaleAlongIt) {
  Net m;  // on the axis that the product sums
  const ValueId k = m.b.op("Transpose", {m.words}, {{"perm", Ints{0, 2, 1}}});
  const ValueId product = m.b.op("MatMul", {m.scaled(m.sigmoid(m.words), {kChannels}), k});
  m.end(m.b.op("MatMul", {product, m.random({3, 2})}));
  Model model = m.b.model();
  const auto report = fold(model);
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_EQ(name_of(report.entries[0].reason), name_of(Decline::activation_between));
  EXPECT_FALSE(report.entries[0].folded);
}

/// Whatever the map, the folded network errs at most twice as much as the one that it came from, plus a rounding of
/// the largest output.
TEST(FoldTakers, AScaleThatGoesAloneLosesNoDigits) {
  std::size_t alone = 0;
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    Net m;
    m.seed = 1000 * seed;
    const double size = std::pow(10.0, static_cast<double>(seed % 7) - 3.0);
    const ValueId image = m.sigmoid(m.image);
    const ValueId scaled = m.b.op("Mul", {image, m.random({kChannels, 1, 1}, 0.5 * size, 2.0 * size)});
    m.b.output(m.conv(m.b.op("Add", {scaled, m.random({kChannels, 1, 1}, -2.0 * size, 2.0 * size)})));
    const Model original = m.b.model();
    Model after = original;
    for (const FoldEntry& entry : fold(after).entries) alone += entry.folded ? 1 : 0;
    EXPECT_LE(distance_from_truth(original, after, 3),
              2.0 * distance_from_truth(original, original, 3) + 0x1p-22)
        << "seed " << seed;
  }
  EXPECT_GE(alone, 100U);
}

TEST(FoldTakersGuard, ScalesOfDequantizeLinearLieOnTheirAxis) {
  Net m;  // along the rows, where the scales are along the channels
  m.end(m.b.op("Mul", {m.dequantised(m.image, kChannels), m.random({5, 1})}));
  Model along_rows = m.b.model();
  EXPECT_EQ(fold(along_rows).rewrites, 0U);
  Net old;  // below opset 13 there is one scale for all
  old.b = GraphBuilder(10);
  const ValueId image = old.b.input("image", DType::float32, {"N", kChannels, 5, 6});
  old.end(old.b.op("Mul", {old.dequantised(image, 1), old.random({kChannels, 1, 1})}));
  expect_untouched(old.b.model(), Decline::axis_unproven);
}

struct EinsumCase {
  const char* name;
  const char* equation;
  Shape W;
  Shape scale;
};

class FoldTakersEinsum : public ::testing::TestWithParam<EinsumCase> {};

TEST_P(FoldTakersEinsum, DeclinesWhatIsNoMatrixProduct) {
  Net m;
  m.end(m.einsum(GetParam().equation,
                 {m.scaled(m.sigmoid(m.words), GetParam().scale), m.random(GetParam().W)}));
  expect_untouched(m.b.model(), Decline::axis_unproven);
}

INSTANTIATE_TEST_SUITE_P(
    All, FoldTakersEinsum,
    ::testing::Values(EinsumCase{"KeepsTheLabel", "bsk,kn->bskn", {kChannels, 5}, {kChannels}},
                      EinsumCase{"SumsMoreThanOne", "bsk,kn->bn", {kChannels, 5}, {kChannels}},
                      EinsumCase{"OtherAxis", "bsk,kn->bsn", {kChannels, 5}, {3, 1}},
                      EinsumCase{"Stretches", "bsk,kn->bsn", {1, 5}, {kChannels}},
                      EinsumCase{"VectorOfWeights", "bsk,k->bs", {kChannels}, {kChannels}}),
    [](const auto& row) { return std::string(row.param.name); });

// ---------------------------------------------------------------- the scale and bias of normalisations

struct NormCase {
  const char* name;
  std::int64_t opset;
  std::function<ValueId(Net&)> normalise;
  bool spatial = false;
};

struct FoldNormAffine : ::testing::TestWithParam<NormCase> {
  static Model model(const NormCase& c) {
    Net m;
    m.b = GraphBuilder(c.opset);
    m.x = m.b.input("x", DType::float32, {"N", kChannels});
    m.image = m.b.input("image", DType::float32, {"N", kChannels, 5, 6});
    m.words = m.b.input("words", DType::float32, {"N", 3, kChannels});
    const ValueId y = c.normalise(m);
    m.end(c.spatial ? m.conv(y, {}) : m.biased(y));
    return m.b.model();
  }
};

TEST_P(FoldNormAffine, GoIntoTheLayerBehind) {
  const Model original = model(GetParam());
  Model after = original;
  Operators left = count(original).operators;
  const auto report = expect_fold(original, left, 4e-6);
  EXPECT_EQ(report.simplifications.size(), 1U);
  fold(after);
  const std::string norm = graph_of(after).node(graph_of(after).topological_order()[0]).op_type;
  for (const double s : constant_of(after, norm, 1)) EXPECT_EQ(s, 1.0);
  const Graph& graph = graph_of(after);
  for (const NodeId id : graph.live_nodes()) {
    if (graph.node(id).op_type != norm || graph.node(id).inputs.size() < 3) continue;
    for (const double t : constant_of(after, norm, 2)) EXPECT_EQ(t, 0.0);
  }
}

TEST_P(FoldNormAffine, StayWhenAskedTo) {
  Model after = model(GetParam());
  FoldOptions options;
  options.without = {"norm-affine"};
  EXPECT_EQ(fold(after, options).rewrites, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    All, FoldNormAffine,
    ::testing::Values(
        NormCase{
            "LayerNormalization", 17,
            [](Net& m) {
              return m.b.op("LayerNormalization", {m.words, m.random({kChannels}), m.random({kChannels})});
            }},
        NormCase{"LayerNormalizationWithoutBias", 17,
                 [](Net& m) {
                   return m.b.op("LayerNormalization", {m.words, m.random({kChannels})});
                 }},
        NormCase{"RMSNormalization", 23,
                 [](Net& m) {
                   return m.b.op("RMSNormalization", {m.words, m.random({kChannels})});
                 }},
        NormCase{
            "InstanceNormalization", 13,
            [](Net& m) {
              return m.b.op("InstanceNormalization", {m.image, m.random({kChannels}), m.random({kChannels})});
            },
            true},
        NormCase{"GroupNormalizationPerGroup", 18,
                 [](Net& m) {
                   return m.b.op("GroupNormalization", {m.image, m.random({2}), m.random({2})},
                                 {{"num_groups", std::int64_t{2}}});
                 },
                 true},
        NormCase{"GroupNormalization", 21,
                 [](Net& m) {
                   return m.b.op("GroupNormalization",
                                 {m.image, m.random({kChannels}), m.random({kChannels})},
                                 {{"num_groups", std::int64_t{2}}});
                 },
                 true}),
    [](const auto& row) { return std::string(row.param.name); });

/// The three layers of attention read one normalisation.
TEST(FoldNorm, GoesIntoEveryReader) {
  Net m;
  m.b = GraphBuilder(17);
  const ValueId words = m.b.input("words", DType::float32, {"N", 3, kChannels});
  const ValueId y = m.b.op("LayerNormalization", {words, m.random({kChannels}), m.random({kChannels})});
  for (int i = 0; i < 3; ++i) m.end(m.biased(y));
  const auto report =
      expect_fold(m.b.model(), {{"LayerNormalization", 1}, {"MatMul", 3}, {"Add", 3}, {"Tanh", 3}}, 4e-6);
  EXPECT_EQ(report.rewrites, 4U);
}

struct NormGuard {
  const char* name;
  std::function<void(Net&, ValueId)> read;
};

class FoldNormGuard : public ::testing::TestWithParam<NormGuard> {};

TEST_P(FoldNormGuard, KeepsItsScaleAndBias) {
  Net m;
  m.b = GraphBuilder(17);
  const ValueId words = m.b.input("words", DType::float32, {"N", 3, kChannels});
  GetParam().read(m, m.b.op("LayerNormalization", {words, m.random({kChannels}), m.random({kChannels})}));
  Model model = m.b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    All, FoldNormGuard,
    ::testing::Values(NormGuard{"ReadByAResidualToo",
                                [](Net& m, ValueId y) {
                                  m.end(m.b.op("Add", {m.biased(y), y}));
                                }},
                      NormGuard{"AnOutputOfTheGraph",
                                [](Net& m, ValueId y) {
                                  m.b.output(y);
                                  m.end(m.biased(y));
                                }},
                      NormGuard{"WhereItWouldAddAnOperator", [](Net& m, ValueId y) { m.end(m.matmul(y)); }},
                      NormGuard{"BehindAnActivation", [](Net& m, ValueId y) { m.end(m.biased(m.relu(y))); }}),
    [](const auto& row) { return std::string(row.param.name); });

/// As torch writes it before opset 17; three layers read it, each with an Add of its own.
TEST(FoldNorm, WrittenOutInOperators) {
  Net m;
  const auto mean = [&](ValueId v) {
    return m.b.op("ReduceMean", {v}, {{"axes", Ints{-1}}, {"keepdims", std::int64_t{1}}});
  };
  const ValueId d = m.b.op("Sub", {m.words, mean(m.words)});
  const ValueId variance = mean(m.b.op("Pow", {d, Tensor({}, Floats{2})}));
  const ValueId deviation = m.b.op("Sqrt", {m.b.op("Add", {variance, Tensor({}, Floats{1e-5F})})});
  const ValueId scaled = m.b.op("Mul", {m.b.op("Div", {d, deviation}), m.random({kChannels})});
  const ValueId y = m.b.op("Add", {scaled, m.random({kChannels})});
  for (int i = 0; i < 3; ++i) m.end(m.biased(y));
  const auto report = expect_fold(m.b.model(),
                                  {{"ReduceMean", 2},
                                   {"Sub", 1},
                                   {"Pow", 1},
                                   {"Add", 4},
                                   {"Sqrt", 1},
                                   {"Div", 1},
                                   {"MatMul", 3},
                                   {"Tanh", 3}},
                                  1e-5);
  EXPECT_TRUE(report.complete());
}

// ---------------------------------------------------------------- ai.onnx.ml

struct MlNet : Net {
  MlNet() {
    b = GraphBuilder(13);
    b.import("ai.onnx.ml", 2);
    x = b.input("x", DType::float32, {"N", 3});
  }
  ValueId scaler(ValueId data) {
    return b.node("Scaler", {data},
                  {{"offset", std::vector<float>{1, -2, 0.5F}}, {"scale", std::vector<float>{2, 0.25F, -1}}},
                  {""}, "ai.onnx.ml")[0];
  }
  Attributes linear(const char* post) {
    return {{"coefficients", std::vector<float>{0.5F, -1, 2, 0.25F, 1.5F, -0.75F}},
            {"intercepts", std::vector<float>{0.5F, -1}},
            {"post_transform", std::string(post)}};
  }
  ValueId regressor(ValueId data, const char* post = "NONE") {
    Attributes attributes = linear(post);
    attributes["targets"] = std::int64_t{2};
    return b.node("LinearRegressor", {data}, std::move(attributes), {""}, "ai.onnx.ml")[0];
  }
  Model model(ValueId y) {
    b.output(y);
    Graph graph = b.graph();
    infer_types(graph);
    return make_model(graph);
  }
};

TEST(FoldMl, AScalerGoesIntoALinearRegressor) {
  for (const char* post : {"NONE", "LOGISTIC", "SOFTMAX"}) {
    MlNet m;
    const ValueId y = m.regressor(m.scaler(m.x), post);
    EXPECT_TRUE(expect_fold(m.model(y), {{"LinearRegressor", 1}}).complete()) << post;
  }
}

TEST(FoldMl, AMapBehindALinearRegressorGoesIntoIt) {
  MlNet m;
  const ValueId y = m.b.op("Mul", {m.regressor(m.x), row({2, -3})});
  EXPECT_TRUE(expect_fold(m.model(m.b.op("Add", {y, row({1, 2})})), {{"LinearRegressor", 1}}).complete());
}

TEST(FoldMl, NothingGoesBackThroughAPostTransform) {
  MlNet m;
  expect_untouched(m.model(m.b.op("Mul", {m.regressor(m.x, "LOGISTIC"), row({2, -3})})),
                   Decline::activation_between);
}

TEST(FoldMl, AScalerGoesIntoALinearClassifier) {
  MlNet m;
  Attributes attributes = m.linear("SOFTMAX");
  attributes["classlabels_ints"] = Ints{4, 7};
  const auto outputs =
      m.b.node("LinearClassifier", {m.scaler(m.x)}, attributes, {"label", "scores"}, "ai.onnx.ml");
  m.b.output(outputs[0]);
  EXPECT_TRUE(expect_fold(m.model(outputs[1]), {{"LinearClassifier", 1}}).complete());
}

TEST(FoldMl, NoMapOfScoresGoesIntoAClassifier) {
  MlNet m;  // the classes follow from the scores
  Attributes attributes = m.linear("NONE");
  attributes["classlabels_ints"] = Ints{4, 7};
  const auto outputs = m.b.node("LinearClassifier", {m.x}, attributes, {"label", "scores"}, "ai.onnx.ml");
  m.b.output(outputs[0]);
  expect_untouched(m.model(m.b.op("Mul", {outputs[1], row({2, -3})})), Decline::activation_between);
}

TEST(FoldMl, ACoefficientKeepsRoomForSums) {
  MlNet m;
  const ValueId y = m.regressor(m.b.op("Mul", {m.x, row({1e36F, 1, 1})}));
  expect_untouched(m.model(y), Decline::overflow);
}

}  // namespace
}  // namespace bnrun
