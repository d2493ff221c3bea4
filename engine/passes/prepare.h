// What every use of a graph begins with: types of all values, constants computed, dead nodes gone.
#pragma once

#include <cstddef>
#include <map>

#include "graph/graph.h"
#include "graph/node_query.h"

namespace bnrun {

/// Shape inference: writes the type of every value into the graph, merged with the type that the
/// file declares. A value whose producer is not in the operator table keeps its declared type.
/// Throws invalid_model when inferred and declared type contradict each other.
void infer_types(Graph& graph);

struct PrepareOptions {
  bool constants = true;  ///< compute what is constant
  bool dead = true;       ///< remove what leads to no output
  /// Compute the floating-point weights and biases of layers that are held as integers, too (is_packed). They take
  /// four times the room: not for a model that is to be written.
  bool packed = true;
};

/// Everything that a graph needs before it is folded, compiled or looked at, in one walk: infers types,
/// computes nodes whose outputs are known because all their inputs are constant or because their types tell
/// (the shape of a static tensor), and puts the branch taken in place of each If with a constant condition.
/// Rewrites keep the types true afterwards. Returns the number of nodes computed. With `exact`, small
/// floating-point results are kept there in double as well. Throws invalid_model on a contradiction.
std::size_t prepare(Graph& graph, const PrepareOptions& options = {}, ExactConstants* exact = nullptr);

/// Computes the packed constants that prepare() with `packed` = false left, but for those that products of integers alone
/// read (is_multiplied_as_integers): for a model that is to be run on them.
void compute_packed(Graph& graph);

/// Throws `unsupported`, naming the node, unless the engine can run every node, those of subgraphs included.
void check_supported(const Graph& graph);

}  // namespace bnrun
