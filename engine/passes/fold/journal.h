// Journal: what became of each BatchNormalization and of each disguise of one, by node.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "passes/fold/chain.h"
#include "passes/fold/rewrite_linear.h"

namespace bnrun {

/// Keyed by the ids of nodes, which are never used twice: names may be empty, odd and repeated. Texts, JSON
/// and pages are made from its entries alone.
class Journal {
 public:
  explicit Journal(FoldView& view) : view_(view) {}

  /// Whether the report lists the chain: it contains a
  /// BatchNormalization or an operator that scales (a disguise).
  bool lists(const Chain& chain) const { return !describe(chain.nodes, chain.affine).empty(); }

  /// Forgets the reasons of the round before.
  void start_round() { declined_.clear(); }
  /// Why a chain could not go that way; of several reasons for one way the most telling stays.
  void decline(const Chain& chain, FoldDirection direction, const Declined& declined);

  // Each of these is called before its rewrite is applied, while the nodes it is about exist.

  /// The chain of a candidate, and what its route collects, go into linear operators.
  void fold(const Candidate& candidate, double growth);
  /// All BatchNormalizations of a chain but the one that stays go into that one.
  void merge(const Chain& chain, double growth);
  /// What the rewrite that the last entries are about did to the constants of the linear operators.
  void measure(std::size_t first_entry, const ConstantChanges& changes);
  std::size_t size() const { return entries_.size(); }

  /// Adds the chains that are left in the graph, each with its reason, and returns
  /// all entries. With `converting`, training mode has been converted, and a node
  /// that is still in training mode is so because of its outputs.
  std::vector<FoldEntry> finish(bool converting, const std::function<bool(const Chain&)>& is_switched_off);

 private:
  std::vector<FoldEntry> describe(const std::vector<NodeId>& nodes, const ChannelAffine& affine) const;
  Declined reason_of(const Chain& chain) const;
  void look_for_layers();
  bool leads_to_layer(const Chain& chain) const;
  void left(FoldEntry entry, const Declined& declined);
  void add_subgraphs_of(const Graph& graph);

  FoldView& view_;
  std::vector<FoldEntry> entries_;
  using Reasons = std::map<FoldDirection, Declined>;
  std::map<NodeId, Reasons> declined_;  ///< of this round, by first node of the chain
  std::vector<bool> layer_before_;      ///< by value
  std::vector<bool> layer_behind_;
};

/// "Gemm 'dense_1', Gemm 'dense_2'": the ends of a route.
std::string names_of_ends(const Graph& graph, const Route& route);

}  // namespace bnrun
