// Inspection of a graph.
#pragma once

#include <cstdint>
#include <optional>

#include "bnrun/inspect.h"
#include "graph/graph.h"

namespace bnrun {

/// Each as the function of the same name in bnrun/inspect.h, which takes a Model.
Inspection inspect(const Graph& graph);
Inspection inspect_layers(Graph graph);
std::optional<std::int64_t> macs_per_row(const Graph& graph);
bool keeps_rows_apart(const Graph& graph);

}  // namespace bnrun
