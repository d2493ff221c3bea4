#include "passes/fold/route.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/fail.h"

namespace bnrun {
namespace {

bool read_by_subgraph(const Graph& graph, ValueId id) {
  const auto& users = graph.value(id).users;
  return std::any_of(users.begin(), users.end(), [&](NodeId user) {
    const auto& captures = graph.node(user).captures;
    return std::find(captures.begin(), captures.end(), id) != captures.end();
  });
}

/// Why a value cannot change or go although an operator would let it.
std::optional<Declined> held_from_outside(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (value.is_output) return Declined{Decline::intermediate_is_output, "'" + value.name + "'"};
  if (read_by_subgraph(graph, id))
    return Declined{Decline::intermediate_is_output, "'" + value.name + "' is read by a subgraph"};
  return std::nullopt;
}

/// Where an operator may pass a map backward in more ways than one; see FoldArgs.
struct Choices {
  bool shift_to_last = false;
  bool to_part_only = false;
};

/// Visits operators in topological order (forward) or its reverse (backward), so that all maps that reach an
/// operator are there when its turn comes.
class RouteFinder {
 public:
  RouteFinder(const FoldView& view, FoldDirection direction, const Choices& choices)
      : view_(view), graph_(view.graph()), back_(direction == FoldDirection::backward), choices_(choices) {
    route_.direction = direction;
  }

  OrDeclined<Route> find(const Chain& chain) {
    route_.cost = chain.cost;
    auto declined = reach(back_ ? chain.input : chain.output, chain.affine, chain.nodes.front());
    while (!declined && !agenda_.empty()) {
      const auto next = back_ ? std::prev(agenda_.end()) : agenda_.begin();
      const NodeId id = next->second;
      agenda_.erase(next);
      declined = visit(id);
    }
    if (declined) return *declined;
    return std::move(route_);
  }

 private:
  std::optional<Declined> reach(ValueId id, const ChannelAffine& map, NodeId asker) {
    return back_ ? reach_up(id, map, asker) : reach_down(id, map);
  }

  std::optional<Declined> reach_up(ValueId id, const ChannelAffine& map, NodeId asker) {
    const Value& value = graph_.value(id);
    const auto [known, fresh] = route_.maps.emplace(id, map);
    if (!fresh && !(known->second == map)) return used_elsewhere(value.name);
    asked_[id].push_back(asker);
    if (!value.producer.valid())
      return Declined{Decline::no_linear_neighbour, "'" + value.name + "' is no output of a layer"};
    agenda_.emplace(view_.position(value.producer), value.producer);
    return std::nullopt;
  }

  std::optional<Declined> reach_down(ValueId id, const ChannelAffine& map) {
    const Value& value = graph_.value(id);
    const Readers readers = readers_of(graph_, id);
    if (readers.of_elements.empty())
      return Declined{Decline::no_linear_neighbour, "'" + value.name + "' is read by no layer"};
    if (auto held = held_from_outside(graph_, id)) return held;
    if (readers.of_elements.size() > 1 && fork_.empty()) fork_ = value.name;
    for (const NodeId user : readers.of_elements) agenda_.emplace(view_.position(user), user);
    add_bystanders(readers.of_dimensions);
    route_.maps.emplace(id, map);
    return std::nullopt;
  }

  static Declined used_elsewhere(const std::string& name) {
    return {Decline::intermediate_used_elsewhere, "'" + name + "'"};
  }

  void add_bystanders(const std::vector<NodeId>& nodes) {
    route_.bystanders.insert(route_.bystanders.end(), nodes.begin(), nodes.end());
  }

  /// Backward, a value changes for all its readers, so that the route has to include all of them but those
  /// that compute the same from the changed value.
  std::optional<Declined> check_readers(ValueId id, const ChannelAffine& map) {
    if (auto held = held_from_outside(graph_, id)) return held;
    const Readers readers = readers_of(graph_, id);
    const auto& asked = asked_.at(id);
    const auto uses = [](const std::vector<NodeId>& list, NodeId node) {
      return std::count(list.begin(), list.end(), node);
    };
    for (const NodeId reader : readers.of_elements) {
      if (uses(asked, reader) == uses(readers.of_elements, reader)) continue;
      if (uses(asked, reader) != 0 || !is_indifferent(reader, id, map))
        return used_elsewhere(graph_.value(id).name);
      add_bystanders({reader});
    }
    add_bystanders(readers.of_dimensions);
    return std::nullopt;
  }

  /// Whether a node computes the same from map(value) as from the value.
  bool is_indifferent(NodeId id, ValueId value, const ChannelAffine& map) const {
    const Node& node = graph_.node(id);
    if (view_.op(id) == nullptr || view_.affine(id) != nullptr) return false;
    std::vector<ChannelAffine> maps(node.inputs.size());
    for (std::size_t i = 0; i < maps.size(); ++i) {
      if (node.inputs[i] == value) maps[i] = map;
    }
    const NodeArgs args = view_.args(id);
    const auto passed = view_.op(id)->pass_affines(Side::input, maps, args.get());
    const auto* found = std::get_if<std::vector<ChannelAffine>>(&passed);
    return found != nullptr && std::all_of(found->begin(), found->end(),
                                           [](const ChannelAffine& each) { return each.is_identity(); });
  }

