// The truth that results are measured against: a model in double precision.
#pragma once

#include <cstddef>
#include <limits>

#include "graph/graph.h"

namespace bnrun {

/// The same graph with every float16, bfloat16 and float32 widened to float64: inputs, constants, declared
/// types and the element types that attributes name (Cast, ConstantOfShape, ...). The truth results are
/// measured against. An initializer of more than `max_bytes` keeps its elements under the wide type:
/// `interpret` widens it for each node that reads it, so that a large model is never held in double as a
/// whole.
Graph widened(const Graph& graph, std::size_t max_bytes = std::numeric_limits<std::size_t>::max());

}  // namespace bnrun
