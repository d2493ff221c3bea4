// What every use of a graph begins with: types of all values, constants computed, dead nodes gone.
#pragma once

#include <cstddef>
#include <map>

#include "graph/graph.h"
#include "graph/node_query.h"

namespace bnrun {

/// Writes the inferred type of every value into the graph, merging it with what the file declares. A value
/// whose producer is unknown to the operator table keeps its declared type. Throws invalid_model on a
/// contradiction.
void infer_types(Graph& graph);

/// Replaces every node whose outputs are known, because all its inputs are constant or because their types
/// tell (the shape of a static tensor), by the constants it computes (outputs of at most `max_bytes` each),
/// puts the branch taken in place of each If with a constant condition, and removes what lost its last
/// reader by it. Returns the number of nodes computed. With `exact`, small floating-point results are kept
/// there in double as well.
std::size_t evaluate_constants(Graph& graph, ExactConstants* exact = nullptr,
                               std::size_t max_bytes = std::size_t{1} << 28);

/// Throws `unsupported`, naming the node, unless the engine can run every node, those of subgraphs included.
void check_supported(const Graph& graph);

}  // namespace bnrun
