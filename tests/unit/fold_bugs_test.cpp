// What went wrong in other folders of BatchNormalization, one test each, named after the mistake; the
// reference is the report of it. Numbers are worked by hand.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "support/fold_testing.h"
#include "support/random_graph.h"

namespace bnrun::testing {
namespace {

using Floats = std::vector<float>;
using Ints = std::vector<std::int64_t>;

Tensor row(const Floats& values) {
  return {Shape{static_cast<std::int64_t>(values.size())}, values};
}
Tensor weights() {
  return {Shape{2, 2}, Floats{1, 2, 3, 4}};
}

/// Input 1 or 2 of the one operator of this name.
std::vector<double> constant_of(const Model& model, std::string_view op_type, std::size_t input) {
  const Graph& graph = model.graph();
  for (const NodeId id : graph.live_nodes()) {
    if (graph.node(id).op_type != op_type) continue;
    return read_doubles(graph.value(graph.node(id).inputs.at(input)).constant);
  }
  return {};
}

Model folded(Model model, const FoldOptions& options = {}) {
  fold(model, options);
  return model;
}

/// x[N,2], and BatchNormalization that is s = {1, -2}, t = {-0.5, 4.25} exactly.
struct Layer {
  GraphBuilder b{13};
  ValueId x = b.input("x", DType::float32, {"N", 2});