  std::optional<Declined> visit(NodeId id) {
    auto declined = cross(id);
    // A value with several readers goes only if all of them take the map.
    if (declined && !fork_.empty()) {
      return Declined{Decline::intermediate_used_elsewhere,
                      fmt::format("'{}': not all its readers take the map, {}", fork_, describe(graph_, id))};
    }
    return declined;
  }

  std::optional<Declined> cross(NodeId id) {
    const Node& node = graph_.node(id);
    const auto& from = back_ ? node.outputs : node.inputs;
    const auto& to = back_ ? node.inputs : node.outputs;
    std::vector<ChannelAffine> maps(from.size());
    std::size_t carrying = 0;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const auto found = from[i].valid() ? route_.maps.find(from[i]) : route_.maps.end();
      if (found == route_.maps.end()) continue;
      maps[i] = found->second;
      ++carrying;
      if (back_) {
        if (auto declined = check_readers(from[i], maps[i])) return declined;
      }
    }
    const Op* op = view_.op(id);
    if (op == nullptr) return Declined{Decline::activation_between, describe(graph_, id)};
    const AffineForm* form = view_.affine(id);
    if (form != nullptr) {  // its other operands are constants
      auto both = back_ ? compose(form->affine, maps[0]) : compose(maps[form->input], form->affine);
      if (auto* declined = std::get_if<Declined>(&both)) return *declined;
      route_.cost += cost_of(form->affine);
      const std::size_t port = back_ ? form->input : 0;
      route_.steps.push_back({id, Route::Role::collected, {port}});
      return reach(to[port], std::get<ChannelAffine>(both), id);
    }
    if (is_layer(graph_, id) && carrying == 1 && route_.maps.contains(from[0])) {
      route_.steps.push_back({id, Route::Role::linear});
      return std::nullopt;
    }
    const NodeArgs node_args = view_.args(id);
    FoldArgs args = node_args.get();
    args.shift_to_last = choices_.shift_to_last;
    args.to_part_only = choices_.to_part_only;
    const auto passed = op->pass_affines(back_ ? Side::output : Side::input, maps, args);
    if (const auto* declined = std::get_if<Declined>(&passed)) {
      return Declined{declined->reason,
                      describe(graph_, id) + (declined->detail.empty() ? "" : ", " + declined->detail)};
    }
    Route::Step step{id, Route::Role::passed};
    const auto& further = std::get<std::vector<ChannelAffine>>(passed);
    // A BatchNormalization that is the identity still looks for a layer.
    const bool changes =
        std::any_of(maps.begin(), maps.end(), [](const ChannelAffine& map) { return !map.is_identity(); });
    for (std::size_t i = 0; i < further.size(); ++i) {
      if (!to[i].valid() || (further[i].is_identity() && (changes || further.size() > 1))) continue;
      if (back_ && graph_.value(to[i]).as_constant() != nullptr) {
        step.constants.emplace_back(i, further[i]);
        continue;
      }
      if (auto declined = reach(to[i], further[i], id)) return declined;
      step.ports.push_back(i);
    }
    route_.steps.push_back(std::move(step));
    return std::nullopt;
  }

  const FoldView& view_;
  const Graph& graph_;
  bool back_;
  Choices choices_;
  Route route_;
  std::map<std::size_t, NodeId> agenda_;          ///< by position
  std::map<ValueId, std::vector<NodeId>> asked_;  ///< backward: the uses of a value the map has come from
  std::string fork_;                              ///< forward: the first value with several readers
};

}  // namespace

bool is_layer(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool computed = node.inputs.size() > 1 && node.inputs[1].valid() &&
                        graph.value(node.inputs[1]).producer.valid() && !is_packed(graph, node.inputs[1]);
  return node.op->linear() && !computed;
}

std::vector<NodeId> Route::nodes(Role role) const {
  std::vector<NodeId> found;
  for (const Step& step : steps) {
    if (step.role == role) found.push_back(step.node);
  }
  return found;
}

const ChannelAffine& Route::map_at(const Graph& graph, NodeId linear) const {
  const Node& node = graph.node(linear);
  return maps.at(direction == FoldDirection::backward ? node.outputs[0] : node.inputs[0]);
}

OrDeclined<Route> find_route(const FoldView& view, const Chain& chain, FoldDirection direction) {
  auto route = RouteFinder(view, direction, {}).find(chain);
  const auto* declined = std::get_if<Declined>(&route);
  if (direction == FoldDirection::forward || declined == nullptr) return route;
  auto other = RouteFinder(view, direction, {.shift_to_last = true}).find(chain);
  if (std::holds_alternative<Declined>(other) && declined->reason == Decline::intermediate_used_elsewhere)
    other = RouteFinder(view, direction, {.to_part_only = true}).find(chain);
  return std::holds_alternative<Route>(other) ? other : route;
}

}  // namespace bnrun
