#include "ops/evaluate.h"

#include <algorithm>

#include "graph/fail.h"
#include "graph/rewrite.h"
#include "ops/inline_branches.h"

namespace bnrun {
namespace {

class HeapAllocator : public OutputAllocator {
 public:
  explicit HeapAllocator(std::vector<Tensor>& outputs) : outputs_(outputs) {}
  MutableTensorView allocate(std::size_t i, DType dtype, const Shape& shape) override {
    outputs_[i] = Tensor(dtype, shape);
    return outputs_[i].mutable_view();
  }

 private:
  std::vector<Tensor>& outputs_;
};

/// Runs `action`, naming the node in its errors.
template <class F>
auto at_node(const Graph& graph, NodeId id, F&& action) {
  try {
    return action();
  } catch (const Error& error) {
    throw error.within(describe(graph, id));
  }
}

/// A constant that `widened` left as it is.
bool is_stored_narrower(const Value& value, const TensorView& stored) {
  return value.constant.defined() && stored.dtype != value.type.dtype;
}

/// Parameters of layers are small; a weight matrix that passes an Identity is not worth a copy in double.
constexpr std::int64_t kMaxExactElements = 1 << 16;

/// Evaluates a node of constants in double. An operator that does not take double leaves no trace: the
/// rounded constant is then as exact as it gets.
void keep_exact(const Op& op, const Node& node, const Graph& graph, std::span<const bool> wanted,
                ExactConstants& exact) {
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
      if (outputs[i].defined() && outputs[i].dtype() == DType::float64) exact[node.outputs[i]] = outputs[i];
    }
  } catch (const Error&) {
    return;
  }
}

}  // namespace

std::vector<Tensor> evaluate(const Op& op, std::span<const TensorView> inputs, std::span<const bool> wanted,
                             std::span<const TensorView> captures) {
  std::vector<ValueType> types;
  for (const TensorView& input : inputs) {
    types.push_back(input.defined() ? ValueType::of(input) : ValueType{});
  }
  const auto inferred = op.infer({.inputs = types, .values = inputs, .outputs = wanted.size()});
  std::vector<Tensor> outputs(wanted.size());
  std::vector<MutableTensorView> views(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i] || i >= inferred.size() || inferred[i].dtype == DType::undefined ||
        !inferred[i].static_shape())
      continue;
    outputs[i] = Tensor(inferred[i].dtype, inferred[i].shape());
    views[i] = outputs[i].mutable_view();
  }
  HeapAllocator allocator(outputs);
  op.run({.inputs = inputs, .outputs = views, .captures = captures, .allocator = &allocator});
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i]) outputs[i] = Tensor();
  }
  return outputs;
}

void infer_types(Graph& graph) {
  for (const NodeId id : graph.topological_order()) {
    const auto op = find_op(graph, id);
    if (op == nullptr) continue;
    const Node& node = graph.node(id);
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
    if (!known) continue;
    const auto inferred = at_node(graph, id, [&] {
      return op->infer({.inputs = types, .values = values, .outputs = node.outputs.size()});
    });
    for (std::size_t i = 0; i < node.outputs.size() && i < inferred.size(); ++i) {
      const ValueId output = node.outputs[i];
      if (!output.valid()) continue;
      const auto merged = merge(inferred[i], graph.value(output).type);
      if (!merged) {
        fail(ErrorCode::invalid_model, "{}: output '{}' is {}, but the model declares {}",
             describe(graph, id), graph.value(output).name, to_string(inferred[i]),
             to_string(graph.value(output).type));
      }
      graph.set_type(output, *merged);
    }
  }
}

namespace {

/// The outputs of a node as far as their types tell every element (shapes of static tensors, say): empty when
/// they do not.
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

/// One pass in topological order. Returns the number of nodes that became constants.
std::size_t compute_constants(Graph& graph, ExactConstants* exact, std::size_t max_bytes) {
  std::size_t computed = 0;
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    if (const auto known = outputs_by_content(graph, node); !known.empty()) {
      replace_by_constants(graph, id, known);
      ++computed;
      continue;
    }
    bool constant = true;
    const auto views_of = [&](const std::vector<ValueId>& ids) {
      std::vector<TensorView> views;
      for (const ValueId value : ids) {
        const Tensor* tensor = value.valid() ? graph.value(value).as_constant() : nullptr;
        views.push_back(tensor != nullptr ? tensor->view() : TensorView{});
        constant = constant && (!value.valid() || tensor != nullptr);
      }
      return views;
    };
    const auto inputs = views_of(node.inputs);
    const auto captures = views_of(node.captures);
    if (!constant) continue;
    const auto op = find_op(graph, id);
    if (op == nullptr || !op->deterministic()) continue;
    if (const Tensor* held = op->held_output()) {
      replace_by_constants(graph, id, {*held});
      ++computed;
      continue;
    }
    const bool affordable = std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId output) {
      if (!output.valid()) return true;
      const ValueType& type = graph.value(output).type;
      return !type.static_shape() ||
             static_cast<std::size_t>(type.shape().elements()) * element_bytes(type.dtype) <= max_bytes;
    });
    if (!affordable) continue;
    const std::unique_ptr<bool[]> wanted(new bool[node.outputs.size()]);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) wanted[i] = node.outputs[i].valid();
    const auto outputs = at_node(graph, id, [&] {
      return evaluate(*op, inputs, {wanted.get(), node.outputs.size()}, captures);
    });
    if (exact != nullptr && node.captures.empty())
      keep_exact(*op, node, graph, {wanted.get(), node.outputs.size()}, *exact);
    replace_by_constants(graph, id, outputs);
    ++computed;
  }
  return computed;
}

}  // namespace