  std::vector<NodeInput> parameters(ValueId data) {
    return {data, row({2, -1}), row({0.5F, 0.25F}), row({1, 2}), row({4, 0.25F})};
  }
  ValueId batch_normalization(ValueId data) {
    return b.op("BatchNormalization", parameters(data), {{"epsilon", 0.0F}});
  }
  ValueId gemm(Attributes attributes = {}) {
    return b.op("Gemm", {x, weights(), row({10, 20})}, std::move(attributes), "h");
  }
};

/// Declines for this reason, and the outputs keep their bits.
void expect_untouched(const Model& original, Decline reason, const FoldOptions& options = {}) {
  expect_declined(original, reason, options);
  const Model after = folded(original, options);
  const auto inputs = random_inputs(original.graph(), 3, 5);
  const std::vector<TensorView> views(inputs.begin(), inputs.end());
  const auto expected = interpret(original.graph(), views);
  const auto actual = interpret(after.graph(), views);
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(identical(expected[i], actual[i])) << "output " << i;
}

// ---------------------------------------------------------------- structure

// executorch#20601: the second reader of a convolution's result saw folded numbers.
TEST(FoldBugs, TheSecondReaderOfAnIntermediateSawFoldedNumbers) {
  Layer m;
  const ValueId h = m.gemm();
  m.b.output(m.b.op("Add", {m.batch_normalization(h), h}));
  expect_untouched(m.b.model(), Decline::intermediate_used_elsewhere);
}

TEST(FoldBugs, OneReaderThatReadsTwiceCountedAsOne) {
  Layer m;
  const ValueId scaled = m.b.op("Mul", {m.gemm(), row({2, -1})});
  m.b.output(m.b.op("Add", {scaled, scaled}));
  expect_fold(m.b.model(), {{"Gemm", 1}, {"Add", 1}});
  Layer forward;
  const ValueId y = forward.b.op("Mul", {forward.b.op("Relu", {forward.x}), row({2, -1})});
  forward.b.output(forward.b.op("MatMul", {y, weights()}));
  forward.b.output(forward.b.op("Relu", {y}));
  expect_untouched(forward.b.model(), Decline::intermediate_used_elsewhere);
}

// onnxruntime#4110: an intermediate that is an output of the graph changed.
TEST(FoldBugs, AnIntermediateThatIsAnOutputChanged) {
  Layer m;
  const ValueId h = m.gemm();
  m.b.output(h);
  m.b.output(m.batch_normalization(h));
  expect_untouched(m.b.model(), Decline::intermediate_is_output);
}

/// y = relu or -h as the input `condition` says; the branches read h by its name.
Model with_branches_that_read(Graph graph, ValueId h) {
  const auto branch = [&](const char* op_type) {
    Graph body;
    body.opsets = graph.opsets;
    Node node;
    node.op_type = op_type;
    node.inputs = {body.add_captured(graph.value(h).name)};
    node.outputs = {body.add_value(std::string("inner_") + op_type)};
    body.add_output(node.outputs[0]);
    body.add_node(std::move(node));
    return std::shared_ptr<const Graph>(std::make_shared<Graph>(body));
  };
  Node chooses;
  chooses.op_type = "If";
  chooses.attributes = {{"then_branch", branch("Relu")}, {"else_branch", branch("Neg")}};
  chooses.inputs = {graph.add_input("condition", {DType::boolean, Dims{}})};
  chooses.captures = {h};
  chooses.outputs = {graph.add_value("chosen")};
  graph.add_output(chooses.outputs[0]);
  graph.add_node(std::move(chooses));
  graph.check();
  return Model(graph);
}

TEST(FoldBugs, AnIntermediateThatASubgraphReadsVanished) {
  Layer both;
  const ValueId h = both.gemm();
  both.b.output(both.batch_normalization(h));
  expect_untouched(with_branches_that_read(both.b.graph(), h), Decline::intermediate_used_elsewhere);
  Layer only;
  const ValueId y = only.batch_normalization(only.b.op("Relu", {only.x}));
  expect_untouched(with_branches_that_read(only.b.graph(), y), Decline::intermediate_is_output);
  Layer identity;  // whose reader would not notice that the name is gone
  const ValueId same = identity.b.op("Identity", {identity.x});
  Model model = with_branches_that_read(identity.b.graph(), same);
  EXPECT_EQ(fold(model).rewrites, 0U);
}

// opencv#28689: BatchNormalization was folded across an activation.
TEST(FoldBugs, FoldedAcrossAnActivation) {
  for (const char* op_type : {"Relu", "Tanh", "Sigmoid"}) {
    Layer m;
    m.b.output(m.batch_normalization(m.b.op(op_type, {m.gemm()})));
    expect_untouched(m.b.model(), Decline::activation_between);
  }
}

TEST(FoldBugs, AShiftWentThroughRelu) {
  Layer m;
  m.b.output(m.b.op("Tanh", {m.b.op("Add", {m.b.op("Relu", {m.gemm()}), row({1, 2})})}));
  Model model = m.b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldBugs, AZeroScaleWentThroughRelu) {  // 0 * relu(inf) is not relu(0 * inf)
  Layer m;
  m.b.output(m.b.op("Tanh", {m.b.op("Mul", {m.b.op("Relu", {m.gemm()}), row({2, 0})})}));
  expect_untouched(m.b.model(), Decline::activation_between);
}

// optimizer#174: a new initializer took the name of another value.
TEST(FoldBugs, ANewNameCollidedWithAnother) {
  Layer m;
  const ValueId W = m.b.constant(weights(), "W");
  const ValueId c = m.b.constant(row({10, 20}), "c");
  const ValueId y = m.batch_normalization(m.b.op("Gemm", {m.x, W, c}));
  for (const char* name : {"W_folded", "c_folded", "W_folded_1", "Gemm_0_bias", "Gemm_0_input_2"})
    m.b.output(m.b.op("Relu", {m.x}, {}, name));
  m.b.output(y);
  expect_fold(m.b.model(), {{"Gemm", 1}, {"Relu", 5}});
  Layer unnamed;
  const ValueId product = unnamed.b.op("MatMul", {unnamed.b.op("Relu", {unnamed.x}), weights()});
  const ValueId other = unnamed.b.op("Neg", {unnamed.x}, {}, "MatMul_1_bias");
  unnamed.b.output(unnamed.batch_normalization(product));
  unnamed.b.output(unnamed.b.op("Tanh", {other}));
  expect_fold(unnamed.b.model(), {{"Gemm", 1}, {"Neg", 1}, {"Relu", 1}, {"Tanh", 1}}, 2e-6);
}

// ---------------------------------------------------------------- BatchNormalization itself

// ONNX Runtime reads neither flag.
TEST(FoldBugs, TrainingModeWasIgnored) {
  Layer m;
  m.b = GraphBuilder(14);
  m.x = m.b.input("x", DType::float32, {"N", 2});
  m.b.output(m.b.op("BatchNormalization", m.parameters(m.gemm()), {{"training_mode", 1}}));
  expect_untouched(m.b.model(), Decline::training_mode);
}

TEST(FoldBugs, IsTestWasIgnored) {
  for (const bool is_test : {false, true}) {
    Layer m;
    m.b = GraphBuilder(6);
    m.x = m.b.input("x", DType::float32, {"N", 2});
    const ValueId h = m.gemm({{"broadcast", 1}});
    m.b.output(m.b.op("BatchNormalization", m.parameters(h), {{"is_test", is_test ? 1 : 0}}));
    if (is_test)
      expect_fold(m.b.model(), {{"Gemm", 1}});
    else
      expect_declined(m.b.model(), Decline::training_mode);
  }
}

TEST(FoldBugs, BatchStatisticsOfOpset9WereTakenForRunningOnes) {
  Layer m;
  m.b = GraphBuilder(9);
  m.x = m.b.input("x", DType::float32, {"N", 2});
  const auto outputs =
      m.b.node("BatchNormalization", m.parameters(m.gemm()), {}, {"y", "m", "v", "sm", "sv"});
  m.b.output(outputs[0]);
  m.b.output(outputs[1]);
  expect_declined(m.b.model(), Decline::training_mode);
}

// onnxruntime#2216: the other outputs of a folded BatchNormalization had readers.
TEST(FoldBugs, TheOtherOutputsHadReaders) {
  Layer m;
  m.b = GraphBuilder(14);
  m.x = m.b.input("x", DType::float32, {"N", 2});
  const auto outputs =
      m.b.node("BatchNormalization", m.parameters(m.gemm()), {}, {"y", "mean_out", "var_out"});
  m.b.output(outputs[0]);
  m.b.output(outputs[1]);
  expect_declined(m.b.model(), Decline::extra_outputs_used);
}

// onnxruntime#32143: a parameter that the caller supplies was taken for a constant.
TEST(FoldBugs, AParameterThatIsAnInputWasTakenForAConstant) {
  for (std::size_t i = 1; i <= 4; ++i) {
    for (const bool overridable : {false, true}) {
      Layer m;
      auto inputs = m.parameters(m.gemm());
      inputs[i] = overridable ? m.b.constant(row({1, 2}), "p", true) : m.b.input("p", DType::float32, {2});
      m.b.output(m.b.op("BatchNormalization", inputs));
      expect_declined(m.b.model(), Decline::not_constant);
    }
  }
}

TEST(FoldBugs, ABiasThatIsAnInputWasTakenForAConstant) {
  Layer m;
  const ValueId bias = m.b.input("bias", DType::float32, {2});
  m.b.output(m.batch_normalization(m.b.op("Gemm", {m.x, weights(), bias})));
  expect_untouched(m.b.model(), Decline::not_constant);
  GraphBuilder b;
  const ValueId image = b.input("x", DType::float32, {"N", 2, 3, 3});
  const ValueId B = b.input("B", DType::float32, {2});
  const ValueId h = b.op("Conv", {image, random_tensor({2, 2, 1, 1}, 1), B});
  b.output(b.op("Mul", {h, Tensor({2, 1, 1}, Floats{2, 3})}));
  expect_untouched(b.model(), Decline::not_constant);
}

// onnx/models#156: spatial = 0 has one mean and variance per position.
TEST(FoldBugs, SpatialZeroWasReadAsPerChannel) {
  GraphBuilder b(7);
  const ValueId x = b.input("x", DType::float32, {"N", 2, 1, 2});
  const ValueId h = b.op("Conv", {x, random_tensor({2, 2, 1, 1}, 1)});
  std::vector<NodeInput> inputs{h};
  for (const double low : {-1.0, -1.0, -1.0, 0.5}) inputs.emplace_back(random_tensor({2, 1, 2}, 2, low, 2.0));
  b.output(b.op("BatchNormalization", inputs, {{"spatial", 0}}));
  expect_declined(b.model(), Decline::spatial);
  GraphBuilder same(7);  // the number of positions equals that of channels by accident
  const ValueId image = same.input("x", DType::float32, {"N", 2, 1, 1});
  const ValueId c = same.op("Conv", {image, random_tensor({2, 2, 1, 1}, 1)});
  same.output(same.op("BatchNormalization", {c, row({2, 3}), row({1, 2}), row({1, 2}), row({1, 2})},
                      {{"spatial", 0}}));
  expect_untouched(same.model(), Decline::spatial);
}

TEST(FoldBugs, AVarianceThatIsNotPositiveGaveInfiniteWeights) {
  for (const float variance : {0.0F, -1e-3F, -4.0F}) {
    Layer m;
    auto inputs = m.parameters(m.gemm());
    inputs[4] = row({1, variance});
    m.b.output(m.b.op("BatchNormalization", inputs, {{"epsilon", 0.0F}}));
    expect_declined(m.b.model(), Decline::bad_variance);
  }
  Layer m;  // epsilon is there for this
  auto inputs = m.parameters(m.gemm());
  inputs[4] = row({1, 0});
  m.b.output(m.b.op("BatchNormalization", inputs, {{"epsilon", 0.25F}}));
  expect_fold(m.b.model(), {{"Gemm", 1}});
}

TEST(FoldBugs, EpsilonWasForgotten) {
  Layer m;  // var + epsilon = 4 and 9: s = 2/2 and -1/3, t = 0.5 - 1*s and 0.25 - 2*s
  auto inputs = m.parameters(m.gemm());
  inputs[4] = row({3.5F, 8.5F});
  m.b.output(m.b.op("BatchNormalization", inputs, {{"epsilon", 0.5F}}));
  const auto W = constant_of(folded(m.b.model()), "Gemm", 1);
  ASSERT_EQ(W.size(), 4U);
  EXPECT_EQ(W[0], 1.0);
  EXPECT_EQ(W[1], static_cast<double>(static_cast<float>(-2.0 / 3.0)));
}

TEST(FoldBugs, NegativeAndZeroGammaWereRefused) {
  Layer m;
  auto inputs = m.parameters(m.gemm());
  inputs[1] = row({-2, 0});
  m.b.output(m.b.op("BatchNormalization", inputs, {{"epsilon", 0.0F}}));
  const Model model = folded(m.b.model());  // s = {-1, 0}, t = {0.5 + 1, 0.25}
  EXPECT_EQ(constant_of(model, "Gemm", 1), (std::vector<double>{-1, 0, -3, 0}));
  EXPECT_EQ(constant_of(model, "Gemm", 2), (std::vector<double>{-8.5, 0.25}));
}

// ---------------------------------------------------------------- arithmetic

// ncnn#1339 and three others: a bias that was there already stayed unscaled.
TEST(FoldBugs, AnExistingBiasWasNotScaled) {
  Layer m;
  m.b.output(m.batch_normalization(m.gemm()));
  const Model model = folded(m.b.model());
  EXPECT_EQ(constant_of(model, "Gemm", 1), (std::vector<double>{1, -4, 3, -8}));
  EXPECT_EQ(constant_of(model, "Gemm", 2), (std::vector<double>{9.5, -35.75}));
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 1, 2, 2});
  const ValueId h = b.op("Conv", {x, Tensor({2, 1, 1, 1}, Floats{1, 2}), row({10, 20})});
  b.output(b.op("BatchNormalization", {h, row({2, -1}), row({0.5F, 0.25F}), row({1, 2}), row({4, 0.25F})},
                {{"epsilon", 0.0F}}));
  const Model conv = folded(b.model());
  EXPECT_EQ(constant_of(conv, "Conv", 1), (std::vector<double>{1, -4}));
  EXPECT_EQ(constant_of(conv, "Conv", 2), (std::vector<double>{9.5, -35.75}));
}

