#include "support/error_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "base/fail.h"
#include "op/shape_rules.h"
#include "verify/interpret.h"

namespace bnrun::testing {
namespace {

/// What one operator adds for writing its result, its folded constants and, with a transcendental function,
/// for evaluating it.
constexpr double kRoundingsOfAnOperator = 8.0;

struct Precision {
  double unit_roundoff;
  double largest;
  /// Folding flushes weights below the normal range to zero, and results may fall below it. With no factor
  /// below this, u * M stays above what gets lost so, even behind three of them.
  double smallest_factor;
};

Precision precision_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return {0x1p-11, 65504.0, 1.0};
    case DType::float32:
      return {0x1p-24, std::numeric_limits<float>::max(), 0x1p-30};
    default:  // where the truth itself is rounded as well
      return {0x1p-52, std::numeric_limits<double>::max(), 0x1p-30};
  }
}

Tensor absolute(const Tensor& tensor, double smallest) {
  if (!is_floating(tensor.dtype())) return tensor;
  Tensor result = convert(tensor, DType::float64);
  for (double& x : result.mutable_span<double>()) {
    if (x != 0.0) x = std::max(std::abs(x), smallest);
  }
  return result;
}

/// Writes the network that computes the magnitudes, with the same names.
class NetworkOfMagnitudes {
 public:
  NetworkOfMagnitudes(const Graph& graph, double smallest) : graph_(graph), smallest_(smallest) {
    result_.opsets = graph.opsets;
    result_.wide = graph.wide;
    map_.resize(graph.value_slots());
    find_divisors();
    for (const ValueId id : graph.inputs()) add_value(id);
    for (const ValueId id : graph.live_values()) {
      if (!mapped(id).valid()) add_value(id);
    }
    for (const NodeId id : graph.topological_order()) add_node(graph.node(id));
    for (const ValueId id : graph.outputs()) result_.add_output(mapped(id));
  }

  const Graph& graph() const { return result_; }
  Tensor magnitude(ValueId id, const Tensor& value) const { return absolute(value, smallest(id)); }

 private:
  ValueId& mapped(ValueId id) { return map_[static_cast<std::size_t>(id.index)]; }

