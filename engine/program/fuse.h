// Nodes -> steps: which operators become one.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "kernels/gemm/dense.h"
#include "program/program.h"

namespace bnrun {

/// The nodes of a graph with inferred types as steps, in topological order. A dense layer is fused with the
/// per-channel affine maps and the activation behind it, any other affine map with the activation behind it.
std::vector<Step> fuse_steps(const Graph& graph, MatrixBackend backend);

/// Row i of the step's output depends on row i of its input 0 alone.
bool is_row_wise(const Graph& graph, const Step& step);

}  // namespace bnrun
