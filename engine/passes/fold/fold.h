// Folding of graphs.
#pragma once

#include "bnrun/fold.h"
#include "graph/graph.h"

namespace bnrun {

/// See fold(Model&, const FoldOptions&); includes prepare(). What it throws leaves the graph unfinished.
FoldReport fold(Graph& graph, const FoldOptions& options = {});

}  // namespace bnrun
