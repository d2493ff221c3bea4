// Running one operator plainly.
#pragma once

#include <span>
#include <vector>

#include "op/op.h"

namespace bnrun {

/// Infers shapes for these inputs, allocates, runs. `wanted[i]`: output i has a name in the node. One that has
/// none is computed too, since an operator need not know that nobody reads it, and comes back undefined.
std::vector<Tensor> evaluate(const Op& op, std::span<const TensorView> inputs, std::span<const bool> wanted,
                             std::span<const TensorView> captures = {});

}  // namespace bnrun
