// The types of what a node computes, written into its graph.
#pragma once

#include "graph/graph.h"

namespace bnrun {

/// Merges the types that the node's operator infers for its outputs with what the graph knows of them.
/// Without an operator, or while the element type of an input is unknown, they stay as they are. Throws
/// invalid_model on a contradiction.
void infer_outputs(Graph& graph, NodeId id);

}  // namespace bnrun
