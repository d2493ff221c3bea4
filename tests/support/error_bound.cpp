#include "support/error_bound.h"

#include <algorithm>
#include <cmath>

#include "graph/fail.h"
#include "ops/common.h"
#include "ops/evaluate.h"

namespace bnrun::testing {
namespace {

/// What one operator adds for writing its result, its folded constants and, with a transcendental function,
/// for evaluating it.
constexpr double kRoundingsOfAnOperator = 8.0;

/// Folding flushes weights below the normal range to zero, and results may fall below it. With no factor
/// below this, u * M stays above what gets lost so, even behind three of them.
constexpr double kSmallestFactor = 0x1p-30;

Tensor absolute(const Tensor& tensor) {
  if (tensor.dtype() != DType::float64) return tensor;
  Tensor result = tensor;
  for (double& x : result.mutable_span<double>()) {
    if (x != 0.0) x = std::max(std::abs(x), kSmallestFactor);
  }
  return result;
}

AttributeValue absolute(const AttributeValue& value) {
  if (const auto* number = std::get_if<float>(&value)) return std::abs(*number);
  if (const auto* tensor = std::get_if<Tensor>(&value)) return absolute(*tensor);
  return value;
}

/// The network that computes the magnitudes, with the same names.
Graph network_of_magnitudes(const Graph& graph) {
  Graph result;
  result.opsets = graph.opsets;
  std::vector<ValueId> map(graph.value_slots());
  const auto mapped = [&](ValueId id) { return id.valid() ? map[static_cast<std::size_t>(id.index)] : id; };
  const auto add = [&](ValueId id) {
    const Value& value = graph.value(id);
    ValueId& target = map[static_cast<std::size_t>(id.index)];
    if (value.constant.defined()) {
      target = result.add_constant(value.name, absolute(value.constant));
      if (value.overridable) result.mark_overridable(target);
    } else {
      target = value.is_input ? result.add_input(value.name, value.type) : result.add_value(value.name);
    }
  };
  for (const ValueId id : graph.inputs()) add(id);
  for (const ValueId id : graph.live_values()) {
    if (!mapped(id).valid()) add(id);
  }
  const auto extra = [&](std::string op_type, std::vector<ValueId> inputs) {
    const ValueId output = result.add_value(result.fresh_name("extra"));
    Node node;
    node.op_type = std::move(op_type);
    node.inputs = std::move(inputs);
    node.outputs = {output};
    result.add_node(std::move(node));
    return output;
  };
  for (const NodeId id : graph.topological_order()) {
    Node node = graph.node(id);
    for (auto* list : {&node.inputs, &node.outputs}) {
      for (ValueId& v : *list) v = mapped(v);
    }
    for (auto& [name, value] : node.attributes) value = absolute(value);
    static constexpr std::string_view kIdentities[] = {"Neg", "Relu", "LeakyRelu", "PRelu", "Tanh"};
    if (node.op_type == "Sub") {
      node.op_type = "Add";
    } else if (std::ranges::find(kIdentities, node.op_type) != std::end(kIdentities)) {
      node.op_type = "Identity";
      node.attributes.clear();
      node.inputs.resize(1);
    } else if (node.op_type == "Sigmoid") {  // it takes 0 to 1/2
      node.op_type = "Add";
      node.inputs.push_back(
          result.add_constant(result.fresh_name("one"), Tensor({}, std::vector<double>{1.0})));
    } else if (node.op_type == "BatchNormalization") {  // s*x + (B - mean*s)
      node.inputs[3] = extra("Neg", {node.inputs[3]});
    }
    result.add_node(std::move(node));
  }
  for (const ValueId id : graph.outputs()) result.add_output(mapped(id));
  return result;
}

/// The number of terms in one element of the node's result.
double terms(const Graph& graph, const Node& node, const std::map<std::string, Shape>& shapes) {
  const auto shape = [&](std::size_t i) {
    const Value& value = graph.value(node.inputs[i]);
    return value.constant.defined() ? value.constant.shape() : shapes.at(value.name);
  };
  if (node.op_type == "Gemm" || node.op_type == "MatMul") {
    const Shape W = shape(1);
    return static_cast<double>(std::max(W[W.rank() - 2], W.back()));
  }
  if (node.op_type == "Conv") return static_cast<double>(shape(1).elements(1, shape(1).rank()));
  if (node.op_type == "ConvTranspose") {
    return static_cast<double>(shape(1)[0] * shape(1).elements(2, shape(1).rank()));
  }
  if (node.op_type == "AveragePool" || node.op_type == "GlobalAveragePool" || node.op_type == "ReduceMean")
    return static_cast<double>(shape(0).elements(1, shape(0).rank()));
  return 0.0;
}

}  // namespace

ErrorBound::ErrorBound(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> magnitudes;
  for (const Tensor& input : inputs) magnitudes.push_back(input.defined() ? absolute(input) : input);
  std::map<std::string, Shape> shapes;
  const Graph network = network_of_magnitudes(graph);
  std::vector<TensorView> views(magnitudes.begin(), magnitudes.end());
  interpret(network, views, [&](ValueId id, const Tensor& value) {
    shapes[network.value(id).name] = value.shape();
    if (is_floating(value.dtype())) magnitudes_[network.value(id).name] = read_doubles(value);
  });
  for (const NodeId id : graph.live_nodes())
    roundings_ += kRoundingsOfAnOperator + terms(graph, graph.node(id), shapes);
}

double ErrorBound::operator()(const std::string& name, std::size_t i) const {
  return roundings_ * magnitudes_.at(name).at(i);
}

}  // namespace bnrun::testing
