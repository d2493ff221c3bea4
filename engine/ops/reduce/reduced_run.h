// Reductions over axes that stand side by side, on whole vectors.
#pragma once

#include <cstdint>

#include "ops/reduce/kinds.h"

namespace bnrun {

/// A tensor as [outer, reduced, inner].
struct ReducedRun {
  std::int64_t outer = 0;
  std::int64_t reduced = 0;
  std::int64_t inner = 0;
};

/// y[outer, inner] of x[outer, reduced, inner]; false for the kinds that have no kernel. Sums are taken in double and
/// rounded once. T is float or double.
template <class T>
bool reduce_run(ReduceKind kind, const ReducedRun& run, const T* x, T* y);

extern template bool reduce_run(ReduceKind, const ReducedRun&, const float*, float*);
extern template bool reduce_run(ReduceKind, const ReducedRun&, const double*, double*);

}  // namespace bnrun
