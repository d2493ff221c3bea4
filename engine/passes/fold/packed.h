// Folding into weights that a model holds as integers.
#pragma once

#include <vector>

#include "passes/fold/chain.h"

namespace bnrun {

/// The elements of a packed constant, in double unless they are many or their operator says otherwise.
Tensor unpacked(const Graph& graph, ValueId packed);

/// The operator that makes floating-point numbers of integers, with a map in its scale, and what rearranges its
/// output, from the weights to there.
struct RescaledIntegers {
  NodeId unpacking;
  Absorbed absorbed;
  std::vector<NodeId> rearranging;
};

/// Whether a constant that node `id` has absorbed is its packed one unchanged.
bool stays_packed(const FoldView& view, NodeId id, std::size_t input, const ScaledTensor& scaled);
/// Whether a constant that node `id` has absorbed is its packed one times factors.
bool is_packed_constant(const FoldView& view, NodeId id, std::size_t input, const ScaledTensor& scaled);

// before: (q, x_scale, x_zero_point) -> DequantizeLinear -> P.. -> W -> L
// after:  (q, x_scale*s, x_zero_point) -> DequantizeLinear -> P.. -> s*W -> L
// Condition: the factors vary along one axis of W alone, which P.. carry to the axis of x_scale, or x_scale is one
// number. Derivation: (q - x_zero_point)*x_scale*s; each new scale is rounded once, and the integers are the same.
/// Declines with axis_unproven where integers with one scale for each channel cannot hold the factors of `scaled`,
/// whose values are those of the packed constant.
OrDeclined<RescaledIntegers> rescale_integers(const FoldView& view, ValueId packed,
                                              const ScaledTensor& scaled);

}  // namespace bnrun
