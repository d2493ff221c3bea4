// Graph -> Program.
#pragma once

#include "graph/graph.h"
#include "kernels/gemm/dense.h"
#include "program/program.h"

namespace bnrun {

struct CompileOptions {
  MatrixBackend backend = MatrixBackend::packed;
  /// Whether kernels may be taken that are quicker and round otherwise, within the bounds that they state.
  bool fast = false;
  /// Whether what float32 operators make of dequantised bytes may be worked out on the bytes, which rounds less.
  bool on_bytes = true;
  /// Rows of a block, at most; small enough for a block to stay in cache, large enough to reuse weights.
  std::int64_t block_rows = 64;
};

/// Fuses dense layers with the affine maps and activations behind them, packs their weights, and groups
/// row-wise steps into stages. Inputs of the program are those of the graph, then what a subgraph captures,
/// in order of id. Throws unsupported for an operator the table lacks. Weights are dropped as they are packed: what
/// nobody else holds is never there twice. REQUIRES: prepare().
Program compile(Graph graph, const CompileOptions& options = {});

}  // namespace bnrun