TEST(FoldBugs, AShiftInFrontWasNotMultipliedByTheWeights) {
  Layer m;  // a = s*x + t: W' = {1*1, 1*2; -2*3, -2*4}, b' = {10 - 0.5*1 + 4.25*3, 20 - 0.5*2 + 4.25*4}
  const ValueId a = m.batch_normalization(m.b.op("Relu", {m.x}));
  m.b.output(m.b.op("Gemm", {a, weights(), row({10, 20})}));
  const Model model = folded(m.b.model());
  EXPECT_EQ(constant_of(model, "Gemm", 1), (std::vector<double>{1, 2, -6, -8}));
  EXPECT_EQ(constant_of(model, "Gemm", 2), (std::vector<double>{22.25, 36}));
}

// onnxscript#3027, OnnxSlim: alpha and beta were dropped.
TEST(FoldBugs, AlphaAndBetaWereIgnored) {
  Layer m;  // W' = 0.5*W*s, b' = 2*b*s + t
  m.b.output(m.batch_normalization(m.gemm({{"alpha", 0.5F}, {"beta", 2.0F}})));
  const Model model = folded(m.b.model());
  EXPECT_EQ(constant_of(model, "Gemm", 1), (std::vector<double>{0.5, -2, 1.5, -4}));
  EXPECT_EQ(constant_of(model, "Gemm", 2), (std::vector<double>{19.5, -75.75}));
  expect_fold(m.b.model(), {{"Gemm", 1}});
}

