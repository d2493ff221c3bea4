#include "passes/prepare.h"

#include <algorithm>
#include <cmath>

#include "base/elements.h"
#include "base/fail.h"
#include "base/precision.h"
#include "graph/infer.h"
#include "graph/integer_product.h"
#include "graph/rewrite.h"
#include "op/evaluate.h"
#include "passes/inline_branches.h"

namespace bnrun {
namespace {

/// Parameters of layers are small; a weight matrix that passes an Identity is not worth a copy in double.
constexpr std::int64_t kMaxExactElements = 1 << 16;
/// What is larger is computed when the model runs.
constexpr std::size_t kMaxComputedBytes = std::size_t{1} << 28;

/// Where it does not, an operator that jumps (Ceil, Sign, a comparison) has taken a rounding error for another
/// side: the model is what it stores.
bool rounds_to(const Tensor& exact, const Tensor& stored) {
  constexpr double kRoundings = 64.0;
  const double unit = unit_roundoff(stored.dtype());
  if (!is_floating(stored.dtype()) || !(exact.shape() == stored.shape())) return false;
  const auto values = read_doubles(stored);
  const auto wide = exact.span<double>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::abs(wide[i] - values[i]) > kRoundings * unit * std::abs(values[i]) + 1e-30) return false;
  }
  return true;
}

/// Evaluates a node with constant inputs in double. If the operator does not
/// support double, nothing is kept and folding uses the rounded constant.
void keep_exact(const Op& op, const Node& node, const Graph& graph, std::span<const bool> wanted,
                std::span<const Tensor> stored, ExactConstants& exact) {
  std::vector<Tensor> inputs;
  for (const ValueId id : node.inputs) {
    const auto found = exact.find(id);
    const Tensor input = !id.valid()            ? Tensor()
                         : found != exact.end() ? found->second
                                                : graph.value(id).constant;
    if (input.defined() && input.elements() > kMaxExactElements) return;
    inputs.push_back(input.defined() && is_floating(input.dtype()) ? convert(input, DType::float64) : input);
  }
  try {
    const auto outputs = evaluate(op, {std::vector<TensorView>(inputs.begin(), inputs.end())}, wanted);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].defined() && outputs[i].dtype() == DType::float64 && rounds_to(outputs[i], stored[i]))
        exact[node.outputs[i]] = outputs[i];
    }
  } catch (const Error&) {
    return;
  }
}

}  // namespace

namespace {

/// What an operator that the engine does not know computes, or one whose output depends on the data, has the type
/// that its readers require, and theirs require, and so on. Returns whether anything became known.
bool infer_islands(Graph& graph) {
  const auto order = graph.topological_order();
  for (bool any = false;; any = true) {
    bool told = false;
    for (auto id = order.rbegin(); id != order.rend(); ++id) told = require_inputs(graph, *id) || told;
    if (!told) return any;
    for (const NodeId id : order) infer_outputs(graph, id);
  }
}

}  // namespace

void infer_types(Graph& graph) {
  for (const NodeId id : graph.topological_order()) infer_outputs(graph, id);
  infer_islands(graph);
}

namespace {

/// The outputs of a node whose elements all follow from their types (the Shape
/// of a static tensor, say); empty when some element is unknown.
std::vector<Tensor> outputs_by_content(const Graph& graph, const Node& node) {
  std::vector<Tensor> outputs;
  for (const ValueId output : node.outputs) {
    outputs.emplace_back();
    if (!output.valid()) continue;
    const ValueType& type = graph.value(output).type;
    if (!type.content || !type.static_shape()) return {};
    std::vector<std::int64_t> numbers;
    for (const Content& element : *type.content) {
      if (!element.number) return {};
      numbers.push_back(*element.number);
    }
    outputs.back() = convert(Tensor(type.shape(), numbers), type.dtype);
  }
  return outputs;
}

class Computer {
 public:
  Computer(Graph& graph, const PrepareOptions& options, ExactConstants* exact)
      : graph_(graph), options_(options), exact_(exact) {}

  /// One pass in topological order, so that what a node tells is known when its readers are looked at. Returns
  /// the number of nodes that became constants.
  std::size_t run() {
    for (const NodeId id : graph_.topological_order()) {
      const Node& node = graph_.node(id);
      if (!node.alive) continue;
      infer_outputs(graph_, id);
      if (std::ranges::none_of(node.outputs, &ValueId::valid)) continue;  // dead
      if (!options_.packed) unpack_inputs(id);
      if (options_.packed || !stays_packed(node)) compute(id);
    }
    return computed_;
  }

