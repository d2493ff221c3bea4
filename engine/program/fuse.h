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

struct FuseOptions {
  MatrixBackend backend = MatrixBackend::packed;
  bool fast = false;     ///< with the kernels that round otherwise as well
  bool on_bytes = true;  ///< and what float32 operators make of dequantised bytes on these
};

/// The nodes of a graph with inferred types as steps, in topological order. A dense layer or a convolution is fused
/// with the per-channel affine maps behind it, a convolution also with a sum behind those, and either with the
/// activation that follows; any other affine map with the activation behind it. The graph loses the constants that
/// only such steps read, which hold what they need.
std::vector<FusedStep> fuse_steps(Graph& graph, const FuseOptions& options);

}  // namespace bnrun
