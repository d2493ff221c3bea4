// Where two models part.
#pragma once

#include <optional>
#include <vector>

#include "bnrun/verify.h"
#include "graph/graph.h"
#include "verify/move_weights.h"

namespace bnrun {

/// The models of a comparison: in their own precision and in double, and A's weights moved.
struct Models {
  const Graph& a;
  const Graph& b;
  const Graph& wide_a;
  std::vector<OtherConstants> moved;
};

/// The first value of B, in execution order, that differs from the value of A of the same name by more than
/// the tolerance, or without one, by more than the truth allows. Inputs in the order of each model's.
std::optional<Divergence> first_divergence(const Models& models, const std::vector<Tensor>& inputs_a,
                                           const std::vector<Tensor>& inputs_b,
                                           const std::optional<Tolerance>& tolerance);

/// Floating-point tensors as double.
std::vector<Tensor> widen(const std::vector<Tensor>& tensors);
std::vector<TensorView> views_of(const std::vector<Tensor>& tensors);

}  // namespace bnrun
