// The way of an affine map through a graph, from where it stands to the linear operators that may take it.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "passes/fold/chain.h"

namespace bnrun {

/// A way backward (to producers) or forward (to consumers). It branches at operators with several
/// data inputs or outputs and at values with several readers. A branch ends at a linear operator, at
/// a constant (backward), or where the map that is passed on is the identity.
struct Route {
  enum class Role {
    passed,     ///< lets the map pass and stays
    collected,  ///< an affine operator, taken along
    linear,     ///< the end of a branch
  };
  struct Step {
    NodeId node;
    Role role;
    /// The inputs (backward) or outputs (forward) through which the map goes on.
    std::vector<std::size_t> ports{};
    /// Backward only: the constant inputs that take the map, each with its map.
    std::vector<std::pair<std::size_t, ChannelAffine>> constants{};
  };
  FoldDirection direction;
  std::vector<Step> steps;  ///< in the order in which the map reaches them
  /// Backward: each of these values v is replaced by map(v). Forward: each of
  /// them equals map(v'), where v' is the value that replaces it.
  std::map<ValueId, ChannelAffine> maps;
  /// What reads a value that changes or goes and computes the same from what takes its place: it reads
  /// dimensions alone, or a part whose map is the identity.
  std::vector<NodeId> bystanders;
  int cost = 0;  ///< of the chain and what it takes along

  std::vector<NodeId> nodes(Role role) const;
  /// The map as it stands next to an operator at the end of a branch.
  const ChannelAffine& map_at(const Graph& graph, NodeId linear) const;
};

/// Whether a node takes maps into its constants: a product of two values that are both computed does not, though it
/// may let a scale pass. REQUIRES: the node has an operator.
bool is_layer(const Graph& graph, NodeId id);

/// The way of a chain's map in one direction, or why there is none: `intermediate_used_elsewhere`,
/// `intermediate_is_output`, `no_linear_neighbour` or what an operator on the way gives as reason.
OrDeclined<Route> find_route(const FoldView& view, const Chain& chain, FoldDirection direction);

}  // namespace bnrun
