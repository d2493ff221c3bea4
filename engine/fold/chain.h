// Chains of affine operators and the way from a chain to a linear operator that may take it.
#pragma once

#include <vector>

#include "bnrun/fold.h"
#include "graph/graph.h"
#include "ops/node_query.h"

namespace bnrun {

/// Consecutive operators that together are one per-channel affine map of `input`. Each intermediate value has
/// no other reader.
struct Chain {
  std::vector<NodeId> nodes;
  ValueId input;
  ValueId output;
  ChannelAffine affine;
  /// Work left in the graph: 2 for an operator that scales, 1 for one that only shifts or does nothing. A
  /// rewrite must lower the sum, which is why folding ends.
  int cost = 0;
};

/// Maximal chains in topological order, each starting at a node that continues no other chain.
std::vector<Chain> find_chains(const Graph& graph, OpCache& ops);

/// From a chain through operators that let its map pass to the linear operator that ends the way.
struct Route {
  NodeId linear;
  std::vector<NodeId> passed;  ///< operators between, in the direction of the data
  ChannelAffine affine;        ///< the chain's map as it stands next to `linear`
};

/// The way up (backward) or down (forward), or why there is none: `intermediate_used_elsewhere`,
/// `intermediate_is_output`, `no_linear_neighbour` or what an operator on the way gives as reason.
OrDeclined<Route> find_route(const Graph& graph, OpCache& ops, const Chain& chain, FoldDirection direction);

}  // namespace bnrun
