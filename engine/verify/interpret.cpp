#include "verify/interpret.h"

#include <algorithm>
#include <memory>

#include "base/fail.h"
#include "op/evaluate.h"

namespace bnrun {
namespace {

/// A constant that `widened` left as it is.
bool is_stored_narrower(const Value& value, const TensorView& stored) {
  return value.constant.defined() && stored.dtype != value.type.dtype;
}

}  // namespace

std::vector<Tensor> interpret(const Graph& graph, std::span<const TensorView> inputs,
                              const ValueObserver& observer,
                              std::span<const std::pair<std::string, TensorView>> captures,
                              const OtherConstants& others) {
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
  for (const auto& [id, tensor] : others) values[slot(id)] = tensor.view();
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
    if (std::ranges::none_of(node.outputs, &ValueId::valid)) continue;
    if (others.contains(node.outputs[0])) continue;
    const Op& op = require_op(graph, id);
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
      return evaluate(op, node_inputs, {wanted.get(), node.outputs.size()}, node_captures);
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