TEST(FoldBugs, AlphaScaledAShiftInFrontTwice) {
  Layer m;  // b' = 10 + 0.5*(-0.5*1 + 4.25*3), 20 + 0.5*(-0.5*2 + 4.25*4)
  const ValueId a = m.batch_normalization(m.b.op("Relu", {m.x}));
  m.b.output(m.b.op("Gemm", {a, weights(), row({10, 20})}, {{"alpha", 0.5F}}));
  EXPECT_EQ(constant_of(folded(m.b.model()), "Gemm", 2), (std::vector<double>{16.125, 28}));
}

// Wrong in four systems.
TEST(FoldBugs, OperandsOfSubAndDivWereSwapped) {
  const auto bias_of = [](const char* op_type, bool constant_first) {
    Layer m;
    const ValueId h = m.gemm();
    const ValueId c = m.b.constant(row({4, 2}));
    m.b.output(constant_first ? m.b.op(op_type, {c, h}) : m.b.op(op_type, {h, c}));
    return folded(m.b.model());
  };
  EXPECT_EQ(constant_of(bias_of("Sub", false), "Gemm", 2), (std::vector<double>{6, 18}));
  EXPECT_EQ(constant_of(bias_of("Sub", true), "Gemm", 2), (std::vector<double>{-6, -18}));
  EXPECT_EQ(constant_of(bias_of("Sub", true), "Gemm", 1), (std::vector<double>{-1, -2, -3, -4}));
  EXPECT_EQ(constant_of(bias_of("Div", false), "Gemm", 2), (std::vector<double>{2.5, 10}));
  EXPECT_EQ(constant_of(bias_of("Div", false), "Gemm", 1), (std::vector<double>{0.25, 1, 0.75, 2}));
  EXPECT_EQ(constant_of(bias_of("Div", true), "Gemm", 2), (std::vector<double>{10, 20}))
      << "c / x is not affine";
}

