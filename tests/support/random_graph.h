// Random networks of the kinds that folding meets: the same ones on every machine for one recipe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bnrun/model.h"
#include "bnrun/tensor.h"
#include "graph/graph.h"

namespace bnrun::testing {

/// What determines a network. Each step draws from numbers of its own, so that leaving one out changes the
/// others as little as possible: that is how a failing case shrinks.
struct Recipe {
  std::uint64_t seed = 0;
  std::vector<std::uint32_t> steps;

  /// A number of steps that depends on the seed.
  static Recipe of(std::uint64_t seed);
};

struct RandomNetwork {
  Model model;
  /// One batch of data in the order of the graph's inputs; undefined: an overridable initializer keeps its
  /// default.
  std::vector<Tensor> inputs;
};

/// Layers (Gemm, MatMul, Conv, ConvTranspose), BatchNormalization and its disguises, activations, pools,
/// operators that only move elements, branches that part and meet again; float16, float32 or float64, opsets
/// 5 to 21. The name of each node starts with the kind of piece it belongs to and '/'.
RandomNetwork random_network(const Recipe& recipe);

/// A kind of piece that networks consist of.
struct PieceKind {
  std::string_view name;
  double folds = 0.0;  ///< at least this part of the affine maps in pieces of this kind folds
};
std::vector<PieceKind> piece_kinds();

/// One line per value and node, small constants with their elements.
std::string listing(const Graph& graph);

}  // namespace bnrun::testing
