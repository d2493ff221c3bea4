#include "graph/infer.h"

#include <algorithm>

#include "base/fail.h"

namespace bnrun {

void infer_outputs(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const Op* op = node.op.get();
  if (op == nullptr) return;
  std::vector<ValueType> types;
  std::vector<TensorView> values;
  for (const ValueId input : node.inputs) {
    types.push_back(input.valid() ? graph.value(input).type : ValueType{});
    const Tensor* constant = input.valid() ? graph.value(input).as_constant() : nullptr;
    values.push_back(constant != nullptr ? constant->view() : TensorView{});
  }
  // An input whose type is still unknown (an opaque producer) leaves the outputs as declared.
  const bool known = std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) {
    return !input.valid() || graph.value(input).type.dtype != DType::undefined;
  });
  if (!known) return;
  const auto inferred = at_node(graph, id, [&] {
    return op->infer({.inputs = types, .values = values, .outputs = node.outputs.size()});
  });
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId output = node.outputs[i];
    if (!output.valid()) continue;
    if (i >= inferred.size())
      fail(ErrorCode::invalid_model, "{}: its operator has {} outputs, '{}' is none of them",
           describe(graph, id), inferred.size(), graph.value(output).name);
    const auto merged = merge(inferred[i], graph.value(output).type);
    if (!merged) {
      fail(ErrorCode::invalid_model, "{}: output '{}' is {}, but the model declares {}", describe(graph, id),
           graph.value(output).name, to_string(inferred[i]), to_string(graph.value(output).type));
    }
    graph.set_type(output, *merged);
  }
}

}  // namespace bnrun
