// Nodes -> steps: which operators become one.
#pragma once

#include <vector>

#include "program/program.h"
#include "graph/graph.h"
#include "kernels/gemm/dense.h"

namespace bnrun {

/// The nodes of a graph with inferred types as steps, each after those it reads from. A dense layer takes the
/// per-channel affine maps and the activation behind it along, an affine map that stands alone takes its
/// activation.
std::vector<Step> fuse_steps(const Graph& graph, MatrixBackend backend);

/// Row i of the step's output depends on row i of its input 0 alone.
bool is_row_wise(const Graph& graph, const Step& step);

}  // namespace bnrun
