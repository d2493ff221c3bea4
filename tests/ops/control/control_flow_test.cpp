// If, Loop, Scan: subgraphs, what they capture, and branches that become part of the graph.
#include <gtest/gtest.h>

#include "passes/inline_branches.h"
#include "passes/prepare.h"
#include "support/op_testing.h"
#include "verify/interpret.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

Tensor ints(const Ints& values) {
  return {Shape{static_cast<std::int64_t>(values.size())}, values};
}
Tensor scalar(std::int64_t value) {
  return {{}, Ints{value}};
}
Tensor truth(bool value) {
  return {{}, std::vector<bool>{value}};
}
const ValueType kScalar{DType::int64, Dims{}};
const ValueType kTruth{DType::boolean, Dims{}};

AttributeValue number(std::int64_t value) {
  return value;
}

/// A graph written node by node.
struct Draft {
  Graph graph;
  explicit Draft(std::int64_t opset = 16) { graph.opsets[""] = opset; }

  ValueId node(const std::string& op_type, const std::vector<ValueId>& inputs, const std::string& output,
               Attributes attributes = {}) {
    return nodes(op_type, inputs, {output}, std::move(attributes)).at(0);
  }
  std::vector<ValueId> nodes(const std::string& op_type, const std::vector<ValueId>& inputs,
                             const std::vector<std::string>& outputs, Attributes attributes = {}) {
    Node made;
    made.op_type = op_type;
    made.inputs = inputs;
    for (const std::string& name : captured_names(attributes)) {
      ValueId outer = graph.find_value(name);
      if (!outer.valid()) outer = graph.add_captured(name);
      made.captures.push_back(outer);
    }
    made.attributes = std::move(attributes);
    for (const std::string& output : outputs) made.outputs.push_back(graph.add_value(output));
    const auto results = made.outputs;
    graph.add_node(std::move(made));
    return results;
  }
  /// The finished graph as an attribute.
  AttributeValue body(const std::vector<ValueId>& outputs) {
    for (const ValueId output : outputs) graph.add_output(output);
    graph.check();
    infer_types(graph);
    return std::shared_ptr<const Graph>(std::make_shared<Graph>(graph));
  }
};

std::vector<Tensor> run(Graph& graph, const std::vector<Tensor>& inputs) {
  graph.check();
  infer_types(graph);
  const std::vector<TensorView> views(inputs.begin(), inputs.end());
  return interpret(graph, views);
}

/// y = x + 1 if the condition holds, else y = x, x being captured.
Draft conditional(ValueId (*condition)(Graph&)) {
  Draft then_branch;
  const ValueId x = then_branch.graph.add_captured("x");
  const ValueId one = then_branch.graph.add_constant("step", scalar(1));
  const ValueId sum = then_branch.node("Add", {x, one}, "h");
  Draft else_branch;
  const ValueId same = else_branch.graph.add_captured("x");
  Draft draft;
  const ValueId input = draft.graph.add_input("x", {DType::int64, Dims{Dim(2)}});
  const ValueId doubled = draft.node("Add", {input, input}, "h");  // a name the branch uses as well
  const ValueId y =
      draft.node("If", {condition(draft.graph)}, "y",
                 {{"then_branch", then_branch.body({sum})}, {"else_branch", else_branch.body({same})}});
  draft.graph.add_output(y);
  draft.graph.add_output(doubled);
  return draft;
}

TEST(If, RunsTheBranchTaken) {
  Draft draft = conditional([](Graph& graph) { return graph.add_input("c", kTruth); });
  const auto taken = run(draft.graph, {ints({5, 6}), truth(true)});
  expect_close(taken.at(0), ints({6, 7}));
  expect_close(taken.at(1), ints({10, 12}));
  expect_close(run(draft.graph, {ints({5, 6}), truth(false)}).at(0), ints({5, 6}));
}

