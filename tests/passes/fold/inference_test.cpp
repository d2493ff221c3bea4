// --as-inference: what computes as in training is converted, and only then.
#include <gtest/gtest.h>

#include "api/model_access.h"
#include "support/fold_layer.h"

namespace bnrun::testing {
namespace {

const FoldOptions kAsInference{.as_inference = true};

Attributes gemm_attributes(std::int64_t opset) {
  return opset < 7 ? Attributes{{"broadcast", std::int64_t{1}}} : Attributes{};
}

struct TrainingCase {
  std::int64_t opset;
  Attributes attributes;
  std::vector<std::string> outputs;
  std::string name() const { return "opset " + std::to_string(opset); }
};

const std::vector<TrainingCase> kTraining = {
    {1, {}, {"y"}},
    {1, {{"is_test", std::int64_t{0}}}, {"y", "m", "v", "sm", "sv"}},
    {6, {}, {"y", "m", "v", "sm", "sv"}},
    {7, {}, {"y", "m", "v", "sm", "sv"}},
    {9, {}, {"y", "m", "v", "sm", "sv"}},
    {14, {{"training_mode", std::int64_t{1}}}, {"y"}},
    {14, {{"training_mode", std::int64_t{1}}}, {"y", "m", "v"}},
    {15, {{"training_mode", std::int64_t{1}}}, {"y", "m", "v"}},
};

/// Gemm -> BatchNormalization in training mode; `used` of its outputs are outputs of the graph.
Model training_model(const TrainingCase& c, std::size_t used) {
  Layer m;
  m.b = GraphBuilder(c.opset);
  m.x = m.b.input("x", DType::float32, {"N", 2});
  Attributes attributes = c.attributes;
  attributes["epsilon"] = 0.0F;
  const auto outputs =
      m.b.node("BatchNormalization", m.parameters(m.gemm(gemm_attributes(c.opset))), attributes, c.outputs);
  for (std::size_t i = 0; i < used; ++i) m.b.output(outputs[i]);
  return m.b.model();
}

TEST(AsInference, BatchNormalizationAtEveryOpset) {
  for (const TrainingCase& c : kTraining) {
    SCOPED_TRACE(c.name());
    const Model original = training_model(c, 1);
    expect_declined(original, Decline::training_mode);
    Model model = original;
    const FoldReport report = fold(model, kAsInference);
    EXPECT_EQ(report.after.operators, (Operators{{"Gemm", 1}}));
    ASSERT_EQ(report.converted.size(), 1U);
    EXPECT_EQ(report.converted[0].op_type, "BatchNormalization");
    EXPECT_TRUE(report.complete());
    // s = {1, -2}, t = {-0.5, 4.25}: the running statistics of Layer, not those of a batch
    EXPECT_EQ(constant_of(model, "Gemm", 1), (std::vector<double>{1, -4, 3, -8}));
    EXPECT_EQ(constant_of(model, "Gemm", 2), (std::vector<double>{9.5, -35.75}));
  }
}

TEST(AsInference, TheConvertedModelIsWhatTheFoldedOneIsHeldTo) {
  for (const TrainingCase& c : kTraining) {
    SCOPED_TRACE(c.name());
    Model reference = training_model(c, 1);
    EXPECT_EQ(convert_to_inference(reference).size(), 1U);
    EXPECT_EQ(count(reference).operators, (Operators{{"Gemm", 1}, {"BatchNormalization", 1}}));
    expect_fold(reference, {{"Gemm", 1}});
    EXPECT_TRUE(convert_to_inference(reference).empty()) << "there is nothing left to convert";
  }
}

TEST(AsInference, BatchStatisticsThatAreReadKeepItAsItIs) {
  for (const TrainingCase& c : kTraining) {
    if (c.outputs.size() == 1) continue;
    SCOPED_TRACE(c.name());
    const Model original = training_model(c, c.outputs.size());
    expect_untouched(original, Decline::extra_outputs_used, kAsInference);
    Model copy = original;
    EXPECT_TRUE(convert_to_inference(copy).empty());
  }
}

TEST(AsInference, OneThatIsAtInferenceIsLeftAlone) {
  Layer m;
  m.b.output(m.batch_normalization(m.b.op("Dropout", {m.gemm()})));
  Model model = m.b.model();
  const FoldReport report = fold(model, kAsInference);
  EXPECT_TRUE(report.converted.empty());
  EXPECT_EQ(report.after.operators, (Operators{{"Gemm", 1}}));
}

struct DropoutCase {
  std::int64_t opset;
  bool mode_hidden = false;
};

TEST(AsInference, DropoutAtEveryOpset) {
  for (const auto& [opset, hidden] : std::vector<DropoutCase>{{1}, {6}, {12}, {13}, {13, true}, {22}}) {
    SCOPED_TRACE("opset " + std::to_string(opset));
    Layer m;
    m.b = GraphBuilder(opset);
    m.x = m.b.input("x", DType::float32, {"N", 2});
    std::vector<NodeInput> inputs{m.gemm(gemm_attributes(opset))};
    if (opset >= 12) {
      const Tensor mode = convert(Tensor(Shape{}, Floats{1}), DType::boolean);
      inputs.insert(inputs.end(), {Tensor(Shape{}, Floats{0.5F}), mode});
      if (hidden) inputs[2] = m.b.op("Not", {m.b.op("Not", {mode})});
    }
    m.b.output(m.b.op("Relu", {m.b.node("Dropout", inputs, {}, {"y", "mask"})[0]}));
    Model untouched = m.b.model();
    fold(untouched);
    EXPECT_EQ(count(untouched).operators.count("Dropout"), 1U);
    Model model = m.b.model();
    const FoldReport report = fold(model, kAsInference);
    EXPECT_EQ(report.after.operators, (Operators{{"Gemm", 1}, {"Relu", 1}}));
    ASSERT_EQ(report.converted.size(), 1U);
    EXPECT_EQ(report.converted[0].op_type, "Dropout");
    // x = {1, 2}: {1 + 6, 2 + 8} + {10, 20}
    const Tensor x(Shape{1, 2}, Floats{1, 2});
    EXPECT_EQ(read_doubles(interpret(graph_of(model), std::vector<TensorView>{x})[0]),
              (std::vector<double>{17, 30}));
  }
}

TEST(AsInference, DropoutWhoseMaskIsReadOrWhoseModeIsAnInputStays) {
  for (const bool mask : {true, false}) {
    GraphBuilder b(13);
    const ValueId x = b.input("x", DType::float32, {"N", 2});
    const ValueId given = b.input("training", DType::boolean, {});
    const Tensor on = convert(Tensor(Shape{}, Floats{1}), DType::boolean);
    const auto mode = mask ? NodeInput(on) : NodeInput(given);
    const auto outputs = b.node("Dropout", {x, Tensor(Shape{}, Floats{0.5F}), mode}, {}, {"y", "mask"});
    b.output(b.op("Relu", {outputs[0]}));
    if (mask) b.output(outputs[1]);
    Model model = b.model();
    EXPECT_TRUE(fold(model, kAsInference).converted.empty());
    EXPECT_EQ(count(model).operators.count("Dropout"), 1U);
  }
}

}  // namespace
}  // namespace bnrun::testing
