#include "graph/graph.h"

#include <gtest/gtest.h>

#include "bnrun/error.h"
#include "graph/rewrite.h"
#include "support/expect_error.h"

namespace bnrun {
namespace {

const ValueType kRow{DType::float32, Dims{Dim::symbol("N"), Dim(4)}};

Node node(std::string op_type, std::vector<ValueId> inputs, std::vector<ValueId> outputs) {
  Node n;
  n.name = op_type;
  n.op_type = std::move(op_type);
  n.inputs = std::move(inputs);
  n.outputs = std::move(outputs);
  return n;
}

/// x -> First -> h -> Second -> y
struct Chain {
  Graph graph;
  ValueId x = graph.add_input("x", kRow);
  ValueId h = graph.add_value("h", kRow);
  ValueId y = graph.add_value("y", kRow);
  NodeId first = graph.add_node(node("First", {x}, {h}));
  NodeId second = graph.add_node(node("Second", {h}, {y}));
  Chain() { graph.add_output(y); }

  /// One node in place of both.
  Rewrite fused() const {
    Rewrite rewrite;
    rewrite.removed = {first, second};
    rewrite.nodes.push_back({node("Fused", {}, {}), {Operand::of(x)}, {Operand::of(y)}});
    return rewrite;
  }
};

TEST(Graph, SecondDefinitionOfANameIsInvalid) {
  Chain chain;
  testing::expect_error(ErrorCode::invalid_model, [&] { chain.graph.add_value("h"); });
}

TEST(Graph, OrderFollowsDataNotInsertion) {
  Graph graph;
  const ValueId x = graph.add_input("x", kRow);
  const ValueId h = graph.add_value("h");
  const ValueId y = graph.add_value("y");
  const NodeId last = graph.add_node(node("Last", {h}, {y}));
  const NodeId first = graph.add_node(node("First", {x}, {h}));
  graph.add_output(y);
  EXPECT_EQ(graph.topological_order(), (std::vector<NodeId>{first, last}));
}

TEST(Graph, CycleIsAnInvalidModelThatNamesANode) {
  Graph graph;
  const ValueId a = graph.add_value("a");
  const ValueId b = graph.add_value("b");
  graph.add_node(node("Forth", {a}, {b}));
  graph.add_node(node("Back", {b}, {a}));
  try {
    graph.check();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_model);
    EXPECT_NE(std::string(error.what()).find("Forth"), std::string::npos);
  }
}

TEST(Rewrite, TakesOverTheOutputAndItsName) {
  Chain chain;
  ASSERT_FALSE(refuse(chain.graph, chain.fused()));
  apply(chain.graph, chain.fused());
  ASSERT_EQ(chain.graph.live_nodes().size(), 1U);
  EXPECT_EQ(chain.graph.value(chain.graph.outputs()[0]).name, "y");
  EXPECT_FALSE(chain.graph.find_value("h").valid());
}

TEST(Rewrite, RefusesWhenTheIntermediateIsReadElsewhere) {
  Chain chain;
  const ValueId z = chain.graph.add_value("z", kRow);
  chain.graph.add_node(node("Reader", {chain.h}, {z}));
  chain.graph.add_output(z);
  const auto refused = refuse(chain.graph, chain.fused());
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, Refusal::Kind::read_elsewhere);
  testing::expect_error(ErrorCode::internal, [&] { apply(chain.graph, chain.fused()); });
  EXPECT_EQ(chain.graph.live_nodes().size(), 3U);
}

TEST(Rewrite, RefusesWhenTheIntermediateIsAnOutput) {
  Chain chain;
  chain.graph.add_output(chain.h);
  const auto refused = refuse(chain.graph, chain.fused());
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, Refusal::Kind::read_outside);
}

TEST(Rewrite, RefusesAConstantThatIsNotFinite) {
  Chain chain;
  Rewrite rewrite = chain.fused();
  rewrite.nodes[0].inputs.push_back(rewrite.add_constant("W", Tensor({1}, std::vector<float>{INFINITY})));
  const auto refused = refuse(chain.graph, rewrite);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, Refusal::Kind::not_finite);
}

TEST(Rewrite, RefusesARedirectionToAnotherShape) {
  Chain chain;
  const ValueId wide = chain.graph.add_input("wide", {DType::float32, Dims{Dim::symbol("N"), Dim(8)}});
  Rewrite rewrite;
  rewrite.removed = {chain.first};
  rewrite.redirected = {{chain.h, wide}};
  const auto refused = refuse(chain.graph, rewrite);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, Refusal::Kind::type_changes);
}

TEST(RemoveDead, KeepsWhatLeadsToAnOutput) {
  Chain chain;
  const ValueId unused = chain.graph.add_value("unused", kRow);
  chain.graph.add_node(
      node("Dead", {chain.h, chain.graph.add_constant("c", Tensor(DType::float32, {4}))}, {unused}));
  EXPECT_EQ(remove_dead(chain.graph), 1U);
  EXPECT_EQ(chain.graph.live_nodes().size(), 2U);
  EXPECT_FALSE(chain.graph.find_value("c").valid());
  chain.graph.check();
}

}  // namespace
}  // namespace bnrun
