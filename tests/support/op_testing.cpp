#include "support/op_testing.h"

#include <gtest/gtest.h>

#include "base/fail.h"
#include "graph/graph.h"
#include "op/evaluate.h"
#include "op/registry.h"
#include "op/shape_rules.h"

namespace bnrun::testing {
namespace {

/// Each output must fit what `infer` says of inputs it knows only by type and, when `ranked`, by rank.
void expect_inferable(const Op& op, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                      bool ranked) {
  std::vector<ValueType> types;
  for (const Tensor& input : inputs) {
    ValueType type{input.dtype(), std::nullopt};
    if (ranked && input.defined()) {
      type.dims.emplace();
      for (const auto extent : input.shape()) type.dims->push_back(Dim::symbol(fmt::format("n{}", extent)));
    }
    types.push_back(type);
  }
  const std::vector<TensorView> values(inputs.size());
  const auto inferred = op.infer({.inputs = types, .values = values, .outputs = outputs.size()});
  for (std::size_t i = 0; i < outputs.size() && i < inferred.size(); ++i) {
    if (!outputs[i].defined()) continue;
    // A symbol stands for the extent in its name; another one, or an unknown dimension, is no contradiction.
    ValueType known = inferred[i];
    known.content.reset();
    for (std::size_t axis = 0; known.ranked() && axis < known.rank(); ++axis) {
      Dim& dim = (*known.dims)[axis];
      if (!dim.symbolic()) continue;
      const bool plain = dim.name().size() > 1 && dim.name()[0] == 'n' &&
                         dim.name().find_first_not_of("0123456789", 1) == std::string::npos;
      dim = plain ? Dim(std::stoll(dim.name().substr(1))) : Dim();
    }
    EXPECT_TRUE(merge(known, ValueType::of(outputs[i].dtype(), outputs[i].shape())).has_value())
        << "output " << i << " is inferred as " << to_string(inferred[i]) << " and is "
        << to_string(outputs[i].shape());
  }
}

}  // namespace

std::shared_ptr<const Op> op_of(const std::string& op_type, std::int64_t opset, std::size_t inputs,
                                const Attributes& attributes, std::size_t outputs,
                                const std::string& domain) {
  Node node;
  node.op_type = op_type;
  node.domain = domain;
  node.attributes = attributes;
  for (std::size_t i = 0; i < inputs; ++i) node.inputs.push_back(ValueId{static_cast<std::int32_t>(i)});
  for (std::size_t i = 0; i < outputs; ++i) {
    node.outputs.push_back(ValueId{static_cast<std::int32_t>(inputs + i)});
  }
  auto op = make_op(call_of(node), opset);
  if (op == nullptr) fail(ErrorCode::unsupported, "operator {} is not in the table", op_type);
  return op;
}

std::vector<Tensor> run_op(const std::string& op_type, std::int64_t opset, const std::vector<Tensor>& inputs,
                           const Attributes& attributes, std::size_t outputs, const std::string& domain) {
  const auto op = op_of(op_type, opset, inputs.size(), attributes, outputs, domain);
  std::vector<TensorView> views;
  for (const Tensor& input : inputs) views.push_back(input.defined() ? input.view() : TensorView{});
  const std::unique_ptr<bool[]> wanted(new bool[outputs]);
  for (std::size_t i = 0; i < outputs; ++i) wanted[i] = true;
  auto results = evaluate(*op, views, {wanted.get(), outputs});
  expect_inferable(*op, inputs, results, true);
  expect_inferable(*op, inputs, results, false);
  return results;
}

ErrorCode run_op_error(const std::string& op_type, std::int64_t opset, const std::vector<Tensor>& inputs,
                       const Attributes& attributes, std::size_t outputs) {
  try {
    run_op(op_type, opset, inputs, attributes, outputs);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << op_type << " throws nothing";
  return ErrorCode::internal;
}

}  // namespace bnrun::testing
