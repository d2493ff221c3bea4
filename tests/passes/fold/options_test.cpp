// What a caller may ask of folding: what to leave out, where to stop.
#include <gtest/gtest.h>

#include "api/model_access.h"
#include "bnrun/error.h"
#include "support/fold_layer.h"

namespace bnrun::testing {
namespace {

/// Gemm -> BatchNormalization, its scale behind an Identity; a Relu of h leads nowhere.
Model with_hidden_and_dead() {
  Layer m;
  const ValueId h = m.gemm();
  auto parameters = m.parameters(h);
  parameters[1] = m.b.op("Identity", {parameters[1]});
  m.b.output(m.b.op("BatchNormalization", parameters, {{"epsilon", 0.0F}}));
  m.b.op("Tanh", {m.b.op("Relu", {m.x})});
  m.b.constant(row({7}), "unused");
  return m.b.model();
}

bool has_value(const Model& model, std::string_view name) {
  return graph_of(model).find_value(name).valid();
}

TEST(FoldOptions, ConstantsAreComputedUnlessKept) {
  expect_fold(with_hidden_and_dead(), {{"Gemm", 1}});
  const auto report =
      expect_fold(with_hidden_and_dead(), {{"Gemm", 1}, {"Identity", 1}, {"BatchNormalization", 1}}, 2e-6,
                  {.without = {"constants", "identity"}});
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_EQ(name_of(report.entries[0].reason), "not_constant");
}

TEST(FoldOptions, WhatIsDeadGoesUnlessKept) {
  EXPECT_FALSE(has_value(folded(with_hidden_and_dead()), "unused"));
  const FoldOptions with_dead{.without = {"dead"}};
  expect_fold(with_hidden_and_dead(), {{"Gemm", 1}, {"Relu", 1}, {"Tanh", 1}}, 2e-6, with_dead);
  const Model after = folded(with_hidden_and_dead(), with_dead);
  EXPECT_TRUE(has_value(after, "unused"));
  // What folding itself leaves without a reader is none of the model's own: input, weights, bias, the dead
  // one and the values of Gemm, Relu and Tanh.
  EXPECT_EQ(graph_of(after).live_values().size(), 7U);
}

TEST(FoldOptions, WhatLosesItsLastReaderGoesWithTheNodesThatMadeIt) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  const ValueId shape = b.op("Shape", {x});
  const ValueId wide =
      b.op("Reshape", {x, b.op("Concat", {shape, Tensor({1}, Ints{1})}, {{"axis", std::int64_t{0}}})});
  b.output(b.op("Relu", {b.op("Reshape", {wide, shape})}));
  expect_fold(b.model(), {{"Relu", 1}}, 2e-6, {.without = {"dead"}});
}

TEST(FoldOptions, ChainsThatCannotFoldBecomeShorterUnlessKept) {
  Layer m;
  const ValueId x = m.b.op("Mul", {m.b.op("Relu", {m.x}), row({2, 3})});
  m.b.output(m.b.op("Tanh", {m.b.op("Mul", {m.b.op("Add", {x, row({5, 6})}), row({-1, 7})})}));
  expect_fold(m.b.model(), {{"Relu", 1}, {"Mul", 1}, {"Add", 1}, {"Tanh", 1}});
  expect_fold(m.b.model(), {{"Relu", 1}, {"Mul", 2}, {"Add", 1}, {"Tanh", 1}}, 2e-6,
              {.without = {"shorten"}});
}

TEST(FoldOptions, AnUnknownSimplificationIsAnError) {
  Model model = with_hidden_and_dead();
  try {
    fold(model, {.without = {"gem"}});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_input);
    EXPECT_NE(std::string(error.what()).find("'gem'"), std::string::npos);
  }
  for (const auto& [name, what] : simplifications()) {
    EXPECT_FALSE(what.empty()) << name;
    EXPECT_NO_THROW(fold(model, {.without = {std::string(name)}}));
  }
}

TEST(FoldOptions, PatternsThatMatchNothingAreNamed) {
  Layer m;
  m.b.output(m.batch_normalization(m.gemm()));
  const std::vector<std::string> mistyped{"Gem", "BatchNormalisation_*"};
  EXPECT_EQ(unmatched_patterns(m.b.model(), {.only = {"Gem", "Gemm_?"}, .skip = {"B*", mistyped[1]}}),
            mistyped);
}

TEST(FoldOptions, TheLimitIsTheReasonOnlyForWhatWouldHaveFolded) {
  Layer m;
  const ValueId first = m.b.op("Relu", {m.batch_normalization(m.gemm())});
  const ValueId lonely = m.b.op("Tanh", {m.batch_normalization(first)});
  m.b.output(m.batch_normalization(m.b.op("Gemm", {lonely, weights()})));
  const auto reasons = [&](std::size_t limit) {
    Model model = m.b.model();
    const FoldReport report = fold(model, {.max_rewrites = limit});
    EXPECT_EQ(report.rewrites, std::min<std::size_t>(limit, 2));
    std::vector<std::string> found;
    for (const FoldEntry& entry : report.entries)
      found.emplace_back(entry.folded ? "folded" : name_of(entry.reason));
    std::ranges::sort(found);
    return found;
  };
  EXPECT_EQ(reasons(0), (std::vector<std::string>{"activation_between", "limit_reached", "limit_reached"}));
  EXPECT_EQ(reasons(1), (std::vector<std::string>{"activation_between", "folded", "limit_reached"}));
  EXPECT_EQ(reasons(2), (std::vector<std::string>{"activation_between", "folded", "folded"}));
}

