// The way from columns of a table to the inputs of a network, in standard operators.
#pragma once

#include <string>
#include <vector>

#include "bnrun/train.h"
#include "graph/graph.h"

namespace bnrun::train {

/// [N, width].
inline ValueType rows_of(std::int64_t width, DType dtype = DType::float32) {
  return {dtype, Dims{Dim::symbol("N"), Dim(width)}};
}

/// What a text column is called as an input: its name, unless a value of the graph is called so.
std::vector<std::string> text_inputs(const Preparation& preparation, const std::vector<LayerSummary>& layers);

/// The inputs as the preparation has them, up to the one value that the network reads.
ValueId append_preparation(Graph& graph, const Preparation& preparation,
                           const std::vector<std::string>& text_names);

}  // namespace bnrun::train
