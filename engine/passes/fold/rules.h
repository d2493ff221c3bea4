// Simplifications by rewriting. The graph stays standard ONNX. Each rule has a file of its own in rules/.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/rewrite.h"
#include "passes/fold/chain.h"

namespace bnrun {

/// A simplification by rewriting that starts at this node and that the driver accepts, or nullopt; those that
/// `without` names are switched off.
std::optional<Rewrite> find_simplification(const FoldView& view, NodeId id,
                                           const std::vector<std::string>& without);

// The rules: a rewrite where the pattern begins at node `id`, else nullopt.
std::optional<Rewrite> remove_identity(const FoldView& view, NodeId id);
std::optional<Rewrite> cancel_rearrangements(const FoldView& view, NodeId id);
std::optional<Rewrite> join_gemm(const FoldView& view, NodeId id);

/// Lets the readers of `from`, whose producers are `removed`, read `to`. If `from` is an output of the graph,
/// it keeps its name instead: the producer of `to` writes `from`, and the readers of `to` read `from`.
std::optional<Rewrite> bypass(const Graph& graph, std::vector<NodeId> removed, ValueId from, ValueId to,
                              std::string why);

}  // namespace bnrun
