// Nodes -> steps: which operators become one.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "kernels/gemm/dense.h"
#include "program/program.h"
#include "program/values.h"

namespace bnrun {

struct FusedStep {
  Step step;
  bool channels_last = false;          ///< its operator has the channels of its data inputs and outputs last
  bool prefers_channels_last = false;  ///< it can have them so, which is worth conversions
};

/// The nodes of a graph with inferred types as steps, in topological order. A dense layer or a convolution is fused
/// with the per-channel affine maps behind it, a convolution also with a sum behind those, and either with the
/// activation that follows; any other affine map with the activation behind it. The graph loses the constants that
/// only such steps read, which hold what they need. `fast`: with the kernels that round otherwise as well.
std::vector<FusedStep> fuse_steps(Graph& graph, MatrixBackend backend, bool fast);

}  // namespace bnrun
