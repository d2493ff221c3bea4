#include "graph/infer.h"

#include <algorithm>

#include "base/fail.h"
#include "base/memory.h"
#include "graph/node_query.h"

namespace bnrun {

namespace {

bool is_known(const ValueType& type) {
  return type.dtype != DType::undefined && type.ranked();
}

/// A computed value whose element type or rank is not known.
bool is_open(const Graph& graph, ValueId id) {
  return id.valid() && graph.value(id).producer.valid() && !is_known(graph.value(id).type);
}

/// The types of a node's inputs with what its operator requires of those that are not known; whether it was asked
/// and had an answer goes to `required`. A contradiction is for Op::infer to tell, which knows the words.
std::vector<ValueType> input_types(const Graph& graph, NodeId id, bool& required) {
  const Node& node = graph.node(id);
  std::vector<ValueType> types;
  bool known = true;
  for (const ValueId input : node.inputs) {
    types.push_back(input.valid() ? graph.value(input).type : ValueType{});
    known = known && (!input.valid() || is_known(types.back()));
  }
  required = false;
  if (known) return types;
  const auto more = node.op->required_inputs(NodeArgs(graph, id).get());
  required = !more.empty();
  for (std::size_t i = 0; i < more.size(); ++i) {
    if (!node.inputs[i].valid() || is_known(types[i])) continue;
    if (auto merged = merge(types[i], {more[i].dtype, more[i].dims})) types[i] = std::move(*merged);
  }
  return types;
}

}  // namespace

bool require_inputs(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto open = [&](ValueId input) { return is_open(graph, input); };
  if (node.op == nullptr || std::ranges::none_of(node.inputs, open)) return false;
  bool required = false;
  const auto types = input_types(graph, id, required);
  bool told = false;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (!open(node.inputs[i])) continue;
    const ValueType& before = graph.value(node.inputs[i]).type;
    if (types[i].dtype == before.dtype && types[i].ranked() == before.ranked()) continue;
    graph.set_type(node.inputs[i], types[i]);
    told = true;
  }
  return told;
}

void infer_outputs(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const Op* op = node.op.get();
  if (op == nullptr) return;
  bool required = false;
  const auto types = input_types(graph, id, required);
  std::vector<TensorView> values;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const ValueId input = node.inputs[i];
    const Tensor* constant = input.valid() ? graph.value(input).as_constant() : nullptr;
    values.push_back(constant != nullptr ? constant->view() : TensorView{});
    // An input whose type is still unknown (an opaque producer) leaves the outputs as declared, but that of the
    // data in an operator that is prepared for it.
    if (input.valid() && types[i].dtype == DType::undefined && (i != 0 || !required)) return;
  }
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
    // Before anything else is judged: what the machine cannot hold is no question of the model's other faults.
    if (merged->static_shape() && merged->dtype != DType::undefined)
      at_node(graph, id, [&] { bytes_of(merged->shape().elements(), merged->dtype); });
    graph.set_type(output, *merged);
  }
}

}  // namespace bnrun
