#include "fold/rewrite_linear.h"

#include <algorithm>
#include <map>
#include <set>

#include "graph/fail.h"
#include "ops/common.h"

namespace bnrun {
namespace {

/// The map on every element, in double.
Tensor applied(const ChannelAffine& map, const Tensor& constant) {
  Tensor result(constant.shape(), read_doubles(constant.view()));
  const Shape& shape = constant.shape();
  const auto axis = static_cast<std::size_t>(std::max(map.axis, 0));
  const std::int64_t inner = map.uniform() ? 1 : shape.elements(axis + 1, shape.rank());
  for (std::int64_t i = 0; double& x : result.mutable_span<double>()) {
    const std::size_t c = map.uniform() ? 0 : static_cast<std::size_t>(i / inner) % map.channels();
    x = map.scale[c] * x + map.shift[c];
    ++i;
  }
  return result;
}

class LinearRewriter {
 public:
  LinearRewriter(const FoldView& view, std::size_t& flushed)
      : view_(view), graph_(view.graph()), flushed_(flushed) {}

  Rewrite make(std::span<const Candidate* const> candidates, std::span<const FoldedLinear> linears) {
    for (const Candidate* candidate : candidates) substitute(*candidate);
    for (const Candidate* candidate : candidates) {
      for (const Route::Step& step : candidate->route.steps) {
        if (step.role == Route::Role::passed) copy_node(candidate->route, step);
      }
    }
    for (const auto& [id, absorbed] : linears) add_linear(id, absorbed);
    return std::move(rewrite_);
  }

 private:
  /// Says what stands in the place of each value on the way, and removes the affine operators.
  void substitute(const Candidate& candidate) {
    const Chain& chain = *candidate.chain;
    const bool back = candidate.route.direction == FoldDirection::backward;
    rewrite_.removed.insert(rewrite_.removed.end(), chain.nodes.begin(), chain.nodes.end());
    replace(back ? chain.input : chain.output, back ? chain.output : chain.input);
    for (const auto& [id, role, ports] : candidate.route.steps) {
      const Node& node = graph_.node(id);
      if (role != Route::Role::linear) rewrite_.removed.push_back(id);
      for (const std::size_t port : ports) {
        const ValueId value = back ? node.inputs[port] : node.outputs[port];
        if (graph_.value(value).as_constant() != nullptr) continue;
        if (role == Route::Role::collected)
          replace(back ? node.outputs[0] : value, back ? value : data_of(candidate.route, node));
        if (role == Route::Role::passed || back) changed_.insert(value);
      }
    }
  }

  /// `by` stands where `value` stood. What stands in for either already, stands in for both.
  void replace(ValueId value, ValueId by) {
    if (replaced_by_.contains(value))
      replaced_by_.emplace(by, value);
    else
      replaced_by_.emplace(value, by);
  }

  /// What stands in the place of a value. One that is not replaced but whose elements change gets a new name.
  Operand current(ValueId id) {
    for (auto found = replaced_by_.find(id); found != replaced_by_.end(); found = replaced_by_.find(id))
      id = found->second;
    if (!changed_.contains(id)) return Operand::of(id);
    const auto known = fresh_.find(id);
    if (known != fresh_.end()) return known->second;
    return fresh_.emplace(id, rewrite_.add_value(folded_name(id), graph_.value(id).type)).first->second;
  }

  /// The input of an affine operator on a way down that carries the map.
  static ValueId data_of(const Route& route, const Node& node) {
    return *std::find_if(node.inputs.begin(), node.inputs.end(),
                         [&](ValueId input) { return input.valid() && route.maps.contains(input); });
  }

  std::string folded_name(ValueId id) const { return graph_.value(id).name + "_folded"; }

