// Nodes that no operator can run: they must be refused when the operator is made, before anything is read.
#include <gtest/gtest.h>

#include <algorithm>

#include "bnrun/error.h"
#include "ops/op.h"

namespace bnrun {
namespace {

ErrorCode error_of(const Node& node) {
  try {
    make_op(node, 13);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << node.op_type << " is accepted";
  return ErrorCode::internal;
}

TEST(MalformedNode, WithoutOutputsIsRefusedByEveryOperator) {
  for (const OpEntry& entry : op_table()) {
    Node node;
    node.op_type = entry.name;
    node.domain = entry.domain;
    node.inputs = {ValueId{0}};
    EXPECT_THROW(make_op(node, entry.versions.back()), Error) << entry.name;
  }
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
    EXPECT_EQ(error_of(node), ErrorCode::invalid_model) << op_type;
  }
}

}  // namespace
}  // namespace bnrun
