// What went wrong in other folders of BatchNormalization, one test each, named after the mistake; the
// reference is the report of it. Here: what may change and what must stay.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "api/model_access.h"
#include "support/fold_layer.h"

namespace bnrun::testing {
namespace {

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
  return make_model(graph);
}

TEST(FoldBugs, AnIntermediateThatASubgraphReadsVanished) {
  Layer both;
  const ValueId h = both.gemm();
  both.b.output(both.batch_normalization(h));
  expect_untouched(with_branches_that_read(both.b.graph(), h), Decline::intermediate_is_output);
  Layer only;
  const ValueId y = only.batch_normalization(only.b.op("Relu", {only.x}));
  expect_untouched(with_branches_that_read(only.b.graph(), y), Decline::intermediate_is_output);
  Layer identity;  // whose reader would not notice that the name is gone
  const ValueId same = identity.b.op("Identity", {identity.x});
  Model model = with_branches_that_read(identity.b.graph(), same);
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldBugs, AValueThatAllLayersReadAndTheCallerTooVanished) {
  Layer m;
  const ValueId a = m.batch_normalization(m.b.op("Sigmoid", {m.x}));
  m.b.output(m.b.op("MatMul", {a, weights()}));
  m.b.output(m.b.op("Gemm", {a, weights(), row({1, 2})}));
  expect_fold(m.b.model(), {{"Gemm", 2}, {"Sigmoid", 1}});
  m.b.output(a);
  expect_untouched(m.b.model(), Decline::intermediate_is_output);
}

TEST(FoldBugs, OneReaderOfSeveralCouldNotTakeTheMap) {
  Layer m;
  const ValueId a = m.batch_normalization(m.b.op("Relu", {m.x}));
  for (int i = 0; i < 2; ++i) m.b.output(m.b.op("Gemm", {a, weights(), row({1, 2})}));
  m.b.output(m.b.op("Sigmoid", {a}));
  expect_untouched(m.b.model(), Decline::intermediate_used_elsewhere);
}

TEST(FoldBugs, ANodeThatWasToStayWentIntoAllItsReaders) {
  Layer m;
  const ValueId a = m.batch_normalization(m.b.op("Sigmoid", {m.x}));
  for (int i = 0; i < 2; ++i) m.b.output(m.b.op("Gemm", {a, weights(), row({1, 2})}));
  expect_fold(m.b.model(), {{"Gemm", 2}, {"Sigmoid", 1}});
  expect_untouched(m.b.model(), Decline::switched_off, {.skip = {"BatchNormalization_*"}});
}

TEST(FoldBugs,
     OneOperatorBecameTwo) {  // a shift behind each MatMul of rank 3 in place of one BatchNormalization
  GraphBuilder b;
  const ValueId x = b.op("Relu", {b.input("x", DType::float32, {"N", 3, 2})});
  const ValueId a = b.op("Add", {b.op("Mul", {x, row({2, -1})}), row({1, 2})});
  for (int i = 0; i < 3; ++i) b.output(b.op("MatMul", {a, weights()}));
  expect_fold(b.model(), {{"Relu", 1}, {"Sub", 1}, {"MatMul", 3}});  // the shift stays, once
}

TEST(FoldBugs, ANodeThatWasToStayWentWithItsNeighbour) {
  Layer m;  // the maps stand on both sides of an operator that both may pass
  const ValueId scaled = m.b.op("Mul", {m.gemm(), row({2, 3})});
  const ValueId wide = m.b.op("Unsqueeze", {scaled, Tensor({1}, Ints{2})});
  m.b.output(m.batch_normalization(wide));
  Model model = m.b.model();
  EXPECT_EQ(fold(model, {.skip = {"Mul_*"}}).rewrites, 0U);
  expect_fold(m.b.model(), {{"Gemm", 1}, {"Unsqueeze", 1}});
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
  EXPECT_EQ(graph_of(again).opset(""), 13);
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

// Operators that do nothing were taken for maps: shared weights were copied, biases added, denormals flushed.
TEST(FoldBugs, WhatDoesNothingWasFoldedIntoLayers) {
  Layer m;
  const ValueId V = m.b.constant(weights(), "V");
  for (int i = 0; i < 2; ++i) m.b.output(m.b.op("MatMul", {m.b.op("Dropout", {m.b.op("Relu", {m.x})}), V}));
  const Model original = m.b.model();
  expect_fold(original, {{"Relu", 2}, {"MatMul", 2}});
  Model after = original;
  EXPECT_EQ(fold(after).after.parameters, 4);
}

// A BatchNormalization that another one took along was reported with the other's numbers.
TEST(FoldBugs, WhatWasTakenAlongHadAnothersNumbers) {
  GraphBuilder b;
  const ValueId x = b.op("Relu", {b.input("x", DType::float32, {"N", 2, 1, 2})});
  const ValueId a = b.op("BatchNormalization", {x, row({2, 3}), row({1, 2}), row({0, 0}), row({1, 1})});
  const Tensor ones({4}, Floats{1, 1, 1, 1});
  const Tensor zeros({4}, Floats{0, 0, 0, 0});
  const ValueId h =
      b.op("BatchNormalization", {b.op("Flatten", {a}), Tensor({4}, Floats{9, 1, 1, 1}), ones, zeros, ones});
  b.output(b.op("Gemm", {h, random_tensor<float>({4, 3}, 5)}));
  const auto report = expect_fold(b.model(), {{"Relu", 1}, {"Flatten", 1}, {"Gemm", 1}}, 1e-5);
  ASSERT_EQ(report.entries.size(), 2U);
  for (const FoldEntry& entry : report.entries) {
    const bool first = entry.name == "BatchNormalization_1";
    EXPECT_EQ(entry.channels, first ? 2U : 4U);
    EXPECT_NEAR(entry.max_scale, first ? 3.0 : 9.0, 1e-3);
  }
}

// Of two maps around one layer each was given the reason of the other.
TEST(FoldBugs, AReasonWentToTheWrongOneOfTwo) {
  Layer m;
  const ValueId a = m.b.op("Add", {m.b.op("Mul", {m.b.op("Relu", {m.x}), row({2, 3})}), row({90, 90})});
  const ValueId h = m.b.op("Gemm", {a, Tensor({2, 2}, Floats{1e20F, 1, 1, 1})});
  m.b.output(m.b.op("Tanh", {m.b.op("Mul", {h, row({1e20F, 2})}, {}, "behind")}));
  Model model = m.b.model();
  const auto report = fold(model, {.max_growth = 10});
  ASSERT_EQ(report.entries.size(), 2U);
  EXPECT_TRUE(report.entries[0].folded);
  EXPECT_EQ(report.entries[1].reason, Decline::overflow);
}

TEST(FoldBugs, AMapThatWouldOnlyChangeItsOperatorHadTheWrongReason) {
  GraphBuilder b;
  const ValueId h = b.op("MatMul", {b.input("x", DType::float32, {"N", 3, 2}), weights()});
  const ValueId y = b.op("Transpose", {h}, {{"perm", Ints{0, 2, 1}}});
  b.output(b.op("Relu", {b.op("BatchNormalization", {y, row({1, 1}), row({1, 2}), row({0, 0}), row({1, 1})},
                              {{"epsilon", 0.0F}})}));
  Model model = b.model();
  const auto report = fold(model);
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_FALSE(report.entries[0].folded);
  EXPECT_NE(report.entries[0].detail.find("as many operators as it saves"), std::string::npos);
}

// The channels of a BatchNormalization were unknown where those of its data are.
TEST(FoldBugs, ChannelsThatDoNotFitTheLayerWereADefectOfOurs) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", "K"});
  const ValueId y =
      b.op("BatchNormalization", {x, row({1, 2, 3}), row({1, 2, 3}), row({1, 2, 3}), row({1, 2, 3})});
  b.output(b.op("Gemm", {y, random_tensor<float>({4, 2}, 3)}));
  Model model = b.model();
  try {
    fold(model);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_model);
  }
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

// With "constants" kept, an operator on constants stays in the graph and looks like one on data.
TEST(FoldBugs, AnOperatorOnConstantsWasTakenForTheEndOfAWay) {
  const FoldOptions options{.without = {"constants", "identity"}};
  const auto model = [](const char* on_constant, Attributes attributes) {
    Layer m;
    const ValueId shift = m.b.op(on_constant, {Tensor({1, 2}, Floats{1, 2})}, std::move(attributes));
    const ValueId sum = m.b.op("Add", {m.b.op("MatMul", {m.x, weights()}), shift});
    m.b.output(m.b.op("Mul", {sum, row({2, -1})}));
    return m.b.model();
  };
  expect_declined(model("Neg", {}), Decline::activation_between, options);
  expect_declined(model("Cast", {{"to", static_cast<std::int64_t>(DType::float32)}}), Decline::type_mismatch,
                  options);
  Layer m;
  const ValueId constant = m.batch_normalization(m.b.constant(weights()));
  m.b.output(m.b.op("Gemm", {m.x, constant, row({10, 20})}));
  expect_declined(m.b.model(), Decline::no_linear_neighbour, options);
}

TEST(FoldBugs, RulesThatAreSwitchedOffStillRan) {
  GraphBuilder b;
  const ValueId x = b.op("Identity", {b.input("x", DType::float32, {"N", 2, 2})});
  const Attributes turn{{"perm", Ints{0, 2, 1}}};
  b.output(b.op("Relu", {b.op("Transpose", {b.op("Transpose", {x}, turn)}, turn)}));
  expect_fold(b.model(), {{"Relu", 1}});
  expect_fold(b.model(), {{"Identity", 1}, {"Relu", 1}}, 2e-6, {.without = {"identity"}});
  expect_fold(b.model(), {{"Relu", 1}, {"Transpose", 2}}, 2e-6, {.without = {"rearrange"}});
}

// ---- what a file claims

TEST(FoldBugs, AConditionLongerThanItsAxisWasReadBeyondTheMap) {
  for (const bool forward : {false, true}) {
    Layer m;
    const Tensor condition({4}, std::vector<bool>{true, true, true, true});
    const auto compress = [&](ValueId h) {
      return m.b.op("Compress", {h, condition}, {{"axis", std::int64_t{1}}});
    };
    const ValueId scales = m.b.constant(row({2, 3}));
    m.b.output(forward ? m.b.op("Gemm", {compress(m.b.op("Mul", {m.x, scales})), weights(), row({10, 20})})
                       : m.b.op("Mul", {compress(m.gemm()), m.b.constant(row({2, 3, 4, 5}))}));
    Model model = m.b.model();
    EXPECT_EQ(fold(model).after.operators.at("Mul"), 1U) << forward;
  }
}

TEST(FoldBugs, AMapOfNaNIsNoMap) {
  Layer m;
  const ValueId h = m.gemm();
  const ValueId twice =
      m.b.op("Gather", {h, Tensor({2}, std::vector<std::int64_t>{0, 0})}, {{"axis", std::int64_t{1}}});
  m.b.output(m.b.op("Mul", {twice, row({NAN, NAN})}));
  m.b.output(m.b.op("Gather", {h, Tensor({1}, std::vector<std::int64_t>{1})}, {{"axis", std::int64_t{1}}}));
  Model model = m.b.model();
  EXPECT_EQ(fold(model).after.operators.at("Mul"), 1U);
}

TEST(FoldBugs, AsManyChannelsAsAFileClaimsWereCounted) {
  Layer m;
  const Tensor repeats({2}, std::vector<std::int64_t>{1, std::int64_t{1} << 40});
  m.b.output(m.b.op("Tile", {m.b.op("Mul", {m.gemm(), row({2, 3})}), repeats}));
  Model model = m.b.model();
  EXPECT_TRUE(fold(model).complete()) << "the map stands right behind the layer";
  Layer other;
  other.b.output(other.b.op("Mul", {other.b.op("Tile", {other.gemm(), repeats}), row({2})}));
  Model tiled = other.b.model();
  EXPECT_TRUE(fold(tiled).complete()) << "one map for all channels";
}

TEST(FoldBugs, ANameThatLooksLeftOverKeptABatchNormalization) {
  Layer m;
  m.b.name = "bn_centre";
  m.b.output(m.batch_normalization(m.gemm()));
  Model model = m.b.model();
  EXPECT_TRUE(fold(model).complete());
}

}  // namespace
}  // namespace bnrun::testing
