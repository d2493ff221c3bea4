// What cannot be folded: chains without a linear operator become short, and of a map that would harm the
// numbers a Sub stays in the channels where it would.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "api/model_access.h"
#include "base/elements.h"
#include "bnrun/inspect.h"
#include "passes/widen.h"
#include "support/fold_layer.h"
#include "support/fold_testing.h"
#include "verify/interpret.h"

namespace bnrun {
namespace {

using namespace testing;

struct Chains : Layer {
  explicit Chains(std::int64_t opset = 13) {
    b = GraphBuilder(opset), x = b.input("x", DType::float32, {"N", 2});
  }
  ValueId scaled(ValueId data, const Floats& by) { return b.op("Mul", {data, row(by)}); }
  ValueId shifted(ValueId data, const Floats& by) { return b.op("Add", {data, row(by)}); }
  Model model(ValueId y) {
    b.output(b.op("Tanh", {y}));
    return b.model();
  }
};

TEST(FoldRest, TwoBatchNormalizationsBecomeOne) {
  Chains m;
  const ValueId first = m.batch_normalization(m.b.op("Relu", {m.x}));
  const Model model = m.model(m.batch_normalization(first));
  const auto report = expect_fold(model, {{"Relu", 1}, {"BatchNormalization", 1}, {"Tanh", 1}});
  ASSERT_EQ(report.entries.size(), 2U);
  EXPECT_TRUE(report.entries[0].folded);
  EXPECT_EQ(report.entries[0].name, "BatchNormalization_1");
  EXPECT_EQ(report.entries[0].into, "BatchNormalization 'BatchNormalization_2'");
  EXPECT_FALSE(report.entries[1].folded);
  EXPECT_EQ(report.entries[1].name, "BatchNormalization_2");
  EXPECT_FALSE(report.complete());
  // s = {1, -2}, t = {-0.5, 4.25} applied twice; the second shift is large, so that the mean holds it: 4*(x - 17/16)
  EXPECT_EQ(constant_of(folded(model), "BatchNormalization", 1), (std::vector<double>{1, 4}));
  EXPECT_EQ(constant_of(folded(model), "BatchNormalization", 2), (std::vector<double>{-1, 0}));
  EXPECT_EQ(constant_of(folded(model), "BatchNormalization", 3), (std::vector<double>{0, 1.0625}));
}

/// A shift that is large against normalised data would be rounded to float32 where it cancels the data.
TEST(FoldRest, TwoBatchNormalizationsOfALargeMeanLoseNoDigits) {
  Chains m;
  const Tensor near(Shape{2}, Floats{30.3F, -27.7F});
  const ValueId x = m.b.op("Add", {m.b.op("Tanh", {m.x}), near});
  const auto around = [&](ValueId data, const Tensor& mean) {
    return m.b.op("BatchNormalization",
                  {data, row({1.1F, 0.9F}), row({0.1F, 0.2F}), mean, row({0.9F, 1.2F})});
  };
  const ValueId y = m.b.op("Relu", {around(around(m.b.op("Relu", {x}), near), row({0.1F, 0.3F}))});
  m.b.output(y);
  const Model model = m.b.model();
  const Model after = folded(model);
  EXPECT_LE(distance_from_truth(model, after, 50), 2 * distance_from_truth(model, model, 50) + 0x1p-24);
}

TEST(FoldRest, ABatchNormalizationTakesItsNeighboursIn) {
  for (const std::int64_t opset : {6, 8, 9, 13, 15}) {
    Chains m(opset);
    const Attributes legacy = opset < 7 ? Attributes{{"broadcast", std::int64_t{1}}} : Attributes{};
    Attributes inference = {{"epsilon", 0.0F}};
    if (opset < 7) inference["is_test"] = std::int64_t{1};
    const ValueId a = m.b.op("Mul", {m.b.op("Relu", {m.x}), row({2, 3})}, legacy);
    const ValueId y = m.b.op("BatchNormalization", m.parameters(a), inference);
    const auto report = expect_fold(m.model(m.b.op("Sub", {y, row({5, 7})}, legacy)),
                                    {{"Relu", 1}, {"BatchNormalization", 1}, {"Tanh", 1}});
    ASSERT_EQ(report.entries.size(), 1U) << "opset " << opset;
    EXPECT_EQ(report.simplifications.size(), 1U);
  }
}

TEST(FoldRest, DisguisesBecomeOneMulAndOneAdd) {
  for (const std::int64_t opset : {6, 13}) {
    for (const bool wide : {false, true}) {
      Chains m(opset);
      Attributes legacy;
      if (opset < 7) legacy = {{"broadcast", std::int64_t{1}}};
      if (opset < 7 && wide) legacy["axis"] = std::int64_t{1};
      ValueId a = m.b.op("Relu", {wide ? m.b.input("image", DType::float32, {"N", 2, 3, 4}) : m.x});
      const Shape shape = wide && opset >= 7 ? Shape{2, 1, 1} : Shape{2};
      int seed = 0;
      for (const char* op_type : {"Sub", "Div", "Mul", "Add"})
        a = m.b.op(op_type, {a, random_tensor<float>(shape, static_cast<std::uint32_t>(++seed), 0.5, 2.0)},
                   legacy);
      expect_fold(m.model(a), {{"Relu", 1}, {"Mul", 1}, {"Add", 1}, {"Tanh", 1}});
    }
  }
}

TEST(FoldRest, ScalesAloneAndShiftsAloneBecomeOneOperator) {
  Chains m;
  expect_fold(m.model(m.scaled(m.scaled(m.b.op("Relu", {m.x}), {2, 3}), {5, 7})),
              {{"Relu", 1}, {"Mul", 1}, {"Tanh", 1}});
  Chains n;
  expect_fold(n.model(n.shifted(n.shifted(n.b.op("Relu", {n.x}), {2, 3}), {5, 7})),
              {{"Relu", 1}, {"Add", 1}, {"Tanh", 1}});
}

TEST(FoldRest, ABatchNormalizationWithoutNameKeepsTheNameOfItsReport) {
  GraphBuilder b;
  const ValueId x = b.op("Relu", {b.input("x", DType::float32, {"N", 2})});
  const ValueId a =
      b.op("BatchNormalization", {x, row({2, -1}), row({1, 2}), row({0, 1}), row({1, 4})}, {}, "a");
  b.output(b.op("Tanh", {b.op("Mul", {a, row({2, 3})})}));
  Graph graph = b.graph();
  Graph unnamed;
  unnamed.opsets = graph.opsets;
  std::map<ValueId, ValueId> copies;
  for (const ValueId id : graph.live_values()) {
    const Value& value = graph.value(id);
    copies[id] = value.is_input             ? unnamed.add_input(value.name, value.type)
                 : value.constant.defined() ? unnamed.add_constant(value.name, value.constant)
                                            : unnamed.add_value(value.name);
  }
  for (const NodeId id : graph.topological_order()) {
    Node node = graph.node(id);
    node.name.clear();
    for (auto* list : {&node.inputs, &node.outputs})
      for (ValueId& value : *list) value = copies.at(value);
    unnamed.add_node(std::move(node));
  }
  unnamed.add_output(copies.at(graph.outputs()[0]));
  const auto report = expect_fold(make_model(unnamed), {{"Relu", 1}, {"BatchNormalization", 1}, {"Tanh", 1}});
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_EQ(report.entries[0].name, "a");
}

TEST(FoldRest, MapsThatUndoEachOtherGo) {
  Chains m;
  expect_fold(m.model(m.scaled(m.scaled(m.b.op("Relu", {m.x}), {2, 4}), {0.5F, 0.25F})),
              {{"Relu", 1}, {"Tanh", 1}});
}

TEST(FoldRest, AChainOfTheShortestFormStays) {
  Chains m;
  expect_untouched(m.model(m.shifted(m.scaled(m.b.op("Relu", {m.x}), {2, 3}), {5, 7})),
                   Decline::no_linear_neighbour);
}

TEST(FoldRest, AChainIsNotShortenedWhereThatWouldCancel) {
  Chains m;  // x - 1e7 is exact near 1e7, 3*x - 3e7 is not
  const ValueId centred = m.b.op("Sub", {m.b.op("Relu", {m.x}), row({1e7F, 1e7F})});
  Model model = m.model(m.scaled(m.scaled(centred, {3, 5}), {7, 9}));
  EXPECT_EQ(fold(model).rewrites, 0U);
}

TEST(FoldRest, ASkippedNodeKeepsItsChain) {
  Chains m;
  const ValueId first = m.batch_normalization(m.b.op("Relu", {m.x}));
  Model model = m.model(m.batch_normalization(first));
  EXPECT_EQ(fold(model, {.skip = {"BatchNormalization_2"}}).rewrites, 0U);
}

/// relu(x)[N,2] -> map -> Gemm -> Tanh, the map of channel 1 being ill-conditioned.
struct HalfIllConditioned : Chains {
  Model with_batch_normalization() {
    const ValueId y = b.op("BatchNormalization",
                           {b.op("Relu", {x}), row({2, 2}), row({0.5F, 3e7F}), row({1, 2}), row({4, 1})},
                           {{"epsilon", 0.0F}});
    return model(b.op("Gemm", {y, weights(), row({10, 20})}));
  }
};

TEST(FoldRest, AnIllConditionedChannelLeavesItsCentring) {
  const Model model = HalfIllConditioned().with_batch_normalization();
  const auto report = expect_fold(model, {{"Relu", 1}, {"Sub", 1}, {"Gemm", 1}, {"Tanh", 1}});
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(report.entries[0].into, "Gemm 'Gemm_2'");
  EXPECT_EQ(report.entries[0].centred_channels, 1U);
  const Model after = folded(model);
  // Channel 0 is x*1 - 0.5; channel 1 is 2*x + (3e7 - 4), of which x - (2 - 1.5e7) stays.
  EXPECT_EQ(constant_of(after, "Sub", 1), (std::vector<double>{0, 2 - 1.5e7}));
  EXPECT_EQ(constant_of(after, "Gemm", 1), (std::vector<double>{1, 2, 6, 8}));
  EXPECT_EQ(constant_of(after, "Gemm", 2), (std::vector<double>{9.5, 19}));
}

TEST(FoldRest, AnIllConditionedChannelOfADisguiseLeavesItsCentring) {
  Chains m;
  const ValueId y = m.shifted(m.scaled(m.b.op("Relu", {m.x}), {2, 4}), {0.5F, 3e7F});
  const Model model = m.model(m.b.op("Gemm", {y, weights(), row({10, 20})}));
  const auto report = expect_fold(model, {{"Relu", 1}, {"Sub", 1}, {"Gemm", 1}, {"Tanh", 1}});
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_TRUE(report.complete());
  const Model after = folded(model);
  EXPECT_EQ(constant_of(after, "Sub", 1), (std::vector<double>{0, -7.5e6}));
  EXPECT_EQ(constant_of(after, "Gemm", 1), (std::vector<double>{2, 4, 12, 16}));
  EXPECT_EQ(constant_of(after, "Gemm", 2), (std::vector<double>{10.5, 21}));
}

TEST(FoldRest, ACentringStaysInFrontOfALayerThatAnotherMapWentInto) {
  HalfIllConditioned m;
  const ValueId y =
      m.b.op("BatchNormalization",
             {m.b.op("Relu", {m.x}), row({2, 2}), row({0.5F, 3e7F}), row({1, 2}), row({4, 1})}, {});
  const ValueId h = m.b.op("Relu", {m.batch_normalization(m.b.op("Gemm", {y, weights(), row({10, 20})}))});
  expect_fold(m.model(h), {{"Relu", 2}, {"Sub", 1}, {"Gemm", 1}, {"Tanh", 1}});
}

TEST(FoldRest, ACentringByLittleStaysWhenTheModelIsFoldedAgain) {
  Chains m;  // mean 1.5, deviation 0.01: any other Sub of 1.5 in front of a layer becomes its bias
  const ValueId centred = m.b.op("Sub", {m.x, row({1.5F, 1.5F})});
  const ValueId y = m.scaled(centred, {100, 100});
  expect_fold(m.model(m.b.op("Gemm", {y, weights(), row({10, 20})})), {{"Sub", 1}, {"Gemm", 1}, {"Tanh", 1}});
  Chains other;
  const ValueId plain = other.b.op("Sub", {other.x, row({1.5F, 1.5F})});
  expect_fold(other.model(other.b.op("Gemm", {plain, weights(), row({10, 20})})), {{"Gemm", 1}, {"Tanh", 1}});
}

TEST(FoldRest, AChannelThatIsConstantDoesNotHoldTheOthers) {
  Chains m;
  const ValueId y = m.b.op("BatchNormalization",
                           {m.b.op("Relu", {m.x}), row({2, 0}), row({0.5F, 100}), row({1, 2}), row({4, 1})},
                           {{"epsilon", 0.0F}});
  expect_fold(m.model(m.b.op("Gemm", {y, weights(), row({10, 20})})),
              {{"Relu", 1}, {"Gemm", 1}, {"Tanh", 1}});
}

TEST(FoldRest, AConstantIsAsItIsStoredWhereAnOperatorJumps) {
  Chains m;  // 0.1f * 10f is 1 as stored and a little more in double
  const ValueId k = m.b.op("Ceil", {m.b.op("Mul", {row({0.1F, 0.1F}), row({10, 10})})});
  const Model model = m.model(m.b.op("Gemm", {m.b.op("Mul", {m.x, k}), weights(), row({10, 20})}));
  EXPECT_TRUE(fold(*std::make_unique<Model>(model)).complete());
  EXPECT_EQ(constant_of(folded(model), "Gemm", 1), (std::vector<double>{1, 2, 3, 4}));
}

TEST(FoldRest, WhatACentringRoundsAwayGoesIntoTheBias) {
  Chains m;  // -1000003/3 as float32 is -333334.34375: 3*(x - c) - 0.03125
  const ValueId y = m.shifted(m.scaled(m.b.op("Relu", {m.x}), {3, 3}), {1000003, 1000003});
  const Model after = folded(m.model(m.b.op("Gemm", {y, weights(), row({10, 20})})));
  EXPECT_EQ(constant_of(after, "Sub", 1), (std::vector<double>{-333334.34375, -333334.34375}));
  EXPECT_EQ(constant_of(after, "Gemm", 2), (std::vector<double>{10 - 0.03125 * 4, 20 - 0.03125 * 6}));
}

TEST(FoldRest, AWeightThatLeavesTheSumsOfItsLayerNoRoomIsDeclined) {
  Chains m;
  expect_untouched(m.model(m.scaled(m.gemm(), {1e35F, 1})), Decline::overflow);
}

TEST(FoldRest, ASkippedNodeLeavesNoCentring) {
  Model model = HalfIllConditioned().with_batch_normalization();
  EXPECT_EQ(fold(model, {.skip = {"BatchNormalization_*"}}).rewrites, 0U);
}

TEST(FoldRest, TwoBatchNormalizationsOfWhichOneChannelIsCentred) {
  Chains m;
  const ValueId first = m.batch_normalization(m.b.op("Relu", {m.x}));
  const ValueId y =
      m.b.op("BatchNormalization", {first, row({2, 1}), row({0.5F, 3e7F}), row({1, 2}), row({4, 1})},
             {{"epsilon", 0.0F}});
  const auto report = expect_fold(m.model(m.b.op("Gemm", {y, weights(), row({10, 20})})),
                                  {{"Relu", 1}, {"Sub", 1}, {"Gemm", 1}, {"Tanh", 1}});
  ASSERT_EQ(report.entries.size(), 2U);
  EXPECT_TRUE(report.complete());
}

/// x[N,K] -> scaler of this mean and deviation -> Gemm: how far the model as it is and as folded lie from
/// what it computes in double, on data that the scaler describes.
struct ScalerErrors {
  double unfolded, folded, largest;
};
template <class T>
ScalerErrors errors_of_scaler(const Model& model, const std::vector<T>& data, std::int64_t K) {
  const Tensor x({static_cast<std::int64_t>(data.size()) / K, K}, data);
  const Tensor wide = convert(x, DType::float64);
  const TensorView narrow_view = x, wide_view = wide;
  const auto truth = read_doubles(interpret(widened(graph_of(model)), {&wide_view, 1}).at(0));
  const auto distance = [&](const Model& other) {
    const auto actual = read_doubles(interpret(graph_of(other), {&narrow_view, 1}).at(0));
    double most = 0;
    for (std::size_t i = 0; i < truth.size(); ++i) most = std::max(most, std::abs(actual[i] - truth[i]));
    return most;
  };
  double largest = 0;
  for (const double y : truth) largest = std::max(largest, std::abs(y));
  return {distance(model), distance(folded(model)), largest};
}

TEST(FoldRest, AFoldedScalerErrsAtMostTwiceAsMuchPlusOneUnit) {
  struct Column {
    double mean, deviation;
  };
  // Also latitudes, northings in metres, seconds since 1970.
  const Column columns[] = {{0, 1},   {1, 1},          {30, 1},      {1e3, 1}, {1e6, 1},
                            {1e9, 1}, {48.137, 0.002}, {5.3e6, 400}, {1e7, 3}, {1.7e9, 86400}};
  std::mt19937 engine(1);
  for (const Column& column : columns) {
    for (const bool divides : {false, true}) {
      SCOPED_TRACE(fmt::format("mean {}, deviation {}, {}", column.mean, column.deviation, divides));
      constexpr std::int64_t K = 24;
      const auto mean = static_cast<float>(column.mean);
      const auto deviation = static_cast<float>(column.deviation);
      GraphBuilder b(13);
      const ValueId x = b.input("x", DType::float32, {"N", K});
      const ValueId centred = b.op("Sub", {x, row(Floats(K, mean))});
      const ValueId y = divides ? b.op("Div", {centred, row(Floats(K, deviation))})
                                : b.op("Mul", {centred, row(Floats(K, 1 / deviation))});
      b.output(b.op("Gemm", {y, random_tensor<float>({K, 8}, 3), random_tensor<float>({8}, 4)}));
      const Model model = b.model();
      std::vector<float> data;
      std::normal_distribution<double> normal(column.mean, column.deviation);
      for (int i = 0; i < 400 * K; ++i) data.push_back(static_cast<float>(normal(engine)));
      const bool far = column.mean / column.deviation > 9;
      Model after = model;
      const auto report = fold(after);
      EXPECT_TRUE(report.complete());
      EXPECT_EQ(report.after.operators.count("Sub"), far ? 1U : 0U);
      EXPECT_EQ(report.after.operators.count("Mul") + report.after.operators.count("Div"), 0U);
      const ScalerErrors errors = errors_of_scaler(model, data, K);
      EXPECT_LE(errors.folded, 2 * errors.unfolded + errors.largest * 0x1p-23);
    }
  }
}

TEST(FoldRest, AnIllConditionedChannelBehindALayerFolds) {
  Chains m;  // behind a layer nothing grows
  const ValueId y =
      m.b.op("BatchNormalization", {m.gemm(), row({2, 1}), row({0.5F, 3e7F}), row({1, 2}), row({4, 1})},
             {{"epsilon", 0.0F}});
  expect_fold(m.model(y), {{"Gemm", 1}, {"Tanh", 1}});
}

TEST(FoldRest, OfTwoNodesNamedAlikeEachIsReportedAsWhatBecameOfIt) {
  HalfIllConditioned m;
  m.b.name = "bn";
  const ValueId y = m.b.op("BatchNormalization",
                           {m.b.op("Relu", {m.x}), row({2, 2}), row({0.5F, 3e7F}), row({1, 2}), row({4, 1})},
                           {{"epsilon", 0.0F}}, "y");
  const ValueId h = m.b.op("Tanh", {m.b.op("Gemm", {y, weights(), row({10, 20})}, {}, "g")}, {}, "h");
  const auto report =
      expect_fold(m.model(m.batch_normalization(h)),
                  {{"Relu", 1}, {"Sub", 1}, {"BatchNormalization", 1}, {"Gemm", 1}, {"Tanh", 2}});
  ASSERT_EQ(report.entries.size(), 2U);
  EXPECT_TRUE(report.entries[0].folded);
  EXPECT_FALSE(report.entries[1].folded);
  EXPECT_EQ(report.entries[1].name, "bn");
  EXPECT_EQ(report.entries[1].centred_channels, 0U);
}

TEST(FoldRest, ANodeOfAnotherDomainIsNoBatchNormalizationWhateverItsName) {
  Chains m;
  m.b.import("com.custom", 1);
  const ValueId y = m.b.node("BatchNormalization", m.parameters(m.gemm()), {}, {"y"}, "com.custom")[0];
  Model model = m.model(y);
  const FoldReport report = fold(model);
  EXPECT_EQ(report.rewrites, 0U);
  EXPECT_TRUE(report.entries.empty());
  const Inspection inspection = inspect(model);
  ASSERT_EQ(inspection.layers.size(), 3U);
  EXPECT_NE(inspection.layers[1].problem.find("com.custom"), std::string::npos);
}

}  // namespace
}  // namespace bnrun
