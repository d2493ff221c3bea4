// Inputs to compare models on.
#pragma once

#include <string>
#include <vector>

#include "bnrun/verify.h"
#include "graph/graph.h"

namespace bnrun {

/// One set of inputs, in the order of the graph's inputs.
struct InputSet {
  std::string name;  ///< "uniform", "corners", ...
  std::vector<Tensor> inputs;
  double magnitude = 1.0;  ///< how far it reaches beyond the range; absolute tolerances scale with it
};

/// Uniform batches over the range, its corners, zeros, ten times the range, denormal numbers and a single
/// row. A dynamic first dimension becomes the number of rows, any other dynamic dimension `extent`; equal
/// symbols get equal extents. Throws invalid_input for an input that cannot be drawn (strings, unknown rank):
/// the caller must give data.
std::vector<InputSet> draw_inputs(const Graph& graph, const VerifyOptions& options, std::int64_t extent);

/// Replaces every integer by 0 or 1, for a model that refuses larger ones (as indices into a small embedding,
/// say). Returns whether that changed anything.
bool narrow_integers(InputSet& set);

}  // namespace bnrun
