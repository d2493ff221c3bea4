// The types of what a node computes, written into its graph.
#pragma once

#include "graph/graph.h"

namespace bnrun {

/// Gives inputs whose element type or rank is not known what the node's operator requires of them, so that
/// inference goes on below an operator that the engine does not know. Returns whether that told anything.
bool require_inputs(Graph& graph, NodeId id);

/// Merges the types that the node's operator infers for its outputs with what the graph knows of them.
/// Without an operator, or while the element type of an input is unknown although required_inputs was asked, they
/// stay as they are. Throws
/// invalid_model on a contradiction.
void infer_outputs(Graph& graph, NodeId id);

}  // namespace bnrun
