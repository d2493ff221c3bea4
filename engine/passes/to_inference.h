// From training to inference.
#pragma once

#include <vector>

#include "bnrun/fold.h"
#include "graph/graph.h"

namespace bnrun {

/// See convert_to_inference(Model&).
std::vector<Conversion> convert_to_inference(Graph& graph);

}  // namespace bnrun
