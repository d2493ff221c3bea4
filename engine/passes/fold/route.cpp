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

/// Visits operators in topological order (forward) or its reverse (backward), so that all maps that reach an
/// operator are there when its turn comes.
class RouteFinder {
 public:
  RouteFinder(const FoldView& view, FoldDirection direction, bool shift_to_last)
      : view_(view),
        graph_(view.graph()),
        back_(direction == FoldDirection::backward),
        shift_to_last_(shift_to_last) {
    route_.direction = direction;
  }

  OrDeclined<Route> find(const Chain& chain) {
    route_.cost = chain.cost;
    auto declined = reach(back_ ? chain.input : chain.output, chain.affine);
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
  std::optional<Declined> reach(ValueId id, const ChannelAffine& map) {
    return back_ ? reach_up(id, map) : reach_down(id, map);
  }

  std::optional<Declined> reach_up(ValueId id, const ChannelAffine& map) {
    const Value& value = graph_.value(id);
    const auto [known, fresh] = route_.maps.emplace(id, map);
    if (!fresh && !(known->second == map)) return used_elsewhere(value.name);
    ++asked_[id];
    if (!value.producer.valid())
      return Declined{Decline::no_linear_neighbour, "'" + value.name + "' is no output of a layer"};
    agenda_.emplace(view_.position(value.producer), value.producer);
    return std::nullopt;
  }

  std::optional<Declined> reach_down(ValueId id, const ChannelAffine& map) {
    const Value& value = graph_.value(id);
    if (value.users.empty())
      return Declined{Decline::no_linear_neighbour, "'" + value.name + "' is read by no layer"};
    if (auto held = held_from_outside(graph_, id)) return held;
    if (value.users.size() > 1 && fork_.empty()) fork_ = value.name;
    for (const NodeId user : value.users) agenda_.emplace(view_.position(user), user);
    route_.maps.emplace(id, map);
    return std::nullopt;
  }

  static Declined used_elsewhere(const std::string& name) {
    return {Decline::intermediate_used_elsewhere, "'" + name + "'"};
  }

  /// Backward, a value changes for all its readers, so that the route has to include all of them.
  std::optional<Declined> check_readers(ValueId id) const {
    if (auto held = held_from_outside(graph_, id)) return held;
    const Value& value = graph_.value(id);
    if (value.users.size() != asked_.at(id)) return used_elsewhere(value.name);
    return std::nullopt;
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
        if (auto declined = check_readers(from[i])) return declined;
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
      return reach(to[port], std::get<ChannelAffine>(both));
    }
    if (is_layer(graph_, id) && carrying == 1 && route_.maps.contains(from[0])) {
      route_.steps.push_back({id, Route::Role::linear});
      return std::nullopt;
    }
    const NodeArgs node_args = view_.args(id);
    FoldArgs args = node_args.get();
    args.shift_to_last = shift_to_last_;
    const auto passed = op->pass_affines(back_ ? Side::output : Side::input, maps, args);
    if (const auto* declined = std::get_if<Declined>(&passed)) {
      return Declined{declined->reason,
                      describe(graph_, id) + (declined->detail.empty() ? "" : ", " + declined->detail)};
    }
    Route::Step step{id, Route::Role::passed};
    const auto& further = std::get<std::vector<ChannelAffine>>(passed);
    for (std::size_t i = 0; i < further.size(); ++i) {
      if (!to[i].valid() || (further.size() > 1 && further[i].is_identity())) continue;
      if (back_ && graph_.value(to[i]).as_constant() != nullptr) {
        step.constants.emplace_back(i, further[i]);
        continue;
      }
      if (auto declined = reach(to[i], further[i])) return declined;
      step.ports.push_back(i);
    }
    route_.steps.push_back(std::move(step));
    return std::nullopt;
  }

  const FoldView& view_;
  const Graph& graph_;
  bool back_;
  bool shift_to_last_;
  Route route_;
  std::map<std::size_t, NodeId> agenda_;  ///< by position
  std::map<ValueId, std::size_t> asked_;  ///< backward: how many uses of a value the map has come from
  std::string fork_;                      ///< forward: the first value with several readers
};

}  // namespace

bool is_layer(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool computed =
      node.inputs.size() > 1 && node.inputs[1].valid() && graph.value(node.inputs[1]).producer.valid();
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
  auto route = RouteFinder(view, direction, false).find(chain);
  if (direction == FoldDirection::forward || std::holds_alternative<Route>(route)) return route;
  auto other = RouteFinder(view, direction, true).find(chain);
  return std::holds_alternative<Route>(other) ? other : route;
}

}  // namespace bnrun