TEST(FoldBugs, RowsOfAFullBiasWereTakenForOne) {
  for (const Shape& shape : {Shape{3, 2}, Shape{3, 1}, Shape{1, 2}, Shape{1, 1}, Shape{1}}) {
    GraphBuilder each;
    const ValueId data = each.input("x", DType::float32, {3, 2});
    const ValueId h = each.op("Gemm", {data, weights(), random_tensor(shape, 3)});
    each.output(each.op("Mul", {h, row({2, -3})}));
    expect_fold(each.model(), {{"Gemm", 1}});
  }
}

TEST(FoldBugs, WeightsOfATransposedGemmWereScaledAlongTheWrongAxis) {
  Layer m;  // W[n,k] = {1, 2; 3, 4}: row n takes s[n]
  m.b.output(m.b.op("Mul", {m.b.op("Gemm", {m.x, weights(), row({1, 1})}, {{"transB", 1}}), row({2, -1})}));
  EXPECT_EQ(constant_of(folded(m.b.model()), "Gemm", 1), (std::vector<double>{2, 4, -3, -4}));
}

TEST(FoldBugs, AMapOnTheRowsOfATransposedOperandWasTakenForOneOnItsColumns) {
  GraphBuilder b;  // A[2,2] transposed: axis 1 of A counts rows of the result
  const ValueId x = b.op("Relu", {b.input("x", DType::float32, {2, 2})});
  b.output(b.op("Gemm", {b.op("Mul", {x, row({2, -1})}), weights(), row({1, 1})}, {{"transA", 1}}));
  expect_untouched(b.model(), Decline::axis_unproven);
}

