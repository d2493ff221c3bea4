#include "program/fuse.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "graph/node_query.h"
#include "program/fused_ops.h"

namespace bnrun {
namespace {

/// Nobody reads an output of the node besides the first.
bool only_first_output_used(const FoldArgs& args) {
  return std::find(args.output_used.begin() + 1, args.output_used.end(), true) == args.output_used.end();
}

bool computes_in_own_type(const ValueType& type) {
  return type.dtype == DType::float32 || type.dtype == DType::float64;
}

class Fuser {
 public:
  Fuser(const Graph& graph, MatrixBackend backend) : graph_(graph), backend_(backend) {}

  std::vector<Step> steps() {
    std::vector<Step> steps;
    for (const NodeId id : graph_.topological_order()) {
      if (taken_.contains(id)) continue;
      const Op& op = require_op(graph_, id);
      const Node& node = graph_.node(id);
      if (auto step = fuse_dense(id, op))
        steps.push_back(std::move(*step));
      else if (step = fuse_affine(id, op); step)
        steps.push_back(std::move(*step));
      else
        steps.push_back({node.op, node.inputs, node.outputs, node.captures, describe(graph_, id)});
    }
    return steps;
  }

 private:
  std::optional<Step> fuse_dense(NodeId id, const Op& op) {
    const Node& node = graph_.node(id);
    const auto form = op.as_dense(NodeArgs(graph_, id).get());
    // The rank of the input may be unknown where the operator tells that of its output, which is the same.
    const ValueType& result = graph_.value(node.outputs[0]).type;
    if (!form || !result.ranked()) return std::nullopt;
    const auto N = static_cast<std::size_t>(form->W.shape()[1]);
    ChannelAffine affine = ChannelAffine{}.on_axis(static_cast<int>(result.rank()) - 1, N);
    if (form->b.defined()) {
      const Tensor b = convert(form->b, DType::float64);
      affine.shift.assign(b.data<double>(), b.data<double>() + N);
    }
    auto best = make_dense_op(form->W, affine, {}, backend_);
    if (best == nullptr) return std::nullopt;

    std::vector<NodeId> path{id};
    Activation activation;
    for (NodeId next = sole_reader(graph_, node.outputs[0]); next.valid();
         next = sole_reader(graph_, output_of(path.back()))) {
      if (const auto map = affine_behind(next, output_of(path.back())); map && activation == Activation{}) {
        auto composed = compose(affine, *map);
        if (!std::holds_alternative<ChannelAffine>(composed)) break;
        affine = std::get<ChannelAffine>(std::move(composed));
      } else if (const auto function = activation_behind(next); function && activation == Activation{}) {
        activation = *function;
      } else {
        break;
      }
      auto longer = make_dense_op(form->W, affine, activation, backend_);
      if (longer == nullptr) break;
      best = std::move(longer);
      path.push_back(next);
    }
    return take(std::move(best), node.inputs[0], path);
  }

  std::optional<Step> fuse_affine(NodeId id, const Op& op) {
    const Node& node = graph_.node(id);
    const NodeArgs args(graph_, id);
    const auto form = op.as_affine(args.get());
    if (!std::holds_alternative<AffineForm>(form) || !only_first_output_used(args.get())) return std::nullopt;
    const auto& [input, affine] = std::get<AffineForm>(form);
    const ValueId x = node.inputs[input];
    if (affine.is_identity() || !computes_in_own_type(graph_.value(x).type)) return std::nullopt;
    std::vector<NodeId> path{id};
    Activation activation;
    if (const NodeId next = sole_reader(graph_, node.outputs[0]); next.valid()) {
      if (const auto function = activation_behind(next)) {
        activation = *function;
        path.push_back(next);
      }
    }
    return take(make_channel_affine_op(affine, activation), x, path);
  }

  ValueId output_of(NodeId id) const { return graph_.node(id).outputs[0]; }

  /// The node as an affine map of `x`, of the same type and rank.
  std::optional<ChannelAffine> affine_behind(NodeId id, ValueId x) const {
    const Op& op = require_op(graph_, id);
    const Node& node = graph_.node(id);
    const NodeArgs args(graph_, id);
    auto form = op.as_affine(args.get());
    if (!std::holds_alternative<AffineForm>(form) || !only_first_output_used(args.get())) return std::nullopt;
    auto& [input, affine] = std::get<AffineForm>(form);
    const ValueType& from = graph_.value(x).type;
    const ValueType& to = graph_.value(node.outputs[0]).type;
    if (node.inputs[input] != x || from.dtype != to.dtype || !to.ranked() || from.rank() != to.rank())
      return std::nullopt;
    return std::move(affine);
  }

  std::optional<Activation> activation_behind(NodeId id) const {
    const Op& op = require_op(graph_, id);
    const NodeArgs args(graph_, id);
    return only_first_output_used(args.get()) ? op.as_activation(args.get()) : std::nullopt;
  }

  Step take(std::shared_ptr<const Op> op, ValueId input, const std::vector<NodeId>& path) {
    std::string where = describe(graph_, path[0]);
    for (std::size_t i = 1; i < path.size(); ++i) where += " + " + graph_.node(path[i]).op_type;
    taken_.insert(path.begin(), path.end());
    return {std::move(op), {input}, {output_of(path.back())}, {}, std::move(where)};
  }

  const Graph& graph_;
  MatrixBackend backend_;
  std::set<NodeId> taken_;
};

}  // namespace

std::vector<Step> fuse_steps(const Graph& graph, MatrixBackend backend) {
  return Fuser(graph, backend).steps();
}

bool is_row_wise(const Graph& graph, const Step& step) {
  if (step.inputs.empty() || !step.inputs[0].valid() || step.outputs.size() != 1 || !step.captures.empty())
    return false;
  for (std::size_t i = 1; i < step.inputs.size(); ++i) {
    if (step.inputs[i].valid() && graph.value(step.inputs[i]).as_constant() == nullptr) return false;
  }
  return step.op->row_wise(NodeArgs(graph, step.inputs, step.outputs).get());
}

}  // namespace bnrun
