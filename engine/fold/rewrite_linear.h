// The rewrite that moves chains along their routes into linear operators.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "fold/chain.h"
#include "fold/route.h"
#include "graph/rewrite.h"

namespace bnrun {

/// A chain and its way to linear operators.
struct Candidate {
  const Chain* chain = nullptr;
  Route route;
};

/// A linear operator that has taken in the maps that reach it.
using FoldedLinear = std::pair<NodeId, Absorbed>;

/// before: x -> [chain] -> P.. -> L -> Q.. -> [chain] -> y        after: x -> P.. -> L' (-> Add) -> Q.. -> y
/// for every branch of the candidates' routes. `linears` are all their ends, each with every map that reaches
/// it taken in by its absorb_affine. Conditions beyond that: the driver checks the readers of everything
/// removed. Derivation: P and Q let the maps pass, so they stand next to L, which has taken them into its
/// constants up to `Absorbed::remaining`. Constants are rounded to their storage type here, once; `flushed`
/// counts those that became zero because they lie below its normal range.
Rewrite rewrite_linears(const FoldView& view, std::span<const Candidate* const> candidates,
                        std::span<const FoldedLinear> linears, std::size_t& flushed);

/// The node's name, or where it has none that of its first output.
std::string label_of(const Graph& graph, NodeId id);

}  // namespace bnrun
