#include <algorithm>

#include "base/fail.h"
#include "passes/widen.h"

namespace bnrun {
namespace {

DType widen(DType dtype) {
  return is_floating(dtype) ? DType::float64 : dtype;
}

Tensor widen(const Tensor& tensor) {
  return is_floating(tensor.dtype()) ? convert(tensor, DType::float64) : tensor;
}

/// Attributes that name an element type by its ONNX number, or that are a tensor whose type the output takes.
AttributeValue widen_attribute(std::string_view op_type, std::string_view name, const AttributeValue& value) {
  const bool names_type = name == "dtype" || name == "output_dtype" || (op_type == "Cast" && name == "to");
  if (names_type) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      return static_cast<std::int64_t>(widen(static_cast<DType>(*number)));
    }
    if (const auto* text = std::get_if<std::string>(&value);
        text != nullptr && (*text == "FLOAT" || *text == "FLOAT16")) {
      return std::string("DOUBLE");
    }
  }
  if (const auto* tensor = std::get_if<Tensor>(&value)) return widen(*tensor);
  if (const auto* graph = std::get_if<std::shared_ptr<const Graph>>(&value)) {
    return std::shared_ptr<const Graph>(std::make_shared<Graph>(widened(**graph)));
  }
  return value;
}

/// Operators of ai.onnx.ml whose results are float32 whatever they read. ONNX has no attribute to change
/// that; the engine reads `output_dtype`.
bool gives_float32(const Node& node) {
  static constexpr std::string_view kNames[] = {
      "FeatureVectorizer", "LabelEncoder", "LinearClassifier", "LinearRegressor", "Normalizer",
      "OneHotEncoder",     "Scaler"};
  return node.domain == "ai.onnx.ml" && std::ranges::find(kNames, node.op_type) != std::end(kNames);
}

}  // namespace

Graph widened(const Graph& graph, std::size_t max_bytes) {
  Graph wide;
  wide.name = graph.name;
  wide.opsets = graph.opsets;
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
    for (auto& [name, value] : node.attributes) value = widen_attribute(node.op_type, name, value);
    if (gives_float32(node)) node.attributes["output_dtype"] = static_cast<std::int64_t>(DType::float64);
    wide.add_node(std::move(node));
  }
  for (const ValueId id : graph.outputs()) wide.add_output(mapped(id));
  wide.check();
  return wide;
}

}  // namespace bnrun
