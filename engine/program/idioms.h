// What models write in several nodes and one step does: a normalisation of rows or an activation, which it computes more
// exactly, or a shuffle of channels.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "graph/graph.h"
#include "kernels/math/activation.h"

namespace bnrun {

/// y = d / sqrt(mean(d^2) + epsilon) * scale + shift with d = x - mean(x), or d = x: LayerNormalization or
/// RMSNormalization, means being over the last axes of x.
struct WrittenNormalisation {
  std::vector<NodeId> nodes;  ///< the last has the result; nobody else reads what lies between
  ValueId x;
  std::size_t axes = 0;  ///< so many, of known extents
  double epsilon = 0.0;
  bool centred = true;
  const Tensor* scale = nullptr;  ///< constants of as many elements as those axes, or of one; null: 1, or 0
  const Tensor* shift = nullptr;
};

/// The one whose first node this is.
std::optional<WrittenNormalisation> normalisation_from(const Graph& graph, NodeId first);

/// A function of x that several nodes compute: x * sigmoid(alpha*x), x * hard_sigmoid(x),
/// x/2 * (1 + erf(x/sqrt(2))), x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715*x^3))), and twice these two, since a layer behind
/// them takes the half when it is folded. A number of the model is taken for one of
/// these where it differs by no more than the element type's precision.
struct WrittenActivation {
  std::vector<NodeId> nodes;  ///< as above; all that read x
  Activation function;
};

std::optional<WrittenActivation> activation_of(const Graph& graph, ValueId x);

/// The channels of x[N,C,...] as a matrix [rows, C / rows], transposed: y[n, j * rows + i] = x[n, i * (C / rows) + j], what a
/// model writes as a Reshape, a Transpose and a Reshape.
struct WrittenShuffle {
  std::vector<NodeId> nodes;  ///< as above
  ValueId x;
  std::int64_t rows = 1;
};

/// The one whose first node this is; nullopt unless all extents but that of the batch and those behind the channels are known
/// and those are proven to stay.
std::optional<WrittenShuffle> shuffle_from(const Graph& graph, NodeId first);

}  // namespace bnrun
