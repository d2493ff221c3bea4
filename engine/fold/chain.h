// Chains of affine operators and the way from a chain to a linear operator that may take it.
#pragma once

#include <utility>
#include <vector>

#include "bnrun/fold.h"
#include "graph/graph.h"
#include "ops/node_query.h"

namespace bnrun {

/// The graph being folded, its operators and what is known of its constants before rounding.
class FoldView {
 public:
  FoldView(const Graph& graph, ExactConstants exact) : graph_(graph), ops_(graph), exact_(std::move(exact)) {}

  const Graph& graph() const { return graph_; }
  const Op* op(NodeId id) { return ops_.find(id); }
  NodeArgs args(NodeId id) const { return NodeArgs(graph_, id, &exact_); }

 private:
  const Graph& graph_;
  OpCache ops_;
  ExactConstants exact_;
};

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
std::vector<Chain> find_chains(FoldView& view);

/// From a chain to a linear operator, through operators that let its map pass and through other affine
/// operators, which it takes along.
struct Route {
  NodeId linear;
  std::vector<NodeId> passed;     ///< operators between that stay, in the direction of the data
  std::vector<NodeId> collected;  ///< affine operators beyond the chain's own
  ChannelAffine affine;           ///< all of them together as they stand next to `linear`
  int cost = 0;                   ///< of the chain and what it takes along
};

/// The way up (backward) or down (forward), or why there is none: `intermediate_used_elsewhere`,
/// `intermediate_is_output`, `no_linear_neighbour` or what an operator on the way gives as reason.
/// With `reader`, the way down begins there although the chain's output has other readers too.
OrDeclined<Route> find_route(FoldView& view, const Chain& chain, FoldDirection direction, NodeId reader = {});

}  // namespace bnrun
