// If nodes whose condition is known.
#pragma once

#include <cstddef>

#include "graph/graph.h"

namespace bnrun {

/// Puts the nodes of the branch taken in place of each If with a constant condition. Returns the number of
/// Ifs that went. An If stays when a subgraph inside the branch reads, by name, a value that the branch
/// computes.
std::size_t inline_constant_branches(Graph& graph);

}  // namespace bnrun
