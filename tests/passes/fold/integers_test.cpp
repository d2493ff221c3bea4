// Folding into weights that a model holds as integers, and into the steps of QuantizeLinear: structure, numbers
// against double precision, and the integers themselves.
#include <gtest/gtest.h>

#include <functional>

#include "api/model_access.h"
#include "bnrun/verify.h"
#include "graph/node_query.h"
#include "support/fold_layer.h"
#include "support/fold_testing.h"

namespace bnrun {
namespace {

using namespace testing;

constexpr std::int64_t kColumns = 4;

struct QuantisedNet : Maker {
  ValueId x = b.input("x", DType::float32, {"N", kColumns});
  ValueId image = b.input("image", DType::float32, {"N", kColumns, 5, 6});
  ValueId words = b.input("words", DType::float32, {"N", 3, kColumns});

  Tensor integers(const Shape& shape) { return convert(random({shape}, -100.0, 100.0), DType::int8); }
  /// With one scale and zero point, or with one for each index of an axis.
  ValueId unpacked(const Tensor& q, int axis = -1, double low = 0.01, double high = 0.05) {
    if (axis < 0)
      return b.op("DequantizeLinear", {q, random({}, low, high), convert(random({}, 3, 9), q.dtype())});
    const Shape many{q.shape()[static_cast<std::size_t>(axis)]};
    return b.op("DequantizeLinear", {q, random(many, low, high), convert(random(many, 3, 9), q.dtype())},
                {{"axis", std::int64_t{axis}}});
  }
  ValueId weights(const Shape& shape, int axis = -1) { return unpacked(integers(shape), axis); }
  ValueId bias(std::int64_t count) {
    return unpacked(convert(random({count}, -1000.0, 1000.0), DType::int32), -1, 1e-3, 2e-3);
  }
  ValueId behind(ValueId h) {
    return b.op("BatchNormalization", {h, random({kColumns}, 0.5, 2.0), random({kColumns}),
                                       random({kColumns}), random({kColumns}, 0.5, 2.0)});
  }
  ValueId quantised(ValueId data) {
    const Tensor scale({}, Floats{0.03125F});
    const Tensor zero({}, std::vector<std::int8_t>{3});
    return b.op("DequantizeLinear", {b.op("QuantizeLinear", {data, scale, zero}), scale, zero});
  }
  void end(ValueId y) { b.output(b.op("Tanh", {y})); }
};

/// How many steps the weights of layers lie from zero, in order.
std::vector<std::vector<double>> steps_in(Graph graph) {
  infer_types(graph);
  std::vector<std::vector<double>> found;
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    if (node.op == nullptr || !node.op->linear() || node.inputs.size() < 2 ||
        !is_packed(graph, node.inputs[1]))
      continue;
    ValueId value = node.inputs[1];
    while (graph.value(value).producer.valid()) value = graph.node(graph.value(value).producer).inputs[0];
    const Tensor& q = graph.value(value).constant;
    EXPECT_EQ(q.dtype(), DType::int8);
    const Node& unpacking = graph.node(graph.value(value).users.front());
    const auto axis = unpacking.attributes.find("axis");
    found.push_back(read_doubles(q.view()));
    const auto zeros = read_doubles(graph.value(unpacking.inputs[2]).constant.view());
    const auto from = static_cast<std::size_t>(
                          axis != unpacking.attributes.end() ? std::get<std::int64_t>(axis->second) : 0) +
                      1;
    const auto inner = static_cast<std::size_t>(q.shape().elements(from, q.shape().rank()));
    for (std::size_t i = 0; i < found.back().size(); ++i)
      found.back()[i] = std::abs(found.back()[i] - zeros[i / inner % zeros.size()]);
  }
  return found;
}

struct IntegerCase {
  const char* name;
  std::function<void(QuantisedNet&)> build;
  Operators left;
  bool complete = true;
};

class FoldIntegers : public ::testing::TestWithParam<IntegerCase> {};

TEST_P(FoldIntegers, TakeTheirMapAndStay) {
  QuantisedNet m;
  GetParam().build(m);
  const Model model = m.b.model();
  const FoldReport report = expect_fold(model, GetParam().left, 4e-6);
  EXPECT_EQ(report.complete(), GetParam().complete);
  Model after = model;
  fold(after);
  const auto before = steps_in(graph_of(model));
  const auto kept = steps_in(graph_of(after));
  ASSERT_EQ(kept.size(), before.size());
  for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i], before[i]) << i;
}