TEST(FoldBugs, TheDataOnTheRightOfAProductWasTakenForTheLeft) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {2, 2});
  b.output(b.op("MatMul", {weights(), b.op("Mul", {b.op("Relu", {x}), row({2, -1})})}));
  expect_untouched(b.model(), Decline::activation_between);
}

// ---------------------------------------------------------------- axes and shapes

// onnxruntime#22512, pytorch#118990: equal extents were taken for the same axis.
TEST(FoldBugs, AnAxisWasGuessedFromItsExtent) {
  const auto image = [](const Shape& constant, bool in_front) {
    GraphBuilder b;
    ValueId x = b.op("Relu", {b.input("x", DType::float32, {"N", 3, 3, 3})});
    const Tensor c = random_tensor(constant, 3);
    if (in_front) x = b.op("Mul", {x, c});
    x = b.op("Conv", {x, random_tensor({3, 3, 1, 1}, 1)});
    if (!in_front) x = b.op("Mul", {x, c});
    b.output(b.op("Relu", {x}));
    return b.model();
  };
  for (const bool in_front : {false, true}) {
    for (const Shape& wrong : {Shape{3}, Shape{3, 1}, Shape{1, 3}})
      expect_untouched(image(wrong, in_front), Decline::axis_unproven);
    Model along_two_axes = image({3, 3, 1}, in_front);
    EXPECT_EQ(fold(along_two_axes).rewrites, 0U);
    for (const Shape& right : {Shape{3, 1, 1}, Shape{1, 3, 1, 1}, Shape{}, Shape{1, 1}})
      expect_fold(image(right, in_front), {{"Conv", 1}, {"Relu", 2}});
  }
}

TEST(FoldBugs, AxisOneOfASequenceWasTakenForTheFeaturesOfAMatMul) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2, 2});
  const ValueId h = b.op("MatMul", {x, weights()});
  b.output(b.op("BatchNormalization", {h, row({2, -1}), row({1, 2}), row({1, 2}), row({1, 2})}));
  expect_untouched(b.model(), Decline::axis_unproven);
}

TEST(FoldBugs, AConstantPerRowWasTakenForOnePerChannel) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {2, 2});
  b.output(b.op("Mul", {b.op("Gemm", {x, weights(), row({1, 2})}), Tensor({2, 1}, Floats{2, 3})}));
  expect_untouched(b.model(), Decline::axis_unproven);
}

TEST(FoldBugs, AnUnknownChannelCountWasTakenForTheConstants) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", "?"});
  b.output(b.op("MatMul", {b.op("Mul", {x, row({2, 3})}), weights()}));  // x may be [N,1]
  Model model = b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

// tensorflow#124103, openvino#25876: the map stretches its input, the folded layer does not.
TEST(FoldBugs, AMapThatStretchesItsInputWasFolded) {
  for (const Shape& shape : {Shape{3}, Shape{1, 1, 1}, Shape{4, 1, 1}}) {
    GraphBuilder b;
    const ValueId x = b.input("x", DType::float32, {"N", 2});
    const ValueId h = b.op("Gemm", {x, Tensor({2, 1}, Floats{1, 2}), row({3})});
    b.output(b.op("Mul", {h, random_tensor(shape, 1)}));
    Model model = b.model();
    EXPECT_EQ(fold(model).rewrites, 0U) << to_string(shape);
    GraphBuilder sum;
    const ValueId a = sum.input("x", DType::float32, {"N", 2});
    sum.output(sum.op("Add", {sum.op("MatMul", {a, Tensor({2, 1}, Floats{1, 2})}), random_tensor(shape, 1)}));
    Model joined = sum.model();
    EXPECT_EQ(fold(joined).rewrites, 0U) << to_string(shape);
  }
}

