// Nodes that no operator can run: they must be refused when the operator is made, before anything is read.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bnrun/error.h"
#include "graph/graph.h"
#include "graph/infer.h"
#include "op/evaluate.h"
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

TEST(MalformedNode, WithTooFewInputsSaysWhatItTakes) {
  Node gemm;
  gemm.op_type = "Gemm";
  gemm.inputs = {ValueId{0}, ValueId{1}};
  gemm.outputs = {ValueId{2}};
  EXPECT_NO_THROW(make_op(call_of(gemm), 11));
  const auto old = testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(gemm), 10); });
  EXPECT_NE(old.find("export the model with opset 11 or later"), std::string::npos) << old;
  gemm.inputs.pop_back();
  const auto text = testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(gemm), 11); });
  EXPECT_NE(text.find("Gemm takes 2 to 3 inputs, the node has 1"), std::string::npos) << text;
  gemm.op_type = "MatMul";
  const auto exact = testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(gemm), 11); });
  EXPECT_NE(exact.find("MatMul takes 2 inputs, the node has 1"), std::string::npos) << exact;
}

TEST(MalformedNode, WithAnAbsentRequiredInputIsRefused) {
  struct Case {
    const char* op_type;
    std::vector<ValueId> inputs;
  };
  const ValueId absent;
  const ValueId given{0};
  const Case cases[] = {{"Relu", {absent}},          {"GlobalAveragePool", {absent}},
                        {"Det", {absent}},           {"Conv", {given, absent}},
                        {"MatMul", {absent, given}}, {"Unsqueeze", {given, absent}},
                        {"Add", {given, absent}},    {"Max", {given, absent}},
                        {"Sum", {absent}},           {"Concat", {given, absent}},
                        {"Einsum", {given, absent}}, {"NegativeLogLikelihoodLoss", {absent, given}}};
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

TEST(MalformedNode, WithOneOutputTooManyIsRefused) {
  Graph graph;
  graph.opsets[""] = 13;
  Node sub;
  sub.op_type = "Sub";
  sub.name = "sub";
  const ValueId x = graph.add_input("x", {DType::float32, Dims{Dim(2)}});
  sub.inputs = {x, x};
  sub.outputs = {graph.add_value("y"), graph.add_value("none")};
  const NodeId id = graph.add_node(std::move(sub));
  const auto text = testing::expect_error(ErrorCode::invalid_model, [&] { infer_outputs(graph, id); });
  EXPECT_NE(text.find("'none'"), std::string::npos) << text;
  const Tensor two(DType::float32, {2});
  const TensorView inputs[] = {two, two};
  const bool wanted[] = {true, true};
  testing::expect_error(ErrorCode::invalid_model, [&] { evaluate(*graph.node(id).op, inputs, wanted); });
}

TEST(MalformedNode, WithMoreOutputsThanBatchNormalizationEverHadIsRefused) {
  Node norm;
  norm.op_type = "BatchNormalization";
  norm.inputs = std::vector<ValueId>(5, ValueId{0});
  norm.outputs = std::vector<ValueId>(5, ValueId{1});
  EXPECT_NO_THROW(make_op(call_of(norm), 9));
  testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(norm), 14); });
  norm.outputs.emplace_back();
  testing::expect_error(ErrorCode::invalid_model, [&] { make_op(call_of(norm), 9); });
}

TEST(MalformedNode, WhoseInputsGiveNoShapeIsRefusedWhenRun) {
  Node resize;
  resize.op_type = "Resize";
  resize.inputs = {ValueId{0}, {}, {}, ValueId{1}};
  resize.outputs = {ValueId{2}};
  const auto op = make_op(call_of(resize), 13);
  const Tensor x(DType::float32, {1, 4});
  const bool wanted[] = {true};
  for (const std::vector<std::int64_t>& sizes : {std::vector<std::int64_t>{1, -2}, {1}, {}}) {
    const Tensor given({static_cast<std::int64_t>(sizes.size())}, sizes);
    const TensorView inputs[] = {x, {}, {}, given};
    testing::expect_error(ErrorCode::invalid_model, [&] { evaluate(*op, inputs, wanted); });
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

TEST(MalformedNode, EarlyScanOverAScalarIsRefused) {
  Node scan;
  scan.op_type = "Scan";
  scan.attributes["body"] = body(2, 2);
  scan.attributes["num_scan_inputs"] = std::int64_t{1};
  scan.inputs = {ValueId{}, ValueId{0}, ValueId{1}};
  scan.outputs = {ValueId{2}, ValueId{3}};
  const auto op = make_op(call_of(scan), 8);
  const ValueType state{DType::float32, Dims{Dim(1), Dim(2)}};
  const ValueType types[] = {{}, state, {DType::float32, Dims{}}};
  testing::expect_error(ErrorCode::invalid_model, [&] { op->infer({.inputs = types, .outputs = 2}); });
}

}  // namespace
}  // namespace bnrun
