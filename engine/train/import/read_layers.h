// From the nodes of a graph to the layers that a network is made of.
#pragma once

#include <vector>

#include "bnrun/train.h"
#include "graph/graph.h"

namespace bnrun::train {

struct ReadLayers {
  ValueId first;               ///< what the first layer takes
  std::vector<NodeId> before;  ///< the nodes that make it of the graph's inputs, in order
  std::int64_t inputs = 0;
  std::vector<LayerSpec> layers;
  std::vector<float> weights;      ///< as a Stack of these layers has them
  std::vector<double> statistics;  ///< the same
  /// y * slope + shift behind the last layer, one a column; empty: nothing.
  std::vector<double> slope;
  std::vector<double> shift;
};

/// REQUIRES: a graph that was prepared. Throws unsupported, naming the node that stands in the way.
ReadLayers read_layers(const Graph& graph);

}  // namespace bnrun::train