// ---------------------------------------------------------------- numbers

// coreai-torch#54: folded half-precision weights became infinite.
TEST(FoldBugs, FoldedWeightsOverflowedHalfPrecision) {
  const auto model = [](DType dtype) {
    GraphBuilder b;
    const ValueId x = b.input("x", dtype, {"N", 2});
    const auto stored = [&](const Tensor& tensor) { return convert(tensor, dtype); };
    const ValueId h = b.op("Gemm", {x, stored(Tensor({2, 2}, Floats{6e4F, 1, 1, 1})), stored(row({1, 1}))});
    b.output(b.op("Mul", {h, stored(row({2, 1}))}));
    return b.model();
  };
  expect_untouched(model(DType::float16), Decline::overflow);
  expect_fold(model(DType::float32), {{"Gemm", 1}});
}

TEST(FoldBugs, AnOverflowHalfWayLeftAHalfFoldedModel) {
  Layer m;  // only the bias overflows
  m.b.output(m.b.op("Mul", {m.b.op("Gemm", {m.x, weights(), row({3e38F, 1})}), row({10, 1})}));
  const Model original = m.b.model();
  expect_declined(original, Decline::overflow);
  EXPECT_EQ(listing(folded(original).graph()), listing(original.graph()));
}

TEST(FoldBugs, TypesWereMixed) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  const ValueId h = b.op("Gemm", {x, weights(), row({1, 2})});
  const ValueId half = b.op("Cast", {h}, {{"to", static_cast<std::int64_t>(DType::float16)}});
  b.output(b.op("Mul", {half, convert(row({2, 3}), DType::float16)}));
  expect_untouched(b.model(), Decline::type_mismatch);
  GraphBuilder integers;
  const Tensor numbers({2, 2}, std::vector<std::int32_t>{1, 2, 3, 4});
  const ValueId n = integers.op("MatMul", {integers.input("x", DType::int32, {"N", 2}), numbers});
  integers.output(integers.op("Mul", {n, Tensor({2}, std::vector<std::int32_t>{2, 3})}));
  Model model = integers.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldBugs, TheGrowthLimitIsALimit) {
  // In front of a layer, t = 297 makes the error (3 + 297)/3 = 100 times as large.
  Layer m;
  const ValueId shifted = m.b.op("Add", {m.b.op("Relu", {m.x}), row({297, 0})});
  m.b.output(m.b.op("Gemm", {m.b.op("Mul", {shifted, row({1, 2})}), weights(), row({1, 2})}));
  expect_untouched(m.b.model(), Decline::ill_conditioned, {.max_growth = 99.0});
  expect_fold(m.b.model(), {{"Gemm", 1}, {"Relu", 1}}, 1e-4, {.max_growth = 101.0});
}

// ---------------------------------------------------------------- the file

