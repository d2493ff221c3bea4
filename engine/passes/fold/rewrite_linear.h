// The rewrites that move chains along their routes into linear operators, and that shorten chains that stay.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "graph/rewrite.h"
#include "passes/fold/chain.h"
#include "passes/fold/route.h"
#include "passes/fold/split.h"

namespace bnrun {

/// A chain and its way to linear operators.
struct Candidate {
  const Chain* chain = nullptr;
  Route route;
  StayingShift stays{};  ///< the chain's map is what goes without it
  /// The chain is one operator whose own map goes: it stays, with these constants.
  const Absorbed* without = nullptr;

  bool leaves_shift() const { return stays.channels != 0; }
};

/// What a rewrite does to constants.
struct ConstantChanges {
  std::size_t flushed = 0;  ///< became zero because they lie below the normal range of their type
  Magnitude weights;        ///< of the linear operators
  Magnitude bias;           ///< including an Add that serves as bias
};

/// A linear operator that has taken in the maps that reach it.
using FoldedLinear = std::pair<NodeId, Absorbed>;

/// before: x -> [chain] -> P.. -> L -> Q.. -> [chain] -> y        after: x -> P.. -> L' (-> Add) -> Q.. -> y
/// for every branch of the candidates' routes. `linears` are all their ends, each with every map that reaches
/// it taken in by its absorb_affine. Conditions beyond that: the driver checks the readers of everything
/// removed. Derivation: P and Q let the maps pass, so they stand next to L, which has taken them into its
/// constants up to `Absorbed::remaining`. Constants are rounded to their storage type here, once.
Rewrite rewrite_linears(const FoldView& view, std::span<const Candidate* const> candidates,
                        std::span<const FoldedLinear> linears, ConstantChanges& changes);

/// The last BatchNormalization of a chain, or an invalid id.
NodeId normalisation_of(const FoldView& view, const Chain& chain);
/// The first of these affine operators that scales, or an invalid id.
NodeId scaling_node(const FoldView& view, const std::vector<NodeId>& nodes);

/// The cost of `affine` written as the chain would be: as its last BatchNormalization with other parameters,
/// or else as a Mul and an Add as far as needed; nullopt when that BatchNormalization cannot hold it.
std::optional<int> cost_of_replacement(const FoldView& view, const Chain& chain, const ChannelAffine& affine);

/// before: x -> [chain] -> y        after: x -> (BatchNormalization | Mul -> Add) -> y
/// Condition: cost_of_replacement knows a cost. Derivation: the chain is its map.
Rewrite rewrite_chain(const FoldView& view, const Chain& chain, ConstantChanges& changes);

}  // namespace bnrun
