// The search for folds: which chain goes where, and when nothing more can go.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "passes/fold/chain.h"
#include "passes/fold/journal.h"
#include "passes/fold/rewrite_linear.h"
#include "passes/fold/route.h"

namespace bnrun {

/// Finds chains of affine operators, asks the linear operators that their routes end at to take them in, and
/// lets the rewrite driver decide whether that is safe. What it does and declines goes into a journal.
class FoldSearch {
 public:
  FoldSearch(Graph& graph, ExactConstants exact, const FoldOptions& options);

  /// Rewrites until nothing more can go.
  void run();

  std::size_t rewrites() const { return rewrites_; }
  const std::vector<std::string>& simplifications() const { return simplifications_; }
  /// What became of every BatchNormalization and disguise. Once, after run().
  std::vector<FoldEntry> entries();

 private:
  /// By linear operator, the one that takes along most first.
  using Candidates = std::map<NodeId, std::vector<Candidate>>;

  bool may_go_on() const;
  void repeat(const std::function<void()>& round);

  void fold_round();
  void shorten_round();
  void simplify_round();
  void own_affine_round();

  bool collect(const Chain& chain, FoldDirection direction, Candidates& candidates,
               std::vector<Candidate>& forked);
  double growth_limit(const Chain& chain) const;
  OrDeclined<Absorbed> absorb(NodeId linear, std::span<const Candidate* const> candidates) const;
  bool still_stands(const Candidate& candidate) const;
  bool try_fold(std::initializer_list<const Candidate*> candidates);
  bool try_fold_scale(const Chain& chain);
  bool is_bias_behind(NodeId linear, const ChannelAffine& shift) const;
  void apply_counted(const Rewrite& rewrite);

  bool is_switched_off(const Chain& chain) const;
  bool is_left_alone(NodeId id) const;

  Graph& graph_;
  const FoldOptions& options_;
  FoldView view_;
  Journal journal_;
  std::size_t rewrites_ = 0;
  std::vector<std::string> simplifications_;
};

/// Whether a simplification, by name, is not to be left out.
bool does(const FoldOptions& options, std::string_view simplification);
/// Whether one of these glob patterns matches.
bool matches_any(const std::vector<std::string>& globs, const std::string& name);

}  // namespace bnrun
