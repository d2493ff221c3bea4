#include "fold/rewrite_linear.h"

#include <cmath>
#include <limits>
#include <optional>

#include "graph/dispatch.h"
#include "graph/fail.h"

namespace bnrun {
namespace {

double smallest_normal(DType dtype) {
  if (dtype == DType::float16) return 0x1p-14;
  if (dtype == DType::float64) return std::numeric_limits<double>::min();
  return static_cast<double>(std::numeric_limits<float>::min());  // bfloat16 has float's exponents
}

Tensor round_to_storage(const Tensor& exact, DType dtype, std::size_t& flushed) {
  Tensor rounded(dtype, exact.shape());
  const double limit = smallest_normal(dtype);
  dispatch(FloatTypes{}, dtype, [&]<class T>() {
    const double* in = exact.data<double>();
    for (T& out : rounded.mutable_span<T>()) {
      const double value = *in++;
      const bool flush = value != 0.0 && std::abs(value) < limit;
      flushed += flush ? 1 : 0;
      out = T(static_cast<ComputeType<T>>(flush ? 0.0 : value));
    }
  });
  return rounded;
}

class LinearRewriter {
 public:
  LinearRewriter(const Graph& graph, NodeId linear, Rewrite& rewrite, std::size_t& flushed)
      : graph_(graph), linear_(linear), old_(graph.node(linear)), rewrite_(rewrite), flushed_(flushed) {}

  void make(const Candidate* before, const Candidate* after, const Absorbed& absorbed) {
    rewrite_.removed.push_back(linear_);
    Operand data = Operand::of(old_.inputs[0]);
    if (before != nullptr) {
      remove(before->route.collected);
      data = Operand::of(before->chain->input);
      for (const NodeId id : before->route.passed) data = copy_node(id, data, std::nullopt);
    }
    const Operand end = Operand::of(after != nullptr ? after->chain->output : old_.outputs[0]);
    const bool adds = !absorbed.remaining.is_identity();
    const bool passes = after != nullptr && !after->route.passed.empty();
    Operand result = add_linear(data, absorbed, adds || passes ? std::nullopt : std::optional(end));
    if (adds) result = add_shift(result, absorbed.remaining, passes ? std::nullopt : std::optional(end));
    if (after != nullptr) {
      remove(after->route.collected);
      const auto& passed = after->route.passed;
      for (const NodeId id : passed)
        result = copy_node(id, result, id == passed.back() ? std::optional(end) : std::nullopt);
    }
  }

 private:
  void remove(const std::vector<NodeId>& nodes) {
    rewrite_.removed.insert(rewrite_.removed.end(), nodes.begin(), nodes.end());
  }

  /// A value whose elements differ from those of the `old` it replaces never keeps its name.
  Operand changed_value(ValueId old) {
    return rewrite_.add_value(graph_.value(old).name + "_folded", graph_.value(old).type);
  }

  Operand add_linear(Operand data, const Absorbed& absorbed, std::optional<Operand> output) {
    Rewrite::NewNode folded{old_, {}, {}};
    for (const auto& [name, value] : absorbed.attributes) folded.node.attributes[name] = value;
    for (const ValueId input : old_.inputs) folded.inputs.push_back(Operand::of(input));
    folded.inputs[0] = data;
    for (const auto& [index, exact] : absorbed.inputs) {
      if (folded.inputs.size() <= index) folded.inputs.resize(index + 1);
      const ValueId previous = index < old_.inputs.size() ? old_.inputs[index] : ValueId{};
      const DType storage = graph_.value(previous.valid() ? previous : old_.outputs[0]).type.dtype;
      const std::string stem = previous.valid()
                                   ? graph_.value(previous).name + "_folded"
                                   : fmt::format("{}_input_{}", label_of(graph_, linear_), index);
      folded.inputs[index] = rewrite_.add_constant(stem, round_to_storage(exact, storage, flushed_));
    }
    const Operand result = output ? *output : changed_value(old_.outputs[0]);
    folded.outputs = {result};
    rewrite_.nodes.push_back(std::move(folded));
    return result;
  }

  Operand add_shift(Operand data, const ChannelAffine& affine, std::optional<Operand> output) {
    const ValueType& type = graph_.value(old_.outputs[0]).type;
    Shape shape;
    if (!affine.uniform()) {
      shape.push_back(static_cast<std::int64_t>(affine.channels()));
      for (auto axis = static_cast<std::size_t>(affine.axis) + 1; axis < type.rank(); ++axis)
        shape.push_back(1);
    }
    Node add;
    add.name = label_of(graph_, linear_) + "_bias";
    add.op_type = "Add";
    if (graph_.opset("") < 7) add.attributes = {{"broadcast", std::int64_t{1}}};
    const Tensor exact(shape, affine.shift);
    const Operand shift = rewrite_.add_constant(add.name, round_to_storage(exact, type.dtype, flushed_));
    const Operand result = output ? *output : changed_value(old_.outputs[0]);
    rewrite_.nodes.push_back({std::move(add), {data, shift}, {result}});
    return result;
  }

  Operand copy_node(NodeId id, Operand data, std::optional<Operand> output) {
    const Node& node = graph_.node(id);
    rewrite_.removed.push_back(id);
    Rewrite::NewNode copy{node, {}, {}};
    for (const ValueId input : node.inputs) copy.inputs.push_back(Operand::of(input));
    copy.inputs[0] = data;
    const Operand result = output ? *output : changed_value(node.outputs[0]);
    copy.outputs = {result};
    rewrite_.nodes.push_back(std::move(copy));
    return result;
  }

  const Graph& graph_;
  NodeId linear_;
  const Node& old_;
  Rewrite& rewrite_;
  std::size_t& flushed_;
};

}  // namespace

void rewrite_linear(const Graph& graph, NodeId linear, const Candidate* before, const Candidate* after,
                    const Absorbed& absorbed, Rewrite& rewrite, std::size_t& flushed) {
  LinearRewriter(graph, linear, rewrite, flushed).make(before, after, absorbed);
}

void remove_chain(const Chain& chain, Rewrite& rewrite) {
  rewrite.removed.insert(rewrite.removed.end(), chain.nodes.begin(), chain.nodes.end());
}

std::string label_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.name.empty() || node.outputs.empty() || !node.outputs[0].valid()) return node.name;
  return graph.value(node.outputs[0]).name;
}

}  // namespace bnrun