  /// What something is divided by must not grow.
  void find_divisors() {
    const auto order = graph_.topological_order();
    for (auto id = order.rbegin(); id != order.rend(); ++id) {
      const Node& node = graph_.node(*id);
      const bool divides =
          node.op_type == "Sqrt" || node.op_type == "Reciprocal" ||
          std::ranges::any_of(node.outputs, [&](ValueId v) { return divisors_.contains(v); });
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (divides || (node.op_type == "Div" && i == 1) || (node.op_type == "BatchNormalization" && i == 4))
          divisors_.insert(node.inputs[i]);
      }
    }
  }
  double smallest(ValueId id) const { return divisors_.contains(id) ? 0.0 : smallest_; }

  void add_value(ValueId id) {
    const Value& value = graph_.value(id);
    if (value.constant.defined()) {
      mapped(id) = result_.add_constant(value.name, magnitude(id, value.constant));
      if (value.overridable) result_.mark_overridable(mapped(id));
    } else {
      mapped(id) = value.is_input ? result_.add_input(value.name, value.type) : result_.add_value(value.name);
    }
  }

  static AttributeValue absolute_attribute(const AttributeValue& value, double smallest) {
    if (const auto* number = std::get_if<float>(&value)) return std::abs(*number);
    if (const auto* tensor = std::get_if<Tensor>(&value)) return absolute(*tensor, smallest);
    return value;
  }

  void add_node(Node node) {
    node.op = nullptr;  // its attributes change
    const bool trains = node.op_type == "BatchNormalization" &&
                        (node.outputs.size() > 1 || node.attributes.contains("training_mode") ||
                         (graph_.opset("") < 7 && !node.attributes.contains("is_test")));
    for (auto& [name, value] : node.attributes) value = absolute_attribute(value, smallest(node.outputs[0]));
    for (auto* list : {&node.inputs, &node.outputs}) {
      for (ValueId& v : *list) v = v.valid() ? mapped(v) : v;
    }
    static constexpr std::string_view kIdentities[] = {"Neg", "Relu", "LeakyRelu", "PRelu", "Tanh"};
    if (node.op_type == "Sub") {
      node.op_type = "Add";
    } else if (node.op_type == "Min") {
      node.op_type = "Max";
    } else if (node.op_type == "ReduceMin") {
      node.op_type = "ReduceMax";
    } else if (std::ranges::find(kIdentities, node.op_type) != std::end(kIdentities)) {
      node.op_type = "Identity";
      node.attributes.clear();
      node.inputs.resize(1);
    } else if (node.op_type == "Sigmoid") {  // it takes 0 to 1/2
      node.op_type = "Add";
      node.inputs.push_back(constant(Tensor({}, std::vector<double>{1.0})));
    } else if (trains) {
      return add_training(std::move(node));
    } else if (node.op_type == "BatchNormalization") {  // s*x + (B - mean*s)
      node.inputs[3] = extra("Neg", {node.inputs[3]});
    }
    result_.add_node(std::move(node));
  }

  /// In the Euclidean norm the derivative of (x - mean(x)) / sqrt(var(x) + epsilon) is at most
  /// 1 / sqrt(epsilon): an error of Y is at most the sum of those of the channel times |scale| /
  /// sqrt(epsilon). That is what inference gives for the mean -sum and the variance 0. The statistics of a
  /// batch are at most sum and sum^2.
  void add_training(Node node) {
    node.op = nullptr;
    const ValueId channels = extra("Reshape", {node.inputs[0], ints({0, 0, -1})});
    const ValueId sum = graph_.opset("") < 13
                            ? extra("ReduceSum", {channels}, {{"axes", kNotChannels}, {"keepdims", 0}})
                            : extra("ReduceSum", {channels, ints(kNotChannels)}, {{"keepdims", 0}});
    const ValueId square = extra("Mul", {sum, sum});
    const ValueId mean = extra("Add", {node.inputs[3], sum});
    const ValueId variance = extra("Sum", {node.inputs[4], square, square});
    for (std::size_t i = 1; i < node.outputs.size(); ++i)
      add_node_for("Identity", {i % 2 == 1 ? mean : variance}, node.outputs[i]);
    node.outputs.resize(1);
    node.attributes.erase("training_mode");
    if (graph_.opset("") < 7) node.attributes["is_test"] = 1;
    node.inputs[3] = extra("Neg", {sum});
    node.inputs[4] = extra("Sub", {sum, sum});
    result_.add_node(std::move(node));
  }

  void add_node_for(std::string op_type, std::vector<ValueId> inputs, ValueId output,
                    Attributes attributes = {}) {
    Node node;
    node.op_type = std::move(op_type);
    node.inputs = std::move(inputs);
    node.outputs = {output};
    node.attributes = std::move(attributes);
    result_.add_node(std::move(node));
  }
  ValueId extra(std::string op_type, std::vector<ValueId> inputs, Attributes attributes = {}) {
    const ValueId output = result_.add_value(result_.fresh_name("extra"));
    add_node_for(std::move(op_type), std::move(inputs), output, std::move(attributes));
    return output;
  }
  ValueId constant(const Tensor& tensor) {
    return result_.add_constant(result_.fresh_name("constant"), tensor);
  }
  ValueId ints(const std::vector<std::int64_t>& values) {
    return constant(Tensor({static_cast<std::int64_t>(values.size())}, values));
  }

  const std::vector<std::int64_t> kNotChannels{0, 2};
  const Graph& graph_;
  double smallest_;
  Graph result_;
  std::vector<ValueId> map_;
  std::set<ValueId> divisors_;
};

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
  if (node.op_type == "ReduceSum" || node.op_type == "AveragePool" || node.op_type == "GlobalAveragePool" ||
      node.op_type == "ReduceMean")
    return static_cast<double>(shape(0).elements(1, shape(0).rank()));
  return 0.0;
}

}  // namespace

ErrorBound::ErrorBound(const Graph& graph, const std::vector<Tensor>& inputs, DType stored) {
  const Precision precision = precision_of(stored);
  const NetworkOfMagnitudes of_magnitudes(graph, precision.smallest_factor);
  const Graph& network = of_magnitudes.graph();
  std::vector<Tensor> magnitudes;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    magnitudes.push_back(inputs[i].defined() ? of_magnitudes.magnitude(graph.inputs()[i], inputs[i])
                                             : inputs[i]);
  }
  std::map<std::string, Shape> shapes;
  std::vector<TensorView> views(magnitudes.begin(), magnitudes.end());
  interpret(network, views, [&](ValueId id, const Tensor& value) {
    shapes[network.value(id).name] = value.shape();
    if (is_floating(value.dtype())) magnitudes_[network.value(id).name] = read_doubles(value);
  });
  double roundings = 0.0;
  for (const NodeId id : graph.live_nodes())
    roundings += kRoundingsOfAnOperator + terms(graph, graph.node(id), shapes);
  const double n_u = roundings * precision.unit_roundoff;
  factor_ = n_u < 1.0 ? n_u / (1.0 - n_u) : std::numeric_limits<double>::infinity();

  // From the first value that may overflow on, there is no bound.
  std::set<ValueId> unbounded;
  for (const NodeId id : network.topological_order()) {
    const Node& node = network.node(id);
    const bool behind = std::ranges::any_of(node.inputs, [&](ValueId v) { return unbounded.contains(v); });
    for (const ValueId output : node.outputs) {
      const auto values = magnitudes_.find(network.value(output).name);
      if (values == magnitudes_.end()) continue;
      const bool overflows = std::ranges::any_of(
          values->second, [&](double m) { return !(m * (1.0 + factor_) < precision.largest); });
      if (!behind && !overflows) continue;
      unbounded.insert(output);
      std::ranges::fill(values->second, std::numeric_limits<double>::infinity());
    }
  }
}

}  // namespace bnrun::testing
