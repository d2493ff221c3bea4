// Nodes that no operator can run: they must be refused when the operator is made, before anything is read.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bnrun/error.h"
#include "graph/graph.h"
#include "op/registry.h"
#include "support/expect_error.h"

namespace bnrun {
namespace {

TEST(MalformedNode, WithoutOutputsIsRefusedByEveryOperator) {
  for (const OpEntry& entry : op_table()) {
    Node node;
    node.op_type = entry.name;
    node.domain = entry.domain;
    node.inputs = {ValueId{0}};
    SCOPED_TRACE(entry.name);
    testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(node), entry.versions.back()); });
  }
}

TEST(MalformedNode, WithAnAttributeThatNoVersionHasIsRefused) {
  Node relu;
  relu.op_type = "Relu";
  relu.inputs = {ValueId{0}};
  relu.outputs = {ValueId{1}};
  relu.attributes["alpha"] = 1.0F;
  testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(relu), 13); });
  testing::expect_error(ErrorCode::unsupported, [&] { make_op(call_of(relu), 99); });
  relu.attributes = {{"consumed_inputs", std::vector<std::int64_t>{0}}};
  testing::expect_error(ErrorCode::unsupported, [&] { make_op(call_of(relu), 13); });
  EXPECT_NO_THROW(make_op(call_of(relu), 5));
}

TEST(MalformedNode, WithAnAbsentRequiredInputIsRefused) {
  struct Case {
    const char* op_type;
    std::vector<ValueId> inputs;
  };
  const ValueId absent;
  const ValueId given{0};
  const Case cases[] = {{"Relu", {absent}},
                        {"GlobalAveragePool", {absent}},
                        {"Det", {absent}},
                        {"Conv", {given, absent}},
                        {"MatMul", {absent, given}},
                        {"Add", {given, absent}},
                        {"Max", {given, absent}},
                        {"Sum", {absent}},
                        {"Concat", {given, absent}},
                        {"Einsum", {given, absent}},
                        {"NegativeLogLikelihoodLoss", {absent, given}}};
  for (const auto& [op_type, inputs] : cases) {
    Node node;
    node.op_type = op_type;
    node.inputs = inputs;
    node.outputs = {ValueId{1}};
    if (node.op_type == "Concat") node.attributes["axis"] = std::int64_t{0};
    if (node.op_type == "Einsum") node.attributes["equation"] = std::string("i,i->i");
    SCOPED_TRACE(op_type);
    testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(node), 13); });
  }
}

/// A body that hands its last inputs on as outputs.
std::shared_ptr<const Graph> body(std::size_t inputs, std::size_t outputs) {
  auto graph = std::make_shared<Graph>();
  std::vector<ValueId> values;
  for (std::size_t i = 0; i < inputs; ++i)
    values.push_back(graph->add_input(std::string(i + 1, 'i'), {DType::float32, Dims{}}));
  for (std::size_t i = inputs - outputs; i < inputs; ++i) graph->add_output(values[i]);
  return graph;
}

TEST(MalformedNode, LoopOrScanWithAnAbsentInputThatItsBodyReadsIsRefused) {
  const ValueId absent;
  const ValueId given{0};
  Node loop;
  loop.op_type = "Loop";
  loop.attributes["body"] = body(3, 2);
  loop.outputs = {ValueId{1}};
  loop.inputs = {absent, absent, given};
  EXPECT_NO_THROW(make_op(call_of(loop), 13));
  loop.inputs = {absent, absent, absent};
  testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(loop), 13); });

  Node scan;
  scan.op_type = "Scan";
  scan.attributes["body"] = body(2, 1);
  scan.attributes["num_scan_inputs"] = std::int64_t{1};
  scan.outputs = {ValueId{1}};
  scan.inputs = {given, given};
  EXPECT_NO_THROW(make_op(call_of(scan), 13));
  for (const std::vector<ValueId>& inputs : {std::vector{given, absent}, std::vector{absent, given}}) {
    scan.inputs = inputs;
    testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(scan), 13); });
  }
}

}  // namespace
}  // namespace bnrun
