// Graph -> Program.
#pragma once

#include "program/program.h"
#include "graph/graph.h"
#include "kernels/gemm/dense.h"

namespace bnrun {

struct CompileOptions {
  MatrixBackend backend = MatrixBackend::packed;
  /// Rows of a block, at most; small enough for a block to stay in cache, large enough to reuse weights.
  std::int64_t block_rows = 64;
};

/// Computes what is constant, fuses dense layers with the affine maps and activations behind them, packs
/// their weights, and groups row-wise steps into stages. Throws unsupported for an operator the table lacks,
/// invalid_model when shapes clash.
Program compile(const Graph& graph, const CompileOptions& options = {});

}  // namespace bnrun
