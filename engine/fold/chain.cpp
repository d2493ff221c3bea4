#include "fold/chain.h"

#include <map>
#include <set>
#include <utility>

namespace bnrun {
namespace {

Declined declined_value(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (value.users.empty()) return {Decline::no_linear_neighbour, {}};
  if (value.is_output) return {Decline::intermediate_is_output, "'" + value.name + "'"};
  if (value.users.size() == 1)
    return {Decline::intermediate_is_output, "'" + value.name + "' is read by a subgraph"};
  return {Decline::intermediate_used_elsewhere, "'" + value.name + "'"};
}

int cost_of(const ChannelAffine& affine) {
  return affine.has_scale() ? 2 : 1;
}

}  // namespace

std::vector<Chain> find_chains(FoldView& view) {
  const Graph& graph = view.graph();
  const auto order = graph.topological_order();
  std::map<NodeId, AffineForm> forms;
  for (const NodeId id : order) {
    const Op* op = view.op(id);
    if (op == nullptr) continue;
    const NodeArgs args = view.args(id);
    auto form = op->as_affine(args.get());
    if (auto* found = std::get_if<AffineForm>(&form)) forms.emplace(id, std::move(*found));
  }
  std::vector<Chain> chains;
  std::set<NodeId> in_chain;
  for (const NodeId id : order) {
    if (!forms.contains(id) || in_chain.contains(id)) continue;
    const auto data_input = [&](NodeId node) { return graph.node(node).inputs[forms.at(node).input]; };
    Chain chain{
        {id}, data_input(id), graph.node(id).outputs[0], forms.at(id).affine, cost_of(forms.at(id).affine)};
    for (;;) {
      const NodeId next = sole_reader(graph, chain.output);
      if (!next.valid() || !forms.contains(next) || data_input(next) != chain.output) break;
      auto both = compose(chain.affine, forms.at(next).affine);
      if (std::holds_alternative<Declined>(both)) break;
      chain.affine = std::move(std::get<ChannelAffine>(both));
      chain.cost += cost_of(forms.at(next).affine);
      chain.output = graph.node(next).outputs[0];
      chain.nodes.push_back(next);
      in_chain.insert(next);
    }
    chains.push_back(std::move(chain));
  }
  return chains;
}

OrDeclined<Route> find_route(FoldView& view, const Chain& chain, FoldDirection direction, NodeId first) {
  const Graph& graph = view.graph();
  const bool back = direction == FoldDirection::backward;
  Route route{{}, {}, {}, chain.affine, chain.cost};
  ValueId value = back ? chain.input : chain.output;
  for (;;) {
    // On the way up the value would change under its other readers; on the way down it would no longer exist.
    const NodeId reader = first.valid() ? std::exchange(first, NodeId{}) : sole_reader(graph, value);
    if (!reader.valid()) return declined_value(graph, value);
    const NodeId id = back ? graph.value(value).producer : reader;
    if (!id.valid()) return Declined{Decline::no_linear_neighbour, {}};
    const Node& node = graph.node(id);
    const Op* op = view.op(id);
    if (op == nullptr) return Declined{Decline::activation_between, describe(graph, id)};
    const NodeArgs args = view.args(id);
    const auto on_path = [&](std::size_t input) {
      return back ? node.outputs[0] == value : node.inputs[input] == value;
    };
    const auto step = [&](std::size_t input) { return back ? node.inputs[input] : node.outputs[0]; };
    const auto form = op->as_affine(args.get());
    if (const auto* affine = std::get_if<AffineForm>(&form); affine != nullptr && on_path(affine->input)) {
      auto both = back ? compose(affine->affine, route.affine) : compose(route.affine, affine->affine);
      if (auto* declined = std::get_if<Declined>(&both)) return *declined;
      route.affine = std::move(std::get<ChannelAffine>(both));
      route.cost += cost_of(affine->affine);
      route.collected.push_back(id);
      value = step(affine->input);
      continue;
    }
    if (!on_path(0)) return Declined{Decline::activation_between, describe(graph, id)};
    if (op->linear()) {
      route.linear = id;
      return route;
    }
    auto passed = op->pass_affine(back ? Side::output : Side::input, route.affine, args.get());
    if (auto* declined = std::get_if<Declined>(&passed)) {
      if (declined->detail.empty()) declined->detail = describe(graph, id);
      return *declined;
    }
    route.affine = std::move(std::get<ChannelAffine>(passed));
    route.passed.insert(back ? route.passed.begin() : route.passed.end(), id);
    value = step(0);
  }
}

}  // namespace bnrun
