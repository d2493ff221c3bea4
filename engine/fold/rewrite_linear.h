// The rewrite that folds chains into one linear operator.
#pragma once

#include <cstddef>

#include "fold/chain.h"
#include "graph/rewrite.h"

namespace bnrun {

/// A chain and its way to one side of a linear operator.
struct Candidate {
  const Chain* chain = nullptr;
  Route route;
};

/// Adds to `rewrite`:
/// before: x -> [chain] -> P.. -> L -> Q.. -> [chain] -> y        after: x -> P.. -> L' (-> Add) -> Q.. -> y
/// except that the chains themselves go with remove_chain, once, since several operators may share the one in
/// front. Conditions: L's absorb_affine has accepted both maps (either may be absent); the driver checks the
/// readers of everything removed. Derivation: P and Q let the maps pass, so both stand next to L, which has
/// taken them into its constants up to `absorbed.remaining`. Constants are rounded to their storage type
/// here, once; `flushed` counts those that became zero because they lie below its normal range.
void rewrite_linear(const Graph& graph, NodeId linear, const Candidate* before, const Candidate* after,
                    const Absorbed& absorbed, Rewrite& rewrite, std::size_t& flushed);

void remove_chain(const Chain& chain, Rewrite& rewrite);

/// The node's name, or where it has none that of its first output.
std::string label_of(const Graph& graph, NodeId id);

}  // namespace bnrun
