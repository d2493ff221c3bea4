// The way of an affine map through a graph, from where it stands to the linear operators that may take it.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "passes/fold/chain.h"

namespace bnrun {

/// A way up (backward) or down (forward). It forks where an operator joins or parts data and where a value
/// has several readers; every branch ends at a linear operator, at a constant (backward), or at a fork
/// that hands it the identity.
struct Route {
  enum class Role {
    passed,     ///< lets the map pass and stays
    collected,  ///< an affine operator, taken along
    linear,     ///< the end of a branch
  };
  struct Step {
    NodeId node;
    Role role;
    std::vector<std::size_t>
        ports{};  ///< inputs (backward) or outputs (forward) through which the map goes on
    std::vector<std::pair<std::size_t, ChannelAffine>>
        constants{};  ///< inputs that take it themselves (backward)
  };
  FoldDirection direction;
  std::vector<Step> steps;  ///< in the order in which the map reaches them
  /// Backward: each of these values becomes this map of itself. Forward: each is this map of the value that
  /// takes its place.
  std::map<ValueId, ChannelAffine> maps;
  int cost = 0;  ///< of the chain and what it takes along

  std::vector<NodeId> nodes(Role role) const;
  /// The map as it stands next to an operator at the end of a branch.
  const ChannelAffine& map_at(const Graph& graph, NodeId linear) const;
};

/// The way of a chain's map in one direction, or why there is none: `intermediate_used_elsewhere`,
/// `intermediate_is_output`, `no_linear_neighbour` or what an operator on the way gives as reason.
OrDeclined<Route> find_route(const FoldView& view, const Chain& chain, FoldDirection direction);

}  // namespace bnrun
