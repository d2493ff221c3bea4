// Running one operator plainly.
#pragma once

#include <span>
#include <vector>

#include "op/op.h"

namespace bnrun {

/// Infers shapes for these inputs, allocates, runs. Unlisted optional outputs come back undefined.
/// `wanted[i]`: output i has a name in the node.
std::vector<Tensor> evaluate(const Op& op, std::span<const TensorView> inputs, std::span<const bool> wanted,
                             std::span<const TensorView> captures = {});

}  // namespace bnrun
