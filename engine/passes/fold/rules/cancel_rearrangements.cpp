#include "passes/fold/rules.h"

namespace bnrun {

// before: x -> R1 -> h -> R2 -> y     after: x = y
// Conditions: R1 and R2 only move elements; R2 undoes R1; h has no other reader; y has the dimensions of x.
std::optional<Rewrite> cancel_rearrangements(const FoldView& view, NodeId first) {
  const Graph& graph = view.graph();
  const NodeArgs first_args = view.args(first);
  const auto moved = view.op(first)->axes(first_args.get());
  if (!moved || moved->elements == AxisMap::Elements::computed) return std::nullopt;
  const ValueId h = graph.node(first).outputs[0];
  const NodeId second = sole_reader(graph, h);
  if (!second.valid() || graph.node(second).inputs[0] != h || view.op(second) == nullptr) return std::nullopt;
  const NodeArgs second_args = view.args(second);
  const auto moved_back = view.op(second)->axes(second_args.get());
  if (!moved_back || moved->elements != moved_back->elements) return std::nullopt;
  for (std::size_t i = 0; moved->elements == AxisMap::Elements::moved && i < moved_back->from.size(); ++i) {
    if (moved->from.at(*moved_back->from[i]) != i) return std::nullopt;
  }
  const ValueId x = graph.node(first).inputs[0];
  const ValueId y = graph.node(second).outputs[0];
  const auto& x_dims = graph.value(x).type.dims;
  const auto& y_dims = graph.value(y).type.dims;
  if (!x_dims || !y_dims || *x_dims != *y_dims) return std::nullopt;
  return bypass(graph, {first, second}, y, x,
                "cancel " + describe(graph, first) + " and " + describe(graph, second));
}

}  // namespace bnrun