/// A session computes with floating-point weights: there everything folds that folds into those.
TEST_P(FoldIntegers, BecomeFloatingPointToBeRun) {
  QuantisedNet m;
  GetParam().build(m);
  Model model = m.b.model();
  EXPECT_TRUE(fold(model, {.keep_integers = false}).complete());
  EXPECT_TRUE(steps_in(graph_of(model)).empty());
}

/// As many as a model has reason to have stay between the integers and their layer; of more, the rest are constants.
TEST(FoldIntegers, OfWeightsMovedHoweverOftenAreFolded) {
  for (const int moves : {2, 8, 9, 40}) {
    QuantisedNet m;
    ValueId w = m.weights({kColumns, kColumns});
    for (int i = 0; i < moves; ++i) w = m.b.op("Transpose", {w});
    m.end(m.behind(m.b.op("MatMul", {m.x, w})));
    Model model = m.b.model();
    const Model before = model;
    const FoldReport report = fold(model);
    EXPECT_TRUE(report.complete()) << moves;
    EXPECT_EQ(steps_in(graph_of(model)).size(), moves <= 8 ? 1U : 0U) << moves;
    EXPECT_TRUE(verify(before, model).agree()) << moves;
  }
}

const Attributes kSame{{"pads", Ints{1, 1, 1, 1}}};
const Attributes kTransposed{{"transB", std::int64_t{1}}};
const Attributes kGroups{{"group", std::int64_t{2}}};
const Attributes kDepthwise{{"group", std::int64_t{4}}};

