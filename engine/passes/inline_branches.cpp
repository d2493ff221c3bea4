// before: y... = Op(condition) { subgraphs }, condition constant
// after:  the nodes of the branch taken, its values renamed where a name is taken; its outputs are y...
#include "passes/inline_branches.h"

#include <algorithm>

#include "graph/node_query.h"
#include "graph/rewrite.h"

namespace bnrun {
namespace {

Rewrite::NewNode make_node(std::string op_type, Attributes attributes, std::vector<Operand> inputs,
                           Operand output) {
  Node node;
  node.op_type = std::move(op_type);
  node.attributes = std::move(attributes);
  return {std::move(node), std::move(inputs), {output}};
}

std::optional<Rewrite> inlined(const Graph& graph, NodeId id, const Graph& branch) {
  const Node& node = graph.node(id);
  Rewrite rewrite;
  rewrite.why = "the condition is constant";
  rewrite.removed = {id};
  std::vector<Operand> mapped(branch.value_slots());
  const auto slot = [&](ValueId value) -> Operand& { return mapped[static_cast<std::size_t>(value.index)]; };
  const auto names = captured_names(node.attributes);
  for (const ValueId value_id : branch.live_values()) {
    const Value& value = branch.value(value_id);
    if (value.captured) {
      const auto at = std::find(names.begin(), names.end(), value.name) - names.begin();
      slot(value_id) = Operand::of(node.captures.at(static_cast<std::size_t>(at)));
    } else if (value.constant.defined()) {
      slot(value_id) = rewrite.add_value(value.name, ValueType::of(value.constant.view()));
      rewrite.nodes.push_back(make_node("Constant", {{"value", value.constant}}, {}, slot(value_id)));
    } else {
      slot(value_id) = rewrite.add_value(value.name, {value.type.dtype, std::nullopt});
    }
  }
  // A produced value that is one output becomes that output; any other output is a copy.
  std::vector<bool> copied(branch.outputs().size(), true);
  for (std::size_t i = 0; i < copied.size(); ++i) {
    const ValueId output = branch.outputs()[i];
    const bool once = std::count(branch.outputs().begin(), branch.outputs().end(), output) == 1;
    if (!branch.value(output).producer.valid() || !once || !node.outputs[i].valid()) continue;
    slot(output) = Operand::of(node.outputs[i]);
    copied[i] = false;
  }
  const auto map_all = [&](const std::vector<ValueId>& ids) {
    std::vector<Operand> operands;
    for (const ValueId value : ids) operands.push_back(value.valid() ? slot(value) : Operand::absent());
    return operands;
  };
  for (const NodeId inner : branch.topological_order()) {
    // What only the file holds would be lost with the node's place in it.
    const auto is_opaque = [](const auto& attribute) {
      return std::holds_alternative<OpaqueAttribute>(attribute.second);
    };
    if (std::ranges::any_of(branch.node(inner).attributes, is_opaque)) return std::nullopt;
    Rewrite::NewNode added{branch.node(inner), map_all(branch.node(inner).inputs),
                           map_all(branch.node(inner).outputs)};
    added.node.source = -1;
    for (ValueId& capture : added.node.captures) {
      if (!branch.value(capture).captured) return std::nullopt;
      capture = {slot(capture).index};
    }
    rewrite.nodes.push_back(std::move(added));
  }
  for (std::size_t i = 0; i < copied.size(); ++i) {
    if (copied[i] && node.outputs[i].valid())
      rewrite.nodes.push_back(
          make_node("Identity", {}, {slot(branch.outputs()[i])}, Operand::of(node.outputs[i])));
  }
  return rewrite;
}

}  // namespace

std::size_t inline_constant_branches(Graph& graph) {
  std::size_t inlined_count = 0;
  for (const NodeId id : graph.live_nodes()) {
    const Node& node = graph.node(id);
    if (!node.alive || node.op == nullptr) continue;
    const NodeArgs args(graph, id);
    const auto branch = at_node(graph, id, [&] { return node.op->chosen_branch(args.get()); });
    if (branch == nullptr) continue;
    const auto rewrite = inlined(graph, id, *branch);
    if (!rewrite || refuse(graph, *rewrite)) continue;
    apply(graph, *rewrite);
    ++inlined_count;
  }
  return inlined_count;
}

}  // namespace bnrun
