// before: Y, mean, var, ... = Op(X, ..., training)     after: Y = Op(X, ...)
// Condition: nobody reads the other outputs.
#include "passes/to_inference.h"

#include <algorithm>
#include <utility>

#include "graph/node_query.h"
#include "graph/rewrite.h"
#include "passes/prepare.h"

namespace bnrun {
namespace {

Rewrite at_inference(const Node& node, NodeId id, const InferenceForm& form) {
  Rewrite rewrite;
  rewrite.why = "convert to inference";
  rewrite.removed = {id};
  Rewrite::NewNode converted{node, {}, {Operand::of(node.outputs[0])}};
  for (const auto& [name, value] : form.attributes) converted.node.set_attribute(name, value);
  for (std::size_t i = 0; i < std::min(form.inputs, node.inputs.size()); ++i)
    converted.inputs.push_back(Operand::of(node.inputs[i]));
  while (converted.inputs.back().kind == Operand::Kind::absent) converted.inputs.pop_back();
  rewrite.nodes = {std::move(converted)};
  return rewrite;
}

}  // namespace

std::vector<Conversion> convert_to_inference(Graph& graph) {
  // Whether a Dropout trains may be computed from constants.
  Graph known = graph;
  prepare(known, {.dead = false});
  std::vector<Conversion> converted;
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    if (node.op == nullptr) continue;
    const NodeArgs args(known.node(id).alive ? known : graph, id);
    const auto form = node.op->at_inference(args.get());
    if (!form) continue;
    const Rewrite rewrite = at_inference(node, id, *form);
    if (refuse(graph, rewrite)) continue;
    converted.push_back({label_of(graph, id), node.op_type, std::string(form->now)});
    apply(graph, rewrite);
  }
  return converted;
}

}  // namespace bnrun