const IntegerCase kIntegerCases[] = {
    {"ConvOfOneScale",
     [](QuantisedNet& m) {
       m.end(m.behind(m.b.op("Conv", {m.image, m.weights({4, 4, 3, 3}), m.bias(4)}, kSame)));
     },
     {{"DequantizeLinear", 1}, {"Conv", 1}, {"Tanh", 1}}},
    {"ConvOfOneScaleForEachOutput",
     [](QuantisedNet& m) {
       m.end(m.behind(m.b.op("Conv", {m.image, m.weights({4, 4, 3, 3}, 0)}, kSame)));
     },
     {{"DequantizeLinear", 1}, {"Conv", 1}, {"Tanh", 1}}},
    {"ConvBehindAScaler",
     [](QuantisedNet& m) {
       m.end(m.b.op("Conv", {m.b.op("Mul", {m.image, m.random({kColumns, 1, 1})}), m.weights({4, 4, 3, 3})}));
     },
     {{"DequantizeLinear", 1}, {"Conv", 1}, {"Tanh", 1}}},
    {"ConvBehindOneScaleForAll",
     [](QuantisedNet& m) {
       const ValueId scaled = m.b.op("Div", {m.image, Tensor({}, Floats{255})});
       m.end(m.b.op("Conv", {scaled, m.weights({4, 4, 3, 3}, 0), m.bias(4)}));
     },
     {{"DequantizeLinear", 2}, {"Conv", 1}, {"Tanh", 1}}},
    {"ConvOfGroups",
     [](QuantisedNet& m) {
       m.end(m.behind(m.b.op("Conv", {m.image, m.weights({4, 2, 3, 3}, 0)}, kGroups)));
     },
     {{"DequantizeLinear", 1}, {"Conv", 1}, {"Tanh", 1}}},
    {"ConvOfSingleChannelsBetweenBoth",
     [](QuantisedNet& m) {
       const ValueId scaled = m.b.op("Mul", {m.image, m.random({kColumns, 1, 1})});
       m.end(m.behind(m.b.op("Conv", {scaled, m.weights({4, 1, 3, 3}, 0)}, kDepthwise)));
     },
     {{"DequantizeLinear", 1}, {"Conv", 1}, {"Tanh", 1}}},
    {"ConvTranspose",
     [](QuantisedNet& m) {
       m.end(m.behind(m.b.op("ConvTranspose", {m.image, m.weights({4, 4, 3, 3}, 1), m.bias(4)})));
     },
     {{"DequantizeLinear", 1}, {"ConvTranspose", 1}, {"Tanh", 1}}},
    {"Gemm",
     [](QuantisedNet& m) {
       m.end(m.behind(m.b.op("Gemm", {m.x, m.weights({4, 4}, 1), m.bias(4)})));
     },
     {{"DequantizeLinear", 1}, {"Gemm", 1}, {"Tanh", 1}}},
    {"GemmTransposed",
     [](QuantisedNet& m) {
       m.end(m.behind(m.b.op("Gemm", {m.x, m.weights({4, 4}, 0)}, kTransposed)));
     },
     {{"DequantizeLinear", 1}, {"Gemm", 1}, {"Tanh", 1}}},
    {"MatMul",
     [](QuantisedNet& m) {
       m.end(m.b.op("Mul", {m.b.op("MatMul", {m.words, m.weights({4, 4}, 1)}), m.random({kColumns})}));
     },
     {{"DequantizeLinear", 1}, {"MatMul", 1}, {"Tanh", 1}}},
    {"MatMulOfATranspose",
     [](QuantisedNet& m) {
       const ValueId W = m.b.op("Transpose", {m.weights({4, 4}, 0)}, {{"perm", Ints{1, 0}}});
       m.end(m.b.op("Mul", {m.b.op("MatMul", {m.words, W}), m.random({kColumns})}));
     },
     {{"DequantizeLinear", 1}, {"Transpose", 1}, {"MatMul", 1}, {"Tanh", 1}}},
    {"AMatrixOfAReshapeBecomesAGemm",
     [](QuantisedNet& m) {
       const ValueId W = m.b.op("Reshape", {m.weights({2, 2, 4}, 2), Tensor({2}, Ints{4, 4})});
       m.end(m.behind(m.b.op("Add", {m.b.op("MatMul", {m.x, W}), m.bias(4)})));
     },
     {{"DequantizeLinear", 1}, {"Reshape", 1}, {"Gemm", 1}, {"Tanh", 1}}},
    {"Einsum",
     [](QuantisedNet& m) {
       const Attributes equation{{"equation", std::string("bsk,kn->bsn")}};
       m.end(m.b.op("Mul",
                    {m.b.op("Einsum", {m.words, m.weights({4, 4}, 1)}, equation), m.random({kColumns})}));
     },
     {{"DequantizeLinear", 1}, {"Einsum", 1}, {"Tanh", 1}}},
    {"WeightsOfTwoLayersPartWhereOneFolds",
     [](QuantisedNet& m) {
       const ValueId W = m.weights({4, 4}, 1);
       const ValueId h = m.b.op("Sigmoid", {m.behind(m.b.op("Gemm", {m.x, W}))});
       m.end(m.b.op("Gemm", {h, W}));
     },
     {{"DequantizeLinear", 2}, {"Gemm", 2}, {"Sigmoid", 1}, {"Tanh", 1}}},
    {"OneOfBothSides",
     [](QuantisedNet& m) {
       const ValueId scaled = m.b.op("Mul", {m.x, m.random({kColumns})});
       m.end(m.behind(m.b.op("Gemm", {scaled, m.weights({4, 4})})));
     },
     {{"Mul", 1}, {"DequantizeLinear", 1}, {"Gemm", 1}, {"Tanh", 1}},
     false},
    {"NotAcrossTheAxisOfTheirScales",
     [](QuantisedNet& m) {
       m.end(m.b.op("Gemm", {m.b.op("Mul", {m.x, m.random({kColumns})}), m.weights({4, 4}, 1)}));
     },
     {{"Mul", 1}, {"DequantizeLinear", 1}, {"Gemm", 1}, {"Tanh", 1}},
     false},
    {"AShiftInFrontGoesIntoTheBiasAlone",
     [](QuantisedNet& m) {
       m.end(m.b.op("Gemm",
                    {m.b.op("Neg", {m.b.op("Add", {m.x, m.random({kColumns})})}), m.weights({4, 4}, 1)}));
     },
     {{"DequantizeLinear", 1}, {"Gemm", 1}, {"Tanh", 1}}},
};

