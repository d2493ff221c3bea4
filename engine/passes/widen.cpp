#include "passes/widen.h"

#include <memory>
#include <variant>

namespace bnrun {
namespace {

DType widen(DType dtype) {
  return is_floating(dtype) ? DType::float64 : dtype;
}

Tensor widen(const Tensor& tensor) {
  return is_floating(tensor.dtype()) ? convert(tensor, DType::float64) : tensor;
}

}  // namespace

Graph widened(const Graph& graph, std::size_t max_bytes) {
  Graph wide;
  wide.name = graph.name;
  wide.opsets = graph.opsets;
  wide.wide = true;
  std::vector<ValueId> map(graph.value_slots());
  const auto mapped = [&](ValueId id) {
    return id.valid() ? map[static_cast<std::size_t>(id.index)] : ValueId{};
  };
  const auto add_constant = [&](const Value& value, const ValueType& type) {
    const bool keep = is_floating(type.dtype) && value.constant.bytes() > max_bytes;
    const ValueId id = wide.add_constant(value.name, keep ? value.constant : widen(value.constant));
    if (keep) wide.set_type(id, type);
    return id;
  };
  // Inputs first and in order, overridable initializers among them.
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    ValueType type = value.type;
    type.dtype = widen(type.dtype);
    ValueId& target = map[static_cast<std::size_t>(id.index)];
    if (value.constant.defined()) {
      target = add_constant(value, type);
      wide.mark_overridable(target);
    } else {
      target = wide.add_input(value.name, type);
    }
  }
  for (const ValueId id : graph.live_values()) {
    const Value& value = graph.value(id);
    ValueId& target = map[static_cast<std::size_t>(id.index)];
    if (target.valid()) continue;
    ValueType type = value.type;
    type.dtype = widen(type.dtype);
    if (value.constant.defined())
      target = add_constant(value, type);
    else if (value.captured)
      target = wide.add_captured(value.name, type);
    else
      target = wide.add_value(value.name, type);
  }
  for (const NodeId id : graph.topological_order()) {
    Node node = graph.node(id);
    for (auto* list : {&node.inputs, &node.outputs, &node.captures}) {
      for (ValueId& v : *list) v = mapped(v);
    }
    for (auto& [name, value] : node.attributes) {
      if (auto* subgraph = std::get_if<std::shared_ptr<const Graph>>(&value))
        *subgraph = std::make_shared<Graph>(widened(**subgraph));
    }
    node.op = nullptr;  // reads its attributes anew, in double
    wide.add_node(std::move(node));
  }
  for (const ValueId id : graph.outputs()) wide.add_output(mapped(id));
  wide.check();
  return wide;
}

}  // namespace bnrun
