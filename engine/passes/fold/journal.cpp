#include "passes/fold/journal.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "base/fail.h"

namespace bnrun {
namespace {

std::string label_with_type(const Graph& graph, NodeId id) {
  return fmt::format("{} '{}'", graph.node(id).op_type, label_of(graph, id));
}

/// Of several reasons for one chain, the report gives the one with the
/// largest weight: "there is nothing to fold into" says least.
int weight_of(Decline reason) {
  switch (reason) {
    case Decline::no_linear_neighbour:
      return 0;
    case Decline::activation_between:
      return 1;
    case Decline::ill_conditioned:
      return 3;
    case Decline::limit_reached:
      return 4;
    default:
      return 2;
  }
}

}  // namespace

std::string names_of_ends(const Graph& graph, const Route& route) {
  std::string names;
  for (const NodeId id : route.nodes(Route::Role::linear))
    names += (names.empty() ? "" : ", ") + label_with_type(graph, id);
  return names.empty() ? "nothing: on its way it becomes the identity" : names;
}

void Journal::decline(const Chain& chain, FoldDirection direction, const Declined& declined) {
  const auto [entry, fresh] = declined_[chain.nodes.front()].try_emplace(direction, declined);
  if (!fresh && weight_of(declined.reason) > weight_of(entry->second.reason)) entry->second = declined;
}

/// Marks the values that have a layer which could take maps anywhere before or behind them.
void Journal::look_for_layers() {
  const Graph& graph = view_.graph();
  layer_before_.assign(graph.value_slots(), false);
  layer_behind_.assign(graph.value_slots(), false);
  const auto is_marked = [](const std::vector<bool>& marks, ValueId id) {
    return id.valid() && marks[static_cast<std::size_t>(id.index)];
  };
  const auto pass_on = [&](NodeId id, std::vector<bool>& marks, const auto& from, const auto& to) {
    const bool marked = (view_.op(id) != nullptr && is_layer(graph, id)) ||
                        std::ranges::any_of(from, [&](ValueId value) { return is_marked(marks, value); });
    for (const ValueId value : to) {
      if (marked && value.valid()) marks[static_cast<std::size_t>(value.index)] = true;
    }
  };
  const auto read_by = [&](NodeId id) {
    std::vector<ValueId> values = graph.node(id).inputs;
    values.insert(values.end(), graph.node(id).captures.begin(), graph.node(id).captures.end());
    return values;
  };
  const auto& order = view_.order();
  for (const NodeId id : order) pass_on(id, layer_before_, read_by(id), graph.node(id).outputs);
  for (auto id = order.rbegin(); id != order.rend(); ++id)
    pass_on(*id, layer_behind_, graph.node(*id).outputs, read_by(*id));
}

/// Without one it is not what stands between that stops the fold.
bool Journal::leads_to_layer(const Chain& chain) const {
  return layer_before_[static_cast<std::size_t>(chain.input.index)] ||
         layer_behind_[static_cast<std::size_t>(chain.output.index)];
}

/// The most telling reason; where there is one for each direction, its details give both.
Declined Journal::reason_of(const Chain& chain) const {
  const auto found = declined_.find(chain.nodes.front());
  if (found == declined_.end()) return {Decline::no_linear_neighbour, {}};
  const Reasons& reasons = found->second;
  Declined most = reasons.begin()->second;
  std::string both;
  for (const auto& [direction, declined] : reasons) {
    if (weight_of(declined.reason) > weight_of(most.reason)) most = declined;
    both += fmt::format("{}{}: {}{}{}", both.empty() ? "" : "; ",
                        direction == FoldDirection::backward ? "backward" : "forward",
                        name_of(declined.reason), declined.detail.empty() ? "" : ", ", declined.detail);
  }
  // What was asked for does not depend on the direction.
  const bool asked = most.reason == Decline::switched_off || most.reason == Decline::limit_reached;
  if (!asked && reasons.size() > 1) most.detail = both;
  if (most.reason == Decline::activation_between && !leads_to_layer(chain))
    most.reason = Decline::no_linear_neighbour;
  return most;
}

/// The entries for a chain: one for each BatchNormalization in it, or one for the whole
/// chain if it has none but scales. A chain that only shifts has no entry.
std::vector<FoldEntry> Journal::describe(const std::vector<NodeId>& nodes,
                                         const ChannelAffine& affine) const {
  const Graph& graph = view_.graph();
  FoldEntry entry;
  entry.channels = affine.channels();
  for (std::size_t c = 0; c < affine.scale.size(); ++c) {
    if (std::abs(affine.scale[c]) <= entry.max_scale) continue;
    entry.max_scale = std::abs(affine.scale[c]);
    entry.max_scale_channel = c;
  }
  std::vector<FoldEntry> found;
  std::string form;
  for (const NodeId id : nodes) {
    const std::string& op_type = graph.node(id).op_type;
    if (!view_.affine(id)->affine.is_identity()) form += (form.empty() ? "" : "+") + op_type;
    if (!view_.op(id)->is_normalisation()) continue;
    entry.name = label_of(graph, id);
    entry.form = op_type;
    found.push_back(entry);
  }
  const NodeId scaling = scaling_node(view_, nodes);
  if (found.empty() && scaling.valid()) {
    entry.name = label_of(graph, scaling);
    entry.form = form;
    found.push_back(entry);
  }
  return found;
}

void Journal::fold(const Candidate& candidate, double growth) {
  const Route& route = candidate.route;
  const auto add = [&](const std::vector<NodeId>& nodes, const ChannelAffine& affine) {
    for (FoldEntry& entry : describe(nodes, affine)) {
      entry.folded = true;
      entry.into = names_of_ends(view_.graph(), route);
      entry.direction = route.direction;
      entry.max_growth = growth;
      entry.centred_channels = candidate.stays.channels;
      entries_.push_back(std::move(entry));
    }
  };
  add(candidate.chain->nodes, candidate.chain->affine);
  for (const NodeId id : route.nodes(Route::Role::collected)) add({id}, view_.affine(id)->affine);
}

void Journal::merge(const Chain& chain, double growth) {
  const NodeId stays = normalisation_of(view_, chain);
  for (const NodeId id : chain.nodes) {
    if (id == stays || !view_.op(id)->is_normalisation()) continue;
    FoldEntry entry = describe({id}, view_.affine(id)->affine).front();
    entry.folded = true;
    entry.into = label_with_type(view_.graph(), stays);
    entry.direction = FoldDirection::forward;
    entry.max_growth = growth;
    entries_.push_back(std::move(entry));
  }
}

void Journal::measure(std::size_t first_entry, const ConstantChanges& changes) {
  for (std::size_t i = first_entry; i < entries_.size(); ++i) {
    entries_[i].weights = changes.weights;
    entries_[i].bias = changes.bias;
  }
  if (first_entry < entries_.size()) entries_[first_entry].flushed_denormals = changes.flushed;
}

void Journal::left(FoldEntry entry, const Declined& declined) {
  entry.reason = declined.reason;
  entry.detail = declined.detail;
  entries_.push_back(std::move(entry));
}

std::vector<FoldEntry> Journal::finish(bool converting,
                                       const std::function<bool(const Chain&)>& is_switched_off) {
  view_.update();
  look_for_layers();
  const Graph& graph = view_.graph();
  std::set<NodeId> in_chain;
  for (const Chain& chain : find_chains(view_)) {
    const Declined declined = is_switched_off(chain) ? Declined{Decline::switched_off, {}} : reason_of(chain);
    for (FoldEntry& entry : describe(chain.nodes, chain.affine)) left(std::move(entry), declined);
    in_chain.insert(chain.nodes.begin(), chain.nodes.end());
  }
  // A BatchNormalization outside of all chains: as_affine gives the reason. It gives none if X is constant.
  for (const NodeId id : view_.order()) {
    if (in_chain.contains(id) || view_.op(id) == nullptr || !view_.op(id)->is_normalisation()) continue;
    const NodeArgs args = view_.args(id);
    const auto form = view_.op(id)->as_affine(args.get());
    FoldEntry entry;
    entry.name = label_of(graph, id);
    entry.form = graph.node(id).op_type;
    const auto* reason = std::get_if<Declined>(&form);
    Declined declined = reason != nullptr ? *reason : Declined{Decline::no_linear_neighbour, {}};
    if (converting && declined.reason == Decline::training_mode)
      declined.reason = Decline::extra_outputs_used;
    left(std::move(entry), declined);
  }
  add_subgraphs_of(graph);
  return std::move(entries_);
}

void Journal::add_subgraphs_of(const Graph& graph) {
  for (const NodeId id : graph.live_nodes()) {
    for (const auto& [name, attribute] : graph.node(id).attributes) {
      const auto* subgraph = std::get_if<std::shared_ptr<const Graph>>(&attribute);
      if (subgraph == nullptr) continue;
      for (const NodeId inner : (*subgraph)->live_nodes()) {
        const Node& node = (*subgraph)->node(inner);
        if (node.op == nullptr || !node.op->is_normalisation()) continue;
        FoldEntry entry;
        entry.name = label_of(**subgraph, inner);
        entry.form = node.op_type;
        left(std::move(entry), {Decline::in_subgraph, bnrun::describe(graph, id)});
      }
      add_subgraphs_of(**subgraph);
    }
  }
}

}  // namespace bnrun
