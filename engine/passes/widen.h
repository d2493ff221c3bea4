// A model in double precision, against which results are measured.
#pragma once

#include <cstddef>
#include <limits>

#include "graph/graph.h"

namespace bnrun {

/// The same graph with every float16, bfloat16 and float32 widened to float64: inputs, constants, declared
/// types and the element types that attributes name (Cast, ConstantOfShape, ...). The truth results are
/// measured against. An initializer of more than `max_bytes` gets the wide type but keeps its elements.
/// `interpret` widens them for each node that reads them, so that a large model is never held in double.
/// Subgraphs are widened whole: their bodies run compiled, where nothing is widened on the way.
Graph widened(const Graph& graph, std::size_t max_bytes = std::numeric_limits<std::size_t>::max());

}  // namespace bnrun
