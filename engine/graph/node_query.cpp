#include "graph/node_query.h"

#include <algorithm>

namespace bnrun {

NodeArgs::NodeArgs(const Graph& graph, std::span<const ValueId> inputs, std::span<const ValueId> outputs,
                   const ExactConstants* exact)
    : used_(new bool[outputs.size()]) {
  for (const ValueId input : inputs) {
    inputs_.push_back(input.valid() ? graph.value(input).type : ValueType{});
    const Tensor* constant = input.valid() ? graph.value(input).as_constant() : nullptr;
    if (constant != nullptr && exact != nullptr) {
      const auto found = exact->find(input);
      if (found != exact->end()) constant = &found->second;
    }
    constants_.push_back(constant);
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const ValueId output = outputs[i];
    outputs_.push_back(output.valid() ? graph.value(output).type : ValueType{});
    used_[i] = output.valid() && (graph.value(output).is_output || !graph.value(output).users.empty());
  }
}

FoldArgs NodeArgs::get() const {
  return {.inputs = inputs_,
          .outputs = outputs_,
          .constants = constants_,
          .output_used = {used_.get(), outputs_.size()}};
}

NodeId sole_reader(const Graph& graph, ValueId value) {
  const Value& v = graph.value(value);
  if (v.users.size() != 1 || v.is_output) return {};
  const auto& inputs = graph.node(v.users[0]).inputs;
  return std::find(inputs.begin(), inputs.end(), value) != inputs.end() ? v.users[0] : NodeId{};
}

}  // namespace bnrun
