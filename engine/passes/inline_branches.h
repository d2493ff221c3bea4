// If nodes whose condition is known.
#pragma once

#include <cstddef>

#include "graph/graph.h"

namespace bnrun {

/// Replaces each If with a constant condition by the nodes of the branch taken and returns the number of Ifs
/// replaced. An If stays when a subgraph inside the branch captures a value that the branch computes.
std::size_t inline_constant_branches(Graph& graph);

}  // namespace bnrun