TEST(FoldBugs, TheFileLostWhatTheFoldDoesNotConcern) {
  Layer m;
  m.b.output(m.batch_normalization(m.gemm()));
  Model original = m.b.model();
  original.metadata().producer_name = "a trainer";
  original.metadata().producer_version = "1.2";
  original.metadata().doc_string = "about it";
  original.metadata().properties = {{"author", "somebody"}, {"classes", "a,b"}};
  const auto file =
      std::filesystem::temp_directory_path() / ("fold_bugs_" + std::to_string(::getpid()) + ".onnx");
  original.save(file);
  // Field 1000 of a later version of ONNX, a number: tag 1000 * 8 + 0 and 42 as varints.
  const std::string unknown = "\xC0\x3E\x2A";
  std::ofstream(file, std::ios::app | std::ios::binary) << unknown;
  Model model = Model::load(file);
  fold(model);
  model.save(file);
  const Model again = Model::load(file);
  EXPECT_EQ(again.metadata().producer_name, "a trainer");
  EXPECT_EQ(again.metadata().producer_version, "1.2");
  EXPECT_EQ(again.metadata().doc_string, "about it");
  EXPECT_EQ(again.metadata().properties, original.metadata().properties);
  EXPECT_EQ(again.metadata().ir_version, original.metadata().ir_version);
  EXPECT_EQ(again.graph().opset(""), 13);
  EXPECT_EQ(again.inputs().at(0).name, "x");
  EXPECT_EQ(constant_of(again, "Gemm", 2), (std::vector<double>{9.5, -35.75}));
  std::ifstream stream(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_NE(bytes.find(unknown), std::string::npos);
  std::filesystem::remove(file);
}

// ---------------------------------------------------------------- simplifications

TEST(FoldBugs, ADropoutWhoseMaskIsReadWasRemoved) {
  GraphBuilder b;
  const auto outputs = b.node("Dropout", {b.input("x", DType::float32, {"N", 2})}, {}, {"y", "mask"});
  b.output(b.op("Relu", {outputs[0]}));
  b.output(outputs[1]);
  Model model = b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldBugs, ADropoutThatTrainsWasRemoved) {
  GraphBuilder b;
  const Tensor yes({}, std::vector<bool>{true});
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  b.output(b.op("Relu", {b.op("Dropout", {x, Tensor({}, Floats{0.5F}), yes})}));
  b.output(
      b.op("Relu", {b.op("Dropout", {x, Tensor({}, Floats{0.5F}), b.input("mode", DType::boolean, {})})}));
  Model model = b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldBugs, TransposesThatDoNotCancelWereRemoved) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {2, 2, 2});
  const Attributes turn{{"perm", Ints{1, 2, 0}}};
  b.output(b.op("Relu", {b.op("Transpose", {b.op("Transpose", {x}, turn)}, turn)}));
  Model model = b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
  GraphBuilder reshaped;  // the right number of elements, other dimensions
  const ValueId image = reshaped.input("x", DType::float32, {"N", 2, 3});
  const ValueId flat = reshaped.op("Flatten", {image});
  reshaped.output(reshaped.op("Relu", {reshaped.op("Reshape", {flat, Tensor({3}, Ints{-1, 3, 2})})}));
  Model other = reshaped.model();
  EXPECT_EQ(fold(other).rewrites, 0U);
}

TEST(FoldBugs, ARearrangementThatIsReadElsewhereWasRemoved) {
  GraphBuilder b;
  const ValueId turned =
      b.op("Transpose", {b.input("x", DType::float32, {"N", 2, 2})}, {{"perm", Ints{0, 2, 1}}});
  b.output(b.op("Relu", {b.op("Transpose", {turned}, {{"perm", Ints{0, 2, 1}}})}));
  b.output(b.op("Tanh", {turned}));
  expect_fold(b.model(), {{"Relu", 1}, {"Tanh", 1}, {"Transpose", 2}});
}

TEST(FoldBugs, AnIdentityBetweenTwoOutputsLostOneOfThem) {
  GraphBuilder b;
  const ValueId h = b.op("Relu", {b.input("x", DType::float32, {"N", 2})}, {}, "h");
  b.output(h);
  b.output(b.op("Identity", {h}, {}, "y"));
  expect_fold(b.model(), {{"Identity", 1}, {"Relu", 1}});
}

TEST(FoldBugs, RulesThatAreSwitchedOffStillRan) {
  GraphBuilder b;
  const ValueId x = b.op("Identity", {b.input("x", DType::float32, {"N", 2, 2})});
  const Attributes turn{{"perm", Ints{0, 2, 1}}};
  b.output(b.op("Relu", {b.op("Transpose", {b.op("Transpose", {x}, turn)}, turn)}));
  expect_fold(b.model(), {{"Relu", 1}});
  expect_fold(b.model(), {{"Identity", 1}, {"Relu", 1}}, 2e-6, {.keep = {"identity"}});
  expect_fold(b.model(), {{"Relu", 1}, {"Transpose", 2}}, 2e-6, {.keep = {"rearrange"}});
}

}  // namespace
}  // namespace bnrun::testing