INSTANTIATE_TEST_SUITE_P(All, FoldIntegers, ::testing::ValuesIn(kIntegerCases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(FoldIntegersGuard, NamesTheAxisThatStopsAScaler) {
  QuantisedNet m;
  m.end(m.b.op("Gemm", {m.b.op("Mul", {m.x, m.random({kColumns})}), m.weights({4, 4}, 1)}));
  Model model = m.b.model();
  const FoldReport report = fold(model);
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_EQ(report.entries[0].reason, Decline::axis_unproven);
  EXPECT_NE(report.entries[0].detail.find("of its integer weights, node 'DequantizeLinear"),
            std::string::npos)
      << report.entries[0].detail;
}

TEST(FoldIntegersGuard, LosesNoLayerToAScaleThatWouldBeDenormal) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  const Tensor q({2, 2}, std::vector<std::int8_t>{-128, 7, 127, 1});
  const ValueId W = b.op("DequantizeLinear", {q, Tensor({}, std::vector{2e-38F})});
  b.output(b.op("Mul", {b.op("Gemm", {x, W, row({10, 20})}), Tensor({}, std::vector{0.25F})}));
  Model model = b.model();
  const FoldReport report = fold(model);
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_EQ(report.entries[0].reason, Decline::overflow);
  EXPECT_EQ(constant_of(model, "DequantizeLinear", 1), (std::vector<double>{2e-38F}));
}

/// Scales and maps whose products are exact give the very weights of the original.
TEST(FoldIntegersGuard, RoundsNothingThatIsExact) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  const Tensor q({2, 2}, std::vector<std::int8_t>{-128, 7, 127, 1});
  const ValueId W =
      b.op("DequantizeLinear", {q, row({0.5F, 0.375F}), Tensor({2}, std::vector<std::int8_t>{0, 1})},
           {{"axis", std::int64_t{1}}});
  b.output(b.op("Mul", {b.op("Gemm", {x, W, row({10, 20})}), row({-2, 0.25F})}));
  const Model after = folded(b.model());
  EXPECT_EQ(constant_of(after, "DequantizeLinear", 0), (std::vector<double>{-128, 7, 127, 1}));
  EXPECT_EQ(constant_of(after, "DequantizeLinear", 1), (std::vector<double>{-1, 0.09375}));
  EXPECT_EQ(constant_of(after, "DequantizeLinear", 2), (std::vector<double>{0, 1}));
  EXPECT_EQ(constant_of(after, "Gemm", 2), (std::vector<double>{-20, 5}));
}

/// Engines that compute with integers divide by scales, or take them to be above 0.
TEST(FoldIntegersGuard, LeaveTheirScalesAboveZeroWhereTheyCanHoldTheSign) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  const Tensor q({2, 3}, std::vector<std::int8_t>{-128, 7, 127, 1, -5, 3});
  const Tensor zero({3}, std::vector<std::int8_t>{0, 1, 3});
  const ValueId W = b.op("DequantizeLinear", {q, row({0.5F, 0.5F, 0.5F}), zero}, {{"axis", std::int64_t{1}}});
  b.output(b.op("Mul", {b.op("Gemm", {x, W, row({1, 2, 3})}), row({-2, -3, 0})}));
  const Model after = folded(b.model());
  EXPECT_EQ(constant_of(after, "DequantizeLinear", 0), (std::vector<double>{-128, -5, 3, 1, 7, 3}));
  EXPECT_EQ(constant_of(after, "DequantizeLinear", 1), (std::vector<double>{-1, 1.5, 0.5}));
  expect_fold(b.model(), {{"DequantizeLinear", 1}, {"Gemm", 1}});
}

