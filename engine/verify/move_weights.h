// How far a model's results move when its weights are rounded differently.
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "verify/interpret.h"

namespace bnrun {

/// The weights of `graph`, in which about half of the elements lie one unit in the last place of their type
/// higher or lower, as constants of `wide`, its copy in double. Weights are floating-point constants that vary
/// along two axes or more, those of linear operators, and those of affine maps but for maps of the graph's inputs.
OtherConstants moved_weights(const Graph& graph, const Graph& wide, std::uint64_t seed);

}  // namespace bnrun