std::size_t evaluate_constants(Graph& graph, ExactConstants* exact, std::size_t max_bytes) {
  std::size_t computed = compute_constants(graph, exact, max_bytes);
  while (inline_constant_branches(graph) != 0) {
    infer_types(graph);
    computed += compute_constants(graph, exact, max_bytes);
  }
  return computed;
}

void check_supported(const Graph& graph) {
  for (const NodeId id : graph.live_nodes()) {
    // What lies deepest is named: a control flow operator is supported as far as its subgraphs are.
    for (const auto& [name, attribute] : graph.node(id).attributes) {
      if (const auto* subgraph = std::get_if<std::shared_ptr<const Graph>>(&attribute))
        check_supported(**subgraph);
    }
    require_op(graph, id);
  }
}

std::vector<Tensor> interpret(const Graph& graph, std::span<const TensorView> inputs,
                              const ValueObserver& observer,
                              std::span<const std::pair<std::string, TensorView>> captures) {
  if (inputs.size() != graph.inputs().size()) {
    fail(ErrorCode::invalid_input, "{} inputs given, the graph has {}", inputs.size(), graph.inputs().size());
  }
  std::vector<TensorView> values(graph.value_slots());
  std::vector<Tensor> owned(graph.value_slots());
  const auto slot = [](ValueId id) { return static_cast<std::size_t>(id.index); };
  for (const ValueId id : graph.live_values()) {
    const Value& value = graph.value(id);
    if (value.constant.defined()) values[slot(id)] = value.constant.view();
    if (!value.captured) continue;
    const auto found =
        std::find_if(captures.begin(), captures.end(), [&](const auto& c) { return c.first == value.name; });
    if (found == captures.end())
      fail(ErrorCode::invalid_model, "the subgraph reads '{}', which nobody defines", value.name);
    values[slot(id)] = found->second;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined()) values[slot(graph.inputs()[i])] = inputs[i];
    if (observer && inputs[i].defined()) observer(graph.inputs()[i], Tensor::copy_of(inputs[i]));
  }

  const auto order = graph.topological_order();
  std::vector<std::size_t> uses_left(graph.value_slots(), 0);
  for (const ValueId id : graph.live_values()) {
    uses_left[slot(id)] = graph.value(id).users.size() + (graph.value(id).is_output ? 1 : 0);
  }
  for (const NodeId id : order) {
    const Node& node = graph.node(id);
    const auto op = require_op(graph, id);
    std::vector<Tensor> wide;
    const auto gather = [&](const std::vector<ValueId>& ids) {
      std::vector<TensorView> views;
      for (const ValueId v : ids) {
        views.push_back(v.valid() ? values[slot(v)] : TensorView{});
        if (!v.valid() || !is_stored_narrower(graph.value(v), views.back())) continue;
        wide.push_back(convert(views.back(), graph.value(v).type.dtype));
        views.back() = wide.back().view();
      }
      return views;
    };
    const auto node_inputs = gather(node.inputs);
    const auto node_captures = gather(node.captures);
    const std::unique_ptr<bool[]> wanted(new bool[node.outputs.size()]);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) wanted[i] = node.outputs[i].valid();
    auto outputs = at_node(graph, id, [&] {
      return evaluate(*op, node_inputs, {wanted.get(), node.outputs.size()}, node_captures);
    });
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const ValueId output = node.outputs[i];
      if (!output.valid()) continue;
      if (!outputs[i].defined()) fail(ErrorCode::internal, "{} left output {} empty", describe(graph, id), i);
      if (observer) observer(output, outputs[i]);
      owned[slot(output)] = std::move(outputs[i]);
      values[slot(output)] = owned[slot(output)].view();
    }
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) {
        if (v.valid() && --uses_left[slot(v)] == 0) owned[slot(v)] = Tensor();
      }
    }
  }
  std::vector<Tensor> results;
  for (const ValueId id : graph.outputs()) {
    if (!values[slot(id)].defined())
      fail(ErrorCode::invalid_model, "output '{}' is computed by no node", graph.value(id).name);
    const TensorView& view = values[slot(id)];
    const bool narrower = is_stored_narrower(graph.value(id), view);
    results.push_back(owned[slot(id)].defined() ? owned[slot(id)]
                      : narrower                ? convert(view, graph.value(id).type.dtype)
                                                : Tensor::copy_of(view));
  }
  return results;
}

}  // namespace bnrun