/// Who is no layer reads floating-point numbers, as parameters of a BatchNormalization say; and a graph without a fold
/// keeps its integers.
TEST(FoldIntegersGuard, ComputesWhatNoLayerReads) {
  QuantisedNet m;
  const ValueId scale = m.unpacked(m.integers({kColumns}));
  m.end(m.b.op("Mul", {m.b.op("Gemm", {m.x, m.random({4, 4})}), scale}));
  expect_fold(m.b.model(), {{"Gemm", 1}, {"Tanh", 1}}, 4e-6);
  QuantisedNet idle;
  const ValueId W = idle.weights({4, 4});
  idle.end(idle.b.op("Gemm", {idle.x, W, idle.bias(4)}));
  expect_fold(idle.b.model(), {{"DequantizeLinear", 2}, {"Gemm", 1}, {"Tanh", 1}});
  QuantisedNet output;
  const ValueId shown = output.weights({4, 4});
  output.b.output(output.b.op("Gemm", {output.x, shown}));
  output.b.output(shown);
  EXPECT_TRUE(steps_in(graph_of(folded(output.b.model()))).empty());
}

// ---------------------------------------------------------------- QuantizeLinear

struct StepCase {
  const char* name;
  std::function<ValueId(QuantisedNet&)> scaled;
  Operators left;
};

class FoldSteps : public ::testing::TestWithParam<StepCase> {};

/// An integer may be the next one where rounding decides: so no elements are compared, but the largest step.
TEST_P(FoldSteps, TakeTheScale) {
  QuantisedNet m;
  m.b.output(m.quantised(GetParam().scaled(m)));
  const Model model = m.b.model();
  const FoldReport report = expect_fold(model, GetParam().left, 0.03126);
  EXPECT_EQ(report.complete(),
            !GetParam().left.contains("Mul") && !GetParam().left.contains("BatchNormalization"));
}

const StepCase kStepCases[] = {
    {"OfOneForAll",
     [](QuantisedNet& m) {
       return m.b.op("Div", {m.image, Tensor({}, Floats{4})});
     },
     {{"QuantizeLinear", 1}, {"DequantizeLinear", 1}}},
    {"OfOneForEachChannel",
     [](QuantisedNet& m) {
       return m.b.op("Mul", {m.image, m.random({kColumns, 1, 1}, 0.5, 2.0)});
     },
     {{"QuantizeLinear", 1}, {"DequantizeLinear", 1}}},
    {"ThroughAnActivation",
     [](QuantisedNet& m) {
       return m.b.op("Relu", {m.b.op("Mul", {m.image, m.random({kColumns, 1, 1}, 0.5, 2.0)})});
     },
     {{"Relu", 1}, {"QuantizeLinear", 1}, {"DequantizeLinear", 1}}},
    {"AndLeaveTheShift",
     [](QuantisedNet& m) { return m.behind(m.image); },
     {{"Sub", 1}, {"QuantizeLinear", 1}, {"DequantizeLinear", 1}}},
    {"ButNoNegativeOne",
     [](QuantisedNet& m) {
       return m.b.op("Mul", {m.image, Tensor({}, Floats{-4})});
     },
     {{"Mul", 1}, {"QuantizeLinear", 1}, {"DequantizeLinear", 1}}},
    {"ButNotZero",
     [](QuantisedNet& m) {
       return m.b.op("Mul", {m.image, Tensor({}, Floats{0})});
     },
     {{"Mul", 1}, {"QuantizeLinear", 1}, {"DequantizeLinear", 1}}},
};

INSTANTIATE_TEST_SUITE_P(All, FoldSteps, ::testing::ValuesIn(kStepCases),
                         [](const auto& row) { return std::string(row.param.name); });

/// A power of two moves no tie: the integers are the same, and so are all that follows.
TEST(FoldSteps, KeepEveryIntegerWhereTheQuotientIsExact) {
  QuantisedNet m;
  m.b.output(m.quantised(m.b.op("Mul", {m.image, Tensor({}, Floats{0.25F})})));
  expect_fold(m.b.model(), {{"QuantizeLinear", 1}, {"DequantizeLinear", 1}}, 0.0);
}

}  // namespace
}  // namespace bnrun
