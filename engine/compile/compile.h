// Graph -> Program.
#pragma once

#include "compile/program.h"
#include "graph/graph.h"
#include "kernels/dense.h"

namespace bnrun {

/// Computes what is constant, fuses dense layers with the affine maps and activations behind them, packs
/// their weights, and groups row-wise steps into stages. Throws unsupported for an operator the table lacks,
/// invalid_model when shapes clash.
Program compile(const Graph& graph, MatrixBackend backend);

}  // namespace bnrun