TEST(If, ConditionMustBeOneBoolean) {
  Draft draft = conditional([](Graph& graph) {
    return graph.add_input("c", {DType::boolean, std::nullopt});
  });
  try {
    run(draft.graph, {ints({5, 6}), Tensor({2}, std::vector<bool>{true, false})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_model);
  }
}

TEST(If, TypeIsWhatBothBranchesShare) {
  const auto branch = [](const Shape& shape) {
    Draft draft;
    return draft.body({draft.graph.add_constant("c", Tensor(DType::float32, shape))});
  };
  const auto op = op_of("If", 16, 1, {{"then_branch", branch({2, 3})}, {"else_branch", branch({2, 4})}});
  const ValueType inputs[] = {kTruth};
  EXPECT_EQ(to_string(op->infer({.inputs = inputs, .values = {}}).at(0)), "float32[2,?]");
  const Tensor condition = truth(false);
  const TensorView values[] = {condition.view()};
  EXPECT_EQ(to_string(op->infer({.inputs = inputs, .values = values}).at(0)), "float32[2,4]");
}

TEST(If, KnownConditionPutsTheBranchInItsPlace) {
  for (const bool condition : {true, false}) {
    Draft draft = conditional(condition ? [](Graph& graph) { return graph.add_constant("c", truth(true)); }
                                        : [](Graph& graph) { return graph.add_constant("c", truth(false)); });
    const auto expected = run(draft.graph, {ints({5, 6})});
    prepare(draft.graph);
    draft.graph.check();
    for (const NodeId id : draft.graph.live_nodes()) EXPECT_NE(draft.graph.node(id).op_type, "If");
    EXPECT_EQ(draft.graph.live_nodes().size(), 2U);
    EXPECT_EQ(draft.graph.value(draft.graph.outputs()[0]).name, "y");
    const auto actual = run(draft.graph, {ints({5, 6})});
    expect_close(actual.at(0), ints(condition ? Ints{6, 7} : Ints{5, 6}));
    expect_close(actual.at(0), expected.at(0));
    expect_close(actual.at(1), expected.at(1));
  }
}

TEST(If, ValueReadByNameWithinTheBranchKeepsIt) {
  Draft innermost;
  const ValueId h = innermost.graph.add_captured("h");
  Draft then_branch;
  const ValueId x = then_branch.graph.add_captured("x");
  then_branch.node("Add", {x, x}, "h");
  const AttributeValue inner = innermost.body({h});
  const ValueId chosen = then_branch.node("If", {then_branch.graph.add_captured("c2")}, "z",
                                          {{"then_branch", inner}, {"else_branch", inner}});
  const AttributeValue branch = then_branch.body({chosen});
  Draft draft;
  draft.graph.add_input("x", {DType::int64, Dims{Dim(1)}});
  draft.graph.add_input("c2", kTruth);
  draft.graph.add_output(draft.node("If", {draft.graph.add_constant("c", truth(true))}, "y",
                                    {{"then_branch", branch}, {"else_branch", branch}}));
  EXPECT_EQ(inline_constant_branches(draft.graph), 0U);
  expect_close(run(draft.graph, {ints({4}), truth(true)}).at(0), ints({8}));
}

/// sum += i + k (k captured), scanning 10*i, until the sum passes `limit`.
AttributeValue summing_body(std::int64_t limit) {
  Draft body;
  const ValueId i = body.graph.add_input("i", kScalar);
  body.graph.add_input("go", kTruth);
  const ValueId sum = body.graph.add_input("sum", kScalar);
  const ValueId step = body.node("Add", {i, body.graph.add_captured("k")}, "step");
  const ValueId next = body.node("Add", {sum, step}, "next");
  const ValueId scanned = body.node("Mul", {i, body.graph.add_constant("ten", scalar(10))}, "scanned");
  const ValueId again = body.node("Less", {next, body.graph.add_constant("limit", scalar(limit))}, "again");
  return body.body({again, next, scanned});
}

std::vector<Tensor> run_loop(std::int64_t limit, const Tensor& trips, const Tensor& condition) {
  Draft draft;
  draft.graph.add_input("k", kScalar);
  const ValueId sum = draft.graph.add_input("start", kScalar);
  const ValueId M = trips.defined() ? draft.graph.add_constant("M", trips) : ValueId{};
  const ValueId go = condition.defined() ? draft.graph.add_constant("condition", condition) : ValueId{};
  for (const ValueId output :
       draft.nodes("Loop", {M, go, sum}, {"total", "all"}, {{"body", summing_body(limit)}})) {
    draft.graph.add_output(output);
  }
  return run(draft.graph, {scalar(1), scalar(100)});
}

TEST(Loop, CountsTripsAndStopsOnItsCondition) {
  auto outputs = run_loop(1000, scalar(3), {});  // 1 + 2 + 3
  expect_close(outputs.at(0), scalar(106));
  expect_close(outputs.at(1), ints({0, 10, 20}));
  outputs = run_loop(103, {}, truth(true));  // 100 -> 101 -> 103
  expect_close(outputs.at(0), scalar(103));
  expect_close(outputs.at(1), ints({0, 10}));
  outputs = run_loop(1000, scalar(1), truth(true));
  expect_close(outputs.at(0), scalar(101));
}

TEST(Loop, WithoutATripKeepsItsState) {
  for (const auto& [trips, condition] :
       {std::pair(scalar(0), truth(true)), std::pair(scalar(5), truth(false))}) {
    const auto outputs = run_loop(1000, trips, condition);
    expect_close(outputs.at(0), scalar(100));
    expect_close(outputs.at(1), ints({}));
  }
}

TEST(Loop, SubgraphsWithinReadTheOutermostGraph) {
  Draft branch;
  const ValueId k = branch.graph.add_captured("k");
  const AttributeValue take_k = branch.body({k});
  Draft zero;
  const AttributeValue take_zero = zero.body({zero.graph.add_constant("zero", scalar(0))});
  Draft body;
  body.graph.add_input("i", kScalar);
  const ValueId go = body.graph.add_input("go", kTruth);
  const ValueId sum = body.graph.add_input("sum", kScalar);
  const ValueId step = body.node("If", {go}, "step", {{"then_branch", take_k}, {"else_branch", take_zero}});
  const ValueId next = body.node("Add", {sum, step}, "next");
  Draft draft;
  draft.graph.add_input("k", kScalar);
  const ValueId start = draft.graph.add_input("start", kScalar);
  draft.graph.add_output(draft.node("Loop", {draft.graph.add_constant("M", scalar(4)), {}, start}, "total",
                                    {{"body", body.body({go, next})}}));
  expect_close(run(draft.graph, {scalar(3), scalar(1)}).at(0), scalar(13));
}

/// state + slice, which is also scanned.
AttributeValue running_sum(const Dims& dims) {
  Draft body;
  const ValueId state = body.graph.add_input("state", {DType::float32, dims});
  const ValueId slice = body.graph.add_input("slice", {DType::float32, dims});
  const ValueId next = body.node("Add", {state, slice}, "next");
  return body.body({next, body.node("Identity", {next}, "scanned")});
}

TEST(Scan, AlongAnyAxisAndBackwards) {
  const Tensor state({2}, Floats{0, 0});
  const Tensor X({2, 3}, Floats{1, 2, 3, 10, 20, 30});
  const AttributeValue body = running_sum({Dim(2)});
  auto outputs = run_op("Scan", 9, {state, X},
                        {{"body", body}, {"num_scan_inputs", number(1)}, {"scan_input_axes", Ints{-1}}}, 2);
  expect_close(outputs.at(0), Tensor({2}, Floats{6, 60}));
  expect_close(outputs.at(1), Tensor({3, 2}, Floats{1, 10, 3, 30, 6, 60}));
  outputs = run_op("Scan", 11, {state, X},
                   {{"body", body},
                    {"num_scan_inputs", number(1)},
                    {"scan_input_axes", Ints{1}},
                    {"scan_input_directions", Ints{1}},
                    {"scan_output_axes", Ints{1}},
                    {"scan_output_directions", Ints{1}}},
                   2);
  expect_close(outputs.at(0), Tensor({2}, Floats{6, 60}));
  expect_close(outputs.at(1), Tensor({2, 3}, Floats{6, 5, 3, 60, 50, 30}));
}

TEST(Scan, WithoutAStep) {
  const auto outputs = run_op("Scan", 9, {Tensor({2}, Floats{7, 8}), Tensor({0, 2}, Floats{})},
                              {{"body", running_sum({Dim(2)})}, {"num_scan_inputs", number(1)}}, 2);
  expect_close(outputs.at(0), Tensor({2}, Floats{7, 8}));
  expect_close(outputs.at(1), Tensor({0, 2}, Floats{}));
}

TEST(Scan, OpsetEightScansABatchOfSequences) {
  const Tensor state({2, 1}, Floats{0, 100});
  const Tensor X({2, 3, 1}, Floats{1, 2, 3, 1, 2, 3});
  const auto outputs = run_op("Scan", 8, {ints({3, 2}), state, X},
                              {{"body", running_sum({Dim(1)})}, {"num_scan_inputs", number(1)}}, 2);
  expect_close(outputs.at(0), Tensor({2, 1}, Floats{6, 103}));
  expect_close(outputs.at(1), Tensor({2, 3, 1}, Floats{1, 3, 6, 101, 103, 0}));
}

TEST(CheckSupported, NamesTheOperatorInsideTheSubgraph) {
  Draft branch;
  const ValueId x = branch.graph.add_captured("x");
  const AttributeValue body = branch.body({branch.node("SequenceConstruct", {x}, "sequence")});
  Draft draft;
  draft.graph.add_input("x", kScalar);
  draft.graph.add_output(draft.node("If", {draft.graph.add_input("c", kTruth)}, "y",
                                    {{"then_branch", body}, {"else_branch", body}}));
  try {
    check_supported(draft.graph);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_NE(std::string(error.what()).find("SequenceConstruct"), std::string::npos);
  }
}

TEST(Graph, OverridableShapeIsNotTakenForGranted) {
  Graph graph;
  graph.opsets[""] = 13;
  const ValueId x = graph.add_input("x", {DType::float32, Dims{Dim(4)}});
  const ValueId shape = graph.add_constant("shape", ints({2, 2}));
  graph.mark_overridable(shape);
  const ValueId y = graph.add_value("y");
  Node node;
  node.op_type = "Reshape";
  node.inputs = {x, shape};
  node.outputs = {y};
  graph.add_node(std::move(node));
  graph.add_output(y);
  infer_types(graph);
  EXPECT_EQ(to_string(graph.value(y).type), "float32[?,?]");
}

}  // namespace
}  // namespace bnrun::testing
