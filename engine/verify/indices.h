// Integers that a model takes for indices.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "verify/draw.h"
#include "verify/origin.h"

namespace bnrun {

/// Widens the range of each integer input to all that the model takes: a table is read by every index up to the
/// last of its rows and by none beyond, which `runs` tells by trial. An input for which any number will do, or for which
/// none is found before `late`, keeps its source.
void widen_indices(const Graph& graph, std::span<const Shape> shapes, std::vector<InputSource>& sources,
                   const std::function<bool(const InputSet&)>& runs, const std::function<bool()>& late);

}  // namespace bnrun