  /// An operator on the way; of its constants those change that the map goes on to.
  void copy_node(const Route& route, const Route::Step& step) {
    const Node& node = graph_.node(step.node);
    Rewrite::NewNode copy{node, {}, {}};
    for (const ValueId input : node.inputs) copy.inputs.push_back(current(input));
    for (const ValueId output : node.outputs) copy.outputs.push_back(current(output));
    for (const std::size_t port : step.ports) {
      if (route.direction == FoldDirection::forward) break;
      const ValueId input = node.inputs[port];
      if (graph_.value(input).as_constant() == nullptr) continue;
      const NodeArgs args = view_.args(step.node);
      const ScaledTensor exact{applied(route.maps.at(input), *args.get().constant(port))};
      copy.inputs[port] = rewrite_.add_constant(
          folded_name(input), round_to_storage(exact, graph_.value(input).type.dtype, flushed_));
    }
    rewrite_.nodes.push_back(std::move(copy));
  }

  void add_linear(NodeId id, const Absorbed& absorbed) {
    const Node& old = graph_.node(id);
    rewrite_.removed.push_back(id);
    Rewrite::NewNode folded{old, {}, {}};
    for (const auto& [name, value] : absorbed.attributes) folded.node.attributes[name] = value;
    for (const ValueId input : old.inputs) folded.inputs.push_back(current(input));
    for (const auto& [index, scaled] : absorbed.inputs) {
      if (folded.inputs.size() <= index) folded.inputs.resize(index + 1);
      const ValueId previous = index < old.inputs.size() ? old.inputs[index] : ValueId{};
      const DType storage = graph_.value(previous.valid() ? previous : old.outputs[0]).type.dtype;
      const std::string stem =
          previous.valid() ? folded_name(previous) : fmt::format("{}_input_{}", label_of(graph_, id), index);
      folded.inputs[index] = rewrite_.add_constant(stem, round_to_storage(scaled, storage, flushed_));
    }
    const Operand result = current(old.outputs[0]);
    const bool adds = !absorbed.remaining.is_identity();
    const ValueType& type = graph_.value(old.outputs[0]).type;
    folded.outputs = {adds ? rewrite_.add_value(folded_name(old.outputs[0]), type) : result};
    const Operand unshifted = folded.outputs[0];
    rewrite_.nodes.push_back(std::move(folded));
    if (adds) add_shift(label_of(graph_, id) + "_bias", unshifted, absorbed.remaining, type, result);
  }

  void add_shift(const std::string& name, Operand data, const ChannelAffine& affine, const ValueType& type,
                 Operand result) {
    Shape shape;
    if (!affine.uniform()) {
      shape.push_back(static_cast<std::int64_t>(affine.channels()));
      for (auto axis = static_cast<std::size_t>(affine.axis) + 1; axis < type.rank(); ++axis)
        shape.push_back(1);
    }
    Node add;
    add.name = name;
    add.op_type = "Add";
    if (graph_.opset("") < 7) add.attributes = {{"broadcast", std::int64_t{1}}};
    const ScaledTensor exact{Tensor(shape, affine.shift)};
    const Operand shift = rewrite_.add_constant(name, round_to_storage(exact, type.dtype, flushed_));
    rewrite_.nodes.push_back({std::move(add), {data, shift}, {result}});
  }

  const FoldView& view_;
  const Graph& graph_;
  std::size_t& flushed_;
  Rewrite rewrite_;
  std::map<ValueId, ValueId> replaced_by_;
  std::set<ValueId> changed_;  ///< their elements are others than before
  std::map<ValueId, Operand> fresh_;
};

}  // namespace

Rewrite rewrite_linears(const FoldView& view, std::span<const Candidate* const> candidates,
                        std::span<const FoldedLinear> linears, std::size_t& flushed) {
  return LinearRewriter(view, flushed).make(candidates, linears);
}

std::string label_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.name.empty() || node.outputs.empty() || !node.outputs[0].valid()) return node.name;
  return graph.value(node.outputs[0]).name;
}

}  // namespace bnrun
