// The fold pass: finds chains of affine operators, asks the linear operators next to them to take them in,
// and lets the rewrite driver decide whether that is safe.
#include "bnrun/fold.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "fold/chain.h"
#include "fold/rewrite_linear.h"
#include "graph/fail.h"
#include "graph/rewrite.h"
#include "ops/evaluate.h"

namespace bnrun {
namespace {

/// Half-width of the range that a normalised activation is taken to cover in the estimate of error growth.
constexpr double kNormalisedRange = 3.0;

/// A map in front of W multiplies what is large before the shift brings it down to +-kNormalisedRange: with
/// a = s*x + t, |s*x| reaches kNormalisedRange + |t|, and so does the rounding error relative to the unfolded
/// one. Behind W nothing grows: |W'| = |s||W| and |b'| <= |s||b| + |t|.
double forward_growth(const ChannelAffine& affine) {
  double growth = 1.0;
  for (const double t : affine.shift)
    growth = std::max(growth, (kNormalisedRange + std::abs(t)) / kNormalisedRange);
  return growth;
}

bool matches_any(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

class FoldPass {
 public:
  FoldPass(Graph& graph, const FoldOptions& options) : graph_(graph), options_(options), ops_(graph) {}

  /// Rewrites until nothing more can go, then adds what is left to the entries. Returns the number of
  /// rewrites.
  std::size_t run() {
    std::size_t rewrites = 0;
    while (rewrites < options_.max_rewrites && fold_one()) ++rewrites;
    if (rewrites == options_.max_rewrites) declined_.clear();  // nobody was asked this round
    report_what_is_left();
    return rewrites;
  }

  std::vector<FoldEntry> entries;

 private:
  using Candidates = std::map<NodeId, Candidate>;  // by linear operator

  /// Applies the first rewrite in topological order that is possible and lowers the cost. A chain between two
  /// linear operators is offered to the one behind it first: backward never grows the error bound (see
  /// forward_growth).
  bool fold_one() {
    declined_.clear();
    const auto chains = find_chains(graph_, ops_);
    Candidates on_output;
    Candidates on_input;
    for (const Chain& chain : chains) {
      if (is_switched_off(chain)) continue;
      const bool follows_linear = collect(chain, FoldDirection::backward, on_output);
      // A pure shift right behind a linear operator is its bias: it is at home there.
      if (chain.affine.has_scale() || !follows_linear) collect(chain, FoldDirection::forward, on_input);
    }
    const auto find = [](const Candidates& candidates, NodeId id) {
      const auto found = candidates.find(id);
      return found == candidates.end() ? nullptr : &found->second;
    };
    for (const NodeId id : graph_.topological_order()) {
      const Candidate* before = find(on_input, id);
      const Candidate* after = find(on_output, id);
      if (before != nullptr && after != nullptr && try_fold(id, before, after)) return true;
      if (after != nullptr && try_fold(id, nullptr, after)) return true;
      if (before != nullptr && try_fold(id, before, nullptr)) return true;
    }
    return false;
  }

  bool collect(const Chain& chain, FoldDirection direction, Candidates& candidates) {
    auto route = find_route(graph_, ops_, chain, direction);
    if (const auto* declined = std::get_if<Declined>(&route)) {
      note(chain, *declined);
      return false;
    }
    const NodeId linear = std::get<Route>(route).linear;
    candidates.emplace(linear, Candidate{&chain, std::move(std::get<Route>(route))});
    return true;
  }

  bool is_switched_off(const Chain& chain) const {
    return std::any_of(chain.nodes.begin(), chain.nodes.end(), [&](NodeId id) {
      const std::string name = label_of(graph_, id);
      return matches_any(options_.skip, name) ||
             (!options_.only.empty() && !matches_any(options_.only, name));
    });
  }

  /// Remembers why a chain could not go; a telling reason wins over "there is nothing to fold into".
  void note(const Chain& chain, const Declined& declined) {
    const auto weight = [](Decline reason) {
      return reason == Decline::no_linear_neighbour ? 0 : reason == Decline::activation_between ? 1 : 2;
    };
    const auto [entry, fresh] = declined_.try_emplace(chain.nodes.front(), declined);
    if (!fresh && weight(declined.reason) > weight(entry->second.reason)) entry->second = declined;
  }

  bool try_fold(NodeId linear, const Candidate* before, const Candidate* after) {
    const auto decline = [&](const Declined& declined) {
      for (const Candidate* candidate : {before, after}) {
        if (candidate != nullptr) note(*candidate->chain, declined);
      }
      return false;
    };
    const double growth = before != nullptr ? forward_growth(before->route.affine) : 1.0;
    if (growth > options_.max_growth) {
      return decline({Decline::ill_conditioned, fmt::format("the error would grow {:.3g} times", growth)});
    }
    const NodeArgs args(graph_, linear);
    const auto result = ops_.find(linear)->absorb_affine(
        before != nullptr ? before->route.affine : ChannelAffine{},
        after != nullptr ? after->route.affine : ChannelAffine{}, args.get());
    if (const auto* declined = std::get_if<Declined>(&result)) return decline(*declined);
    const auto& absorbed = std::get<Absorbed>(result);
    const int cost =
        (before != nullptr ? before->chain->cost : 0) + (after != nullptr ? after->chain->cost : 0);
    if ((absorbed.remaining.is_identity() ? 0 : 1) >= cost) return false;
    std::size_t flushed = 0;
    const Rewrite rewrite = rewrite_linear(graph_, linear, before, after, absorbed, flushed);
    if (const auto refused = refuse(graph_, rewrite)) return decline(*refused);
    const std::size_t first = entries.size();
    if (before != nullptr) report_folded(*before->chain, linear, FoldDirection::forward, growth);
    if (after != nullptr) report_folded(*after->chain, linear, FoldDirection::backward, 1.0);
    if (entries.size() > first) entries[first].flushed_denormals = flushed;
    apply(graph_, rewrite);
    return true;
  }

  // ------------------------------------------------------------ report

  /// The chain as its author knows it: each BatchNormalization by its own name, else the disguise as a whole;
  /// a chain that does not scale is none.
  std::vector<FoldEntry> describe_chain(const Chain& chain) const {
    FoldEntry entry;
    entry.channels = chain.affine.channels();
    for (const double s : chain.affine.scale) entry.max_scale = std::max(entry.max_scale, std::abs(s));
    std::vector<FoldEntry> found;
    std::string form;
    for (const NodeId id : chain.nodes) {
      const std::string& op_type = graph_.node(id).op_type;
      form += (form.empty() ? "" : "+") + op_type;
      if (op_type != kBatchNormalization) continue;
      entry.name = label_of(graph_, id);
      entry.form = op_type;
      found.push_back(entry);
    }
    if (found.empty() && chain.affine.has_scale()) {
      entry.name = label_of(graph_, chain.nodes.front());
      entry.form = form;
      found.push_back(entry);
    }
    return found;
  }

  void report_folded(const Chain& chain, NodeId linear, FoldDirection direction, double growth) {
    for (FoldEntry& entry : describe_chain(chain)) {
      entry.folded = true;
      entry.into = fmt::format("{} '{}'", graph_.node(linear).op_type, label_of(graph_, linear));
      entry.direction = direction;
      entry.max_growth = growth;
      entries.push_back(std::move(entry));
    }
  }

  void report_left(FoldEntry entry, const Declined& declined) {
    entry.reason = declined.reason;
    entry.detail = declined.detail;
    entries.push_back(std::move(entry));
  }

  void report_what_is_left() {
    std::set<NodeId> in_chain;
    for (const Chain& chain : find_chains(graph_, ops_)) {
      const auto reason = declined_.find(chain.nodes.front());
      const Declined declined = is_switched_off(chain)      ? Declined{Decline::switched_off, {}}
                                : reason != declined_.end() ? reason->second
                                                            : Declined{Decline::no_linear_neighbour, {}};
      for (FoldEntry& entry : describe_chain(chain)) report_left(std::move(entry), declined);
      in_chain.insert(chain.nodes.begin(), chain.nodes.end());
    }
    // A BatchNormalization that is no affine map says itself why.
    for (const NodeId id : graph_.topological_order()) {
      if (graph_.node(id).op_type != kBatchNormalization || in_chain.contains(id)) continue;
      const NodeArgs args(graph_, id);
      const auto form = ops_.find(id)->as_affine(args.get());
      FoldEntry entry;
      entry.name = label_of(graph_, id);
      entry.form = graph_.node(id).op_type;
      report_left(std::move(entry), std::get<Declined>(form));
    }
  }

  static constexpr std::string_view kBatchNormalization = "BatchNormalization";

  Graph& graph_;
  const FoldOptions& options_;
  OpCache ops_;
  std::map<NodeId, Declined> declined_;  ///< of the last round, by first node of the chain
};

}  // namespace

bool FoldReport::complete() const {
  return std::all_of(entries.begin(), entries.end(), [](const FoldEntry& entry) { return entry.folded; });
}

ModelCounts count(const Model& model) {
  const Graph& graph = model.graph();
  ModelCounts counts;
  for (const NodeId id : graph.live_nodes()) {
    ++counts.operators[graph.node(id).op_type];
    ++counts.nodes;
  }
  for (const ValueId id : graph.live_values()) {
    const Tensor& constant = graph.value(id).constant;
    if (constant.defined() && is_floating(constant.dtype())) counts.parameters += constant.elements();
  }
  return counts;
}

FoldReport fold(Model& model, const FoldOptions& options) {
  FoldReport report;
  report.before = count(model);
  Graph graph = model.graph();
  infer_types(graph);
  evaluate_constants(graph);
  infer_types(graph);
  FoldPass pass(graph, options);
  report.rewrites = pass.run();
  report.entries = std::move(pass.entries);
  remove_dead(graph);
  model.graph() = std::move(graph);
  report.after = count(model);
  return report;
}

}  // namespace bnrun
