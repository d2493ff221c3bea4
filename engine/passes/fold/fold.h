// Folding of graphs.
#pragma once

#include <string>
#include <vector>

#include "bnrun/fold.h"
#include "graph/graph.h"

namespace bnrun {

// Each as the function of the same name in bnrun/fold.h, which takes a Model.
ModelCounts count(const Graph& graph);
std::vector<std::string> unmatched_patterns(const Graph& graph, const FoldOptions& options);
/// Prepares the graph first. What it throws leaves the graph unfinished.
FoldReport fold(Graph& graph, const FoldOptions& options = {});

}  // namespace bnrun
