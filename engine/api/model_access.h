// The graph inside a Model, which its public header hides.
#pragma once

#include <memory>

#include "bnrun/model.h"
#include "graph/graph.h"

namespace bnrun {

struct OnnxSource;

Graph& graph_of(Model& model);
const Graph& graph_of(const Model& model);

/// A model of a graph. `source`: what the graph was read from, where it was.
Model make_model(Graph graph, ModelMetadata metadata = {},
                 std::shared_ptr<const OnnxSource> source = nullptr);

}  // namespace bnrun