  /// The same once all types are known, without packed constants that are multiplied as integers.
  void run_on_integers() {
    for (const NodeId id : graph_.topological_order()) {
      const Node& node = graph_.node(id);
      if (!node.alive || node.outputs.empty()) continue;
      const ValueId output = node.outputs[0];
      if (!is_packed(graph_, output) || !is_multiplied_as_integers(graph_, output)) compute(id);
    }
  }

 private:
  /// What is made of integers for layers waits for a reader that is none.
  bool stays_packed(const Node& node) const {
    const ValueId output = node.outputs[0];
    return is_packed(graph_, output) && !graph_.value(output).is_output;
  }

  void unpack_inputs(NodeId id) {
    const Node& node = graph_.node(id);
    for (const ValueId captured : node.captures) unpack(captured);
    const auto inputs = node.inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!reads_packed(graph_, id, i)) unpack(inputs[i]);
    }
  }

  void unpack(ValueId id) {
    if (!is_packed(graph_, id)) return;
    const NodeId producer = graph_.value(id).producer;
    unpack(graph_.node(producer).inputs[0]);
    compute(producer);
  }

  /// Makes the outputs of a node constants if all that it reads is known.
  void compute(NodeId id) {
    const Node& node = graph_.node(id);
    if (const auto known = outputs_by_content(graph_, node); !known.empty()) return replace(id, known);
    bool constant = true;
    const auto views_of = [&](const std::vector<ValueId>& ids) {
      std::vector<TensorView> views;
      for (const ValueId value : ids) {
        const Tensor* tensor = value.valid() ? graph_.value(value).as_constant() : nullptr;
        views.push_back(tensor != nullptr ? tensor->view() : TensorView{});
        constant = constant && (!value.valid() || tensor != nullptr);
      }
      return views;
    };
    const auto inputs = views_of(node.inputs);
    const auto captures = views_of(node.captures);
    const Op* op = node.op.get();
    if (!constant || op == nullptr || !op->deterministic()) return;
    if (const Tensor* held = op->held_output()) return replace(id, {*held});
    if (!affordable(node)) return;
    const std::unique_ptr<bool[]> wanted(new bool[node.outputs.size()]);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) wanted[i] = node.outputs[i].valid();
    const auto outputs = at_node(graph_, id, [&] {
      return evaluate(*op, inputs, {wanted.get(), node.outputs.size()}, captures);
    });
    if (exact_ != nullptr && node.captures.empty())
      keep_exact(*op, node, graph_, {wanted.get(), node.outputs.size()}, outputs, *exact_);
    replace(id, outputs);
  }

  bool affordable(const Node& node) const {
    return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId output) {
      if (!output.valid()) return true;
      const ValueType& type = graph_.value(output).type;
      return !type.static_shape() ||
             static_cast<std::size_t>(type.shape().elements()) <=
                 kMaxComputedBytes / std::max<std::size_t>(1, element_bytes(type.dtype));
    });
  }

  void replace(NodeId id, const std::vector<Tensor>& outputs) {
    replace_by_constants(graph_, id, outputs);
    ++computed_;
  }

  Graph& graph_;
  const PrepareOptions& options_;
  ExactConstants* exact_;
  std::size_t computed_ = 0;
};

}  // namespace

std::size_t prepare(Graph& graph, const PrepareOptions& options, ExactConstants* exact) {
  std::size_t computed = 0;
  if (options.constants) {
    do {
      computed += Computer(graph, options, exact).run();
    } while (inline_constant_branches(graph) != 0 || infer_islands(graph));
  } else {
    infer_types(graph);
  }
  if (options.dead) remove_dead(graph);
  return computed;
}

void compute_packed(Graph& graph) {
  Computer(graph, {}, nullptr).run_on_integers();
}

void check_supported(const Graph& graph) {
  for (const NodeId id : graph.live_nodes()) {
    // Subgraphs come first, so that the error names the innermost node that is not supported.
    for (const auto& [name, attribute] : graph.node(id).attributes) {
      if (const auto* subgraph = std::get_if<std::shared_ptr<const Graph>>(&attribute))
        check_supported(**subgraph);
    }
    require_op(graph, id);
  }
}

}  // namespace bnrun
