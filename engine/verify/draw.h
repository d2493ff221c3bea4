// Inputs to compare models on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "verify/origin.h"

namespace bnrun {

/// What a set of inputs tries. Errors of one kind are judged together.
enum class InputKind { data, corners, large, zeros, denormal };

/// One set of inputs, in the order of the graph's inputs.
struct InputSet {
  InputKind kind;
  std::vector<Tensor> inputs;
};

/// Draws sets of inputs; equal on every platform for one seed.
class Drawer {
 public:
  /// One source for each input of the graph.
  Drawer(const Graph& graph, std::vector<InputSource> sources, std::uint64_t seed)
      : graph_(&graph), sources_(std::move(sources)), seed_(seed) {}

  /// data: uniform over the source; corners: its ends; large: ten times as far from its centre. One shape for
  /// each input. An input that has a default is left undefined.
  InputSet draw(InputKind kind, std::span<const Shape> shapes);

 private:
  const Graph* graph_;
  std::vector<InputSource> sources_;
  std::uint64_t seed_;
};

/// Replaces every integer by 0 or 1, for a model that refuses larger ones (as indices into a small embedding,
/// say). Returns whether that changed anything.
bool narrow_integers(InputSet& set);

}  // namespace bnrun