TEST(FoldOptions, TheLimitIsTheReasonForAChainWithSeveralReadersToo) {
  Layer m;
  const ValueId y = m.batch_normalization(m.b.op("Relu", {m.x}));
  m.b.output(m.b.op("Gemm", {y, weights()}));
  m.b.output(m.b.op("Gemm", {y, weights()}));
  expect_untouched(m.b.model(), Decline::limit_reached, {.max_rewrites = 0});
}

TEST(FoldReport, AChainGoesByTheFirstNodeThatScales) {
  Layer m;
  const ValueId biased = m.b.op("Add", {m.b.op("MatMul", {m.x, weights()}), row({1, 2})});
  m.b.output(m.b.op("Add", {m.b.op("Mul", {biased, row({2, 3})}), row({5, 6})}));
  Model model = m.b.model();
  const FoldReport report = fold(model);
  ASSERT_EQ(report.entries.size(), 1U);
  EXPECT_EQ(report.entries[0].name, "Mul_2");
  EXPECT_EQ(report.entries[0].form, "Add+Mul+Add");
}

TEST(FoldReport, SaysHowTheNumbersChanged) {
  Layer m;
  m.b.output(m.batch_normalization(m.gemm()));
  Model model = m.b.model();
  const FoldReport report = fold(model);
  ASSERT_EQ(report.entries.size(), 1U);
  const FoldEntry& entry = report.entries[0];
  EXPECT_EQ(entry.max_scale, 2.0);
  EXPECT_EQ(entry.max_scale_channel, 1U);
  EXPECT_EQ(entry.weights.before, 4.0);  // {1, 2, 3, 4}
  EXPECT_EQ(entry.weights.after, 8.0);   // {1, -4, 3, -8}
  EXPECT_EQ(entry.bias.before, 20.0);    // {10, 20}
  EXPECT_EQ(entry.bias.after, 35.75);    // {9.5, -35.75}
}

TEST(FoldReport, AnAddMadeForWantOfABiasCountsAsOne) {
  Layer m;
  m.x = m.b.input("sequence", DType::float32, {"N", 2, 2});
  m.b.output(
      m.b.op("Add", {m.b.op("Mul", {m.b.op("MatMul", {m.x, weights()}), row({1, -2})}), row({0.5F, 3})}));
  Model model = m.b.model();
  const FoldReport report = fold(model);
  ASSERT_EQ(report.entries.size(), 1U);
  const FoldEntry& entry = report.entries[0];
  ASSERT_TRUE(entry.folded);
  EXPECT_EQ(entry.weights.after, 8.0);
  EXPECT_EQ(entry.bias.before, 0.0);
  EXPECT_EQ(entry.bias.after, 3.0);
}

TEST(FoldReport, OneInsideASubgraphIsNotForgotten) {
  const auto branch_of = [](const char* name) {
    Layer m;
    Graph body;
    body.opsets = m.b.graph().opsets;
    Node node;
    node.op_type = "BatchNormalization";
    node.name = name;
    node.inputs = {body.add_captured("x")};
    for (const float value : {2.0F, 0.5F, 1.0F, 4.0F})
      node.inputs.push_back(body.add_constant(body.fresh_name("c"), row({value, value})));
    node.outputs = {body.add_value("y")};
    body.add_output(node.outputs[0]);
    body.add_node(std::move(node));
    return std::shared_ptr<const Graph>(std::make_shared<Graph>(body));
  };
  Layer m;
  Graph graph = m.b.graph();
  Node node;
  node.op_type = "If";
  node.name = "choice";
  node.inputs = {graph.add_input("condition", {DType::boolean, Dims{}})};
  node.captures = {m.x};
  node.attributes = {{"then_branch", branch_of("first")}, {"else_branch", branch_of("second")}};
  node.outputs = {graph.add_value("chosen")};
  graph.add_output(node.outputs[0]);
  graph.add_node(std::move(node));
  Model model = make_model(graph);
  const FoldReport report = fold(model);
  ASSERT_EQ(report.entries.size(), 2U);
  for (const FoldEntry& entry : report.entries) {
    EXPECT_EQ(name_of(entry.reason), "in_subgraph");
    EXPECT_EQ(entry.detail, "node 'choice' (If)");
    EXPECT_TRUE(entry.name == "first" || entry.name == "second");
  }
  EXPECT_FALSE(report.complete());
}

TEST(FoldReport, EveryReasonButOneHasARemedy) {
  for (int i = 0; i <= static_cast<int>(Decline::limit_reached); ++i) {
    const auto reason = static_cast<Decline>(i);
    EXPECT_NE(name_of(reason), "unknown");
    EXPECT_EQ(remedy_of(reason).empty(), reason == Decline::not_affine) << name_of(reason);
  }
}

}  // namespace
}  // namespace bnrun::testing
