#include "program/fuse.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "graph/node_query.h"
#include "program/lowering.h"

namespace bnrun {
namespace {

class Fuser {
 public:
  Fuser(const Graph& graph, MatrixBackend backend) : graph_(graph), backend_(backend) {}

  std::vector<Step> steps() {
    std::vector<Step> steps;
    for (const NodeId id : graph_.topological_order()) {
      if (taken_.contains(id)) continue;
      require_op(graph_, id);
      const Node& node = graph_.node(id);
      auto step = lower(id);
      steps.push_back(step ? std::move(*step)
                           : Step{.op = node.op,
                                  .inputs = node.inputs,
                                  .outputs = node.outputs,
                                  .captures = node.captures,
                                  .where = describe(graph_, id)});
    }
    return steps;
  }

 private:
  /// The node, and what follows it, as the first kernel that can.
  std::optional<Step> lower(NodeId id) {
    const Node& node = graph_.node(id);
    const NodeArgs args(graph_, id);
    for (const KernelRow& row : kernel_table()) {
      auto form = row.begin(*node.op, args.get());
      if (!form) continue;
      const ValueId x = node.inputs[form->input];
      if (std::ranges::find(row.types, graph_.value(node.outputs[0]).type.dtype) == row.types.end()) continue;
      if (auto step = extend(row, id, x, std::move(*form))) return step;
    }
    return std::nullopt;
  }

  std::optional<Step> extend(const KernelRow& row, NodeId id, ValueId x, KernelForm form) {
    if (!row.fits(form)) return std::nullopt;
    std::vector<NodeId> path{id};
    while (form.activation == Activation{}) {
      const ValueId y = output_of(path.back());
      const NodeId next = sole_reader(graph_, y);
      if (!next.valid()) break;
      KernelForm longer = form;
      if (const auto map = row.takes_affine ? affine_behind(next, y) : std::nullopt) {
        auto composed = compose(form.affine, *map);
        if (!std::holds_alternative<ChannelAffine>(composed)) break;
        longer.affine = std::get<ChannelAffine>(std::move(composed));
      } else if (const auto function = row.takes_activation ? activation_behind(next) : std::nullopt) {
        longer.activation = *function;
      } else {
        break;
      }
      if (!row.fits(longer)) break;
      form = std::move(longer);
      path.push_back(next);
    }
    Step step = take(row.make(form, backend_), x, path);
    const bool blas = form.W.defined() && backend_ == MatrixBackend::blas;
    step.kernel = blas ? std::string_view("dense, BLAS") : row.name;
    step.constant_bytes = form.W.defined() ? form.W.bytes() : 0;
    return step;
  }

  ValueId output_of(NodeId id) const { return graph_.node(id).outputs[0]; }

  /// The node as an affine map of `x`, of the same type and rank.
  std::optional<ChannelAffine> affine_behind(NodeId id, ValueId x) const {
    const Node& node = graph_.node(id);
    const NodeArgs args(graph_, id);
    auto form = require_op(graph_, id).as_affine(args.get());
    if (!std::holds_alternative<AffineForm>(form) || !args.get().only_first_output_used())
      return std::nullopt;
    auto& [input, affine] = std::get<AffineForm>(form);
    const ValueType& from = graph_.value(x).type;
    const ValueType& to = graph_.value(node.outputs[0]).type;
    if (node.inputs[input] != x || from.dtype != to.dtype || !to.ranked() || from.rank() != to.rank())
      return std::nullopt;
    return std::move(affine);
  }

  std::optional<Activation> activation_behind(NodeId id) const {
    const NodeArgs args(graph_, id);
    const Op& op = require_op(graph_, id);
    return args.get().only_first_output_used() ? op.as_activation(args.get()) : std::nullopt;
  }

  Step take(std::shared_ptr<const Op> op, ValueId input, const std::vector<NodeId>& path) {
    std::string where = describe(graph_, path[0]);
    for (std::size_t i = 1; i < path.size(); ++i) where += " + " + graph_.node(path[i]).op_type;
    taken_.insert(path.begin(), path.end());
    return {.op = std::move(op),
            .inputs = {input},
            .outputs = {output_of(path.back())},
            .where = std::move(where)};
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
  const auto axes = step.op->axes(NodeArgs(graph, step.inputs, step.outputs).get());
  return axes && axes->keeps_rows();
}

}  // namespace bnrun
