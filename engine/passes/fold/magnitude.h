// How large the constants of linear operators are, before and after a fold.
#pragma once

#include <span>

#include "bnrun/fold.h"
#include "passes/fold/rewrite_linear.h"

namespace bnrun {

struct Magnitudes {
  Magnitude weights;
  Magnitude bias;  ///< an Add made for want of a bias input counts
};

/// Over all of `linears`; what they become is in `rewrite`.
Magnitudes measure(const Graph& graph, std::span<const FoldedLinear> linears, const Rewrite& rewrite);

}  // namespace bnrun
