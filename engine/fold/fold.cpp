// The fold pass: finds chains of affine operators, asks the linear operators next to them to take them in,
// and lets the rewrite driver decide whether that is safe.
#include "bnrun/fold.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "fold/as_inference.h"
#include "fold/chain.h"
#include "fold/rewrite_linear.h"
#include "fold/simplify.h"
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
  FoldPass(Graph& graph, ExactConstants exact, const FoldOptions& options)
      : graph_(graph), options_(options), view_(graph, std::move(exact)) {}

  /// Rewrites until nothing more can go, then adds what is left to the entries. Returns the number of
  /// rewrites.
  std::size_t run() {
    // Folding comes first, so that a bias is rounded once; what it leaves may simplify and open the way for
    // more.
    for (std::size_t before = rewrites_;; before = rewrites_) {
      while (may_go_on() && fold_one()) ++rewrites_;
      while (may_go_on() && simplify_one()) ++rewrites_;
      if (rewrites_ == before) break;
    }
    if (!may_go_on()) fold_one();  // declines each that could go on
    report_what_is_left();
    return rewrites_;
  }

  std::vector<std::string> simplifications;
  std::vector<FoldEntry> entries;

 private:
  bool may_go_on() const { return rewrites_ < options_.max_rewrites; }

  /// By linear operator, the one that takes along most first.
  using Candidates = std::map<NodeId, std::vector<Candidate>>;

  /// Applies the first rewrite in topological order that is possible and lowers the cost. A chain between two
  /// linear operators is offered to the one behind it first: backward never grows the error bound (see
  /// forward_growth).
  bool fold_one() {
    declined_.clear();
    const auto chains = find_chains(view_);
    Candidates on_output;
    Candidates on_input;
    for (const Chain& chain : chains) {
      if (is_switched_off(chain)) continue;
      const bool follows_linear = collect(chain, FoldDirection::backward, on_output);
      // A pure shift right behind a linear operator is its bias: it is at home there.
      if (chain.affine.has_scale() || !follows_linear) collect(chain, FoldDirection::forward, on_input);
    }
    for (const NodeId id : graph_.topological_order()) {
      const auto& before = on_input[id];
      const auto& after = on_output[id];
      if (!before.empty() && !after.empty() && try_fold(id, &before.front(), &after.front())) return true;
      for (const Candidate& candidate : after) {
        if (try_fold(id, nullptr, &candidate)) return true;
      }
      for (const Candidate& candidate : before) {
        if (try_fold(id, &candidate, nullptr)) return true;
      }
    }
    return std::any_of(chains.begin(), chains.end(),
                       [&](const Chain& chain) { return try_fold_into_all_readers(chain); });
  }

  bool simplify_one() {
    const auto rewrite = find_simplification(view_, options_.keep);
    if (!rewrite) return false;
    simplifications.push_back(rewrite->why);
    apply(graph_, *rewrite);
    return true;
  }

  bool collect(const Chain& chain, FoldDirection direction, Candidates& candidates) {
    auto route = find_route(view_, chain, direction);
    if (const auto* declined = std::get_if<Declined>(&route)) {
      note(chain, *declined);
      return false;
    }
    auto& found = std::get<Route>(route);
    if (std::any_of(found.collected.begin(), found.collected.end(),
                    [&](NodeId id) { return is_left_alone(id); })) {
      note(chain, {Decline::switched_off, {}});
      return true;
    }
    auto& list = candidates[found.linear];
    const auto place = std::find_if(list.begin(), list.end(),
                                    [&](const Candidate& other) { return other.route.cost < found.cost; });
    list.insert(place, Candidate{&chain, std::move(found)});
    return true;
  }

  bool is_switched_off(const Chain& chain) const {
    return std::any_of(chain.nodes.begin(), chain.nodes.end(), [&](NodeId id) { return is_left_alone(id); });
  }
  bool is_left_alone(NodeId id) const {
    const std::string name = label_of(graph_, id);
    return matches_any(options_.skip, name) || (!options_.only.empty() && !matches_any(options_.only, name));
  }

  /// Remembers why a chain could not go; a telling reason wins over "there is nothing to fold into".
  void note(const Chain& chain, const Declined& declined) {
    const auto weight = [](Decline reason) {
      return reason == Decline::no_linear_neighbour  ? 0
             : reason == Decline::activation_between ? 1
             : reason == Decline::limit_reached      ? 3
                                                     : 2;
    };
    const auto [entry, fresh] = declined_.try_emplace(chain.nodes.front(), declined);
    if (!fresh && weight(declined.reason) > weight(entry->second.reason)) entry->second = declined;
  }

  /// The linear operator with the maps in its constants, or why not.
  OrDeclined<Absorbed> absorb(NodeId linear, const Candidate* before, const Candidate* after) {
    const double growth = before != nullptr ? forward_growth(before->route.affine) : 1.0;
    if (growth > options_.max_growth) {
      return Declined{Decline::ill_conditioned, fmt::format("the error would grow {:.3g} times", growth)};
    }
    const NodeArgs args = view_.args(linear);
    return view_.op(linear)->absorb_affine(before != nullptr ? before->route.affine : ChannelAffine{},
                                           after != nullptr ? after->route.affine : ChannelAffine{},
                                           args.get());
  }

  bool try_fold(NodeId linear, const Candidate* before, const Candidate* after) {
    const auto decline = [&](const Declined& declined) {
      for (const Candidate* candidate : {before, after}) {
        if (candidate != nullptr) note(*candidate->chain, declined);
      }
      return false;
    };
    const auto result = absorb(linear, before, after);
    if (const auto* declined = std::get_if<Declined>(&result)) return decline(*declined);
    const auto& absorbed = std::get<Absorbed>(result);
    const int cost =
        (before != nullptr ? before->route.cost : 0) + (after != nullptr ? after->route.cost : 0);
    if (cost_left(absorbed) >= cost) return false;
    std::size_t flushed = 0;
    Rewrite rewrite;
    rewrite.why = "fold into " + describe(graph_, linear);
    rewrite_linear(graph_, linear, before, after, absorbed, rewrite, flushed);
    for (const Candidate* candidate : {before, after}) {
      if (candidate != nullptr) remove_chain(*candidate->chain, rewrite);
    }
    if (const auto refused = refuse(graph_, rewrite)) return decline(*refused);
    if (!may_go_on()) return decline({Decline::limit_reached, {}});
    const std::size_t first = entries.size();
    if (before != nullptr) report_folded(*before, label_with_type(linear), FoldDirection::forward);
    if (after != nullptr) report_folded(*after, label_with_type(linear), FoldDirection::backward);
    if (entries.size() > first) entries[first].flushed_denormals = flushed;
    apply(graph_, rewrite);
    return true;
  }

  /// before: x -> [chain] -> L1, L2, ...     after: x -> L1', L2', ...
  /// Conditions: every reader leads to a linear operator of its own that takes the map; no graph output reads
  /// it. One reader less than all would keep the chain alive and save nothing.
  bool try_fold_into_all_readers(const Chain& chain) {
    const Value& output = graph_.value(chain.output);
    if (output.users.size() < 2 || output.is_output || is_switched_off(chain) || !chain.affine.has_scale())
      return false;
    Rewrite rewrite;
    rewrite.why = "fold '" + output.name + "' into all its readers";
    std::set<NodeId> into;
    std::string names;
    std::size_t flushed = 0;
    int left = 0;
    std::vector<Candidate> candidates;
    for (const NodeId reader : output.users) {
      auto route = find_route(view_, chain, FoldDirection::forward, reader);
      if (std::holds_alternative<Declined>(route))
        return false;  // that it has other readers is the better reason
      candidates.push_back({&chain, std::move(std::get<Route>(route))});
      const Candidate& candidate = candidates.back();
      if (!candidate.route.collected.empty() || !into.insert(candidate.route.linear).second) return false;
      const auto result = absorb(candidate.route.linear, &candidate, nullptr);
      if (const auto* declined = std::get_if<Declined>(&result)) {
        note(chain, *declined);
        return false;
      }
      left += cost_left(std::get<Absorbed>(result));
      rewrite_linear(graph_, candidate.route.linear, &candidate, nullptr, std::get<Absorbed>(result), rewrite,
                     flushed);
      names += (names.empty() ? "" : ", ") + label_with_type(candidate.route.linear);
    }
    if (left >= chain.cost) return false;
    remove_chain(chain, rewrite);
    if (refuse(graph_, rewrite)) return false;
    if (!may_go_on()) {
      note(chain, {Decline::limit_reached, {}});
      return false;
    }
    const std::size_t first = entries.size();
    report_folded(candidates.front(), names, FoldDirection::forward);
    if (entries.size() > first) entries[first].flushed_denormals = flushed;
    apply(graph_, rewrite);
    return true;
  }

  static int cost_left(const Absorbed& absorbed) { return absorbed.remaining.is_identity() ? 0 : 1; }

  std::string label_with_type(NodeId id) const {
    return fmt::format("{} '{}'", graph_.node(id).op_type, label_of(graph_, id));
  }

  // ------------------------------------------------------------ report

  /// The chain as its author knows it: each BatchNormalization by its own name, else the disguise as a whole;
  /// a chain that does not scale is none.
  std::vector<FoldEntry> describe_nodes(const std::vector<NodeId>& nodes, const ChannelAffine& affine) {
    FoldEntry entry;
    entry.channels = affine.channels();
    for (const double s : affine.scale) entry.max_scale = std::max(entry.max_scale, std::abs(s));
    std::vector<FoldEntry> found;
    std::string form;
    for (const NodeId id : nodes) {
      const std::string& op_type = graph_.node(id).op_type;
      form += (form.empty() ? "" : "+") + op_type;
      if (op_type != kBatchNormalization) continue;
      entry.name = label_of(graph_, id);
      entry.form = op_type;
      found.push_back(entry);
    }
    if (found.empty() && affine.has_scale()) {
      const auto scaling = std::find_if(nodes.begin(), nodes.end(), [&](NodeId id) { return scales(id); });
      entry.name = label_of(graph_, scaling != nodes.end() ? *scaling : nodes.front());
      entry.form = form;
      found.push_back(entry);
    }
    return found;
  }

  bool scales(NodeId id) {
    const NodeArgs args = view_.args(id);
    const auto form = view_.op(id)->as_affine(args.get());
    const auto* affine = std::get_if<AffineForm>(&form);
    return affine != nullptr && affine->affine.has_scale();
  }

  void report_folded(const Candidate& candidate, const std::string& into, FoldDirection direction) {
    std::vector<NodeId> nodes = candidate.chain->nodes;
    const auto& collected = candidate.route.collected;
    nodes.insert(nodes.end(), collected.begin(), collected.end());
    std::sort(nodes.begin(), nodes.end());
    for (FoldEntry& entry : describe_nodes(nodes, candidate.route.affine)) {
      entry.folded = true;
      entry.into = into;
      entry.direction = direction;
      entry.max_growth = direction == FoldDirection::forward ? forward_growth(candidate.route.affine) : 1.0;
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
    for (const Chain& chain : find_chains(view_)) {
      const auto reason = declined_.find(chain.nodes.front());
      const Declined declined = is_switched_off(chain)      ? Declined{Decline::switched_off, {}}
                                : reason != declined_.end() ? reason->second
                                                            : Declined{Decline::no_linear_neighbour, {}};
      for (FoldEntry& entry : describe_nodes(chain.nodes, chain.affine))
        report_left(std::move(entry), declined);
      in_chain.insert(chain.nodes.begin(), chain.nodes.end());
    }
    // A BatchNormalization that is no affine map says itself why.
    for (const NodeId id : graph_.topological_order()) {
      if (graph_.node(id).op_type != kBatchNormalization || in_chain.contains(id)) continue;
      const NodeArgs args = view_.args(id);
      const auto form = view_.op(id)->as_affine(args.get());
      FoldEntry entry;
      entry.name = label_of(graph_, id);
      entry.form = graph_.node(id).op_type;
      Declined declined = std::get<Declined>(form);
      // That alone keeps it from being converted.
      if (options_.as_inference && declined.reason == Decline::training_mode)
        declined.reason = Decline::extra_outputs_used;
      report_left(std::move(entry), declined);
    }
  }

  static constexpr std::string_view kBatchNormalization = "BatchNormalization";

  Graph& graph_;
  const FoldOptions& options_;
  FoldView view_;
  std::size_t rewrites_ = 0;
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

std::vector<std::string> unmatched_patterns(const Model& model, const FoldOptions& options) {
  const Graph& graph = model.graph();
  std::vector<std::string> patterns = options.only;
  patterns.insert(patterns.end(), options.skip.begin(), options.skip.end());
  for (const NodeId id : graph.live_nodes()) {
    const std::string name = label_of(graph, id);
    std::erase_if(patterns, [&](const std::string& pattern) { return matches_any({pattern}, name); });
  }
  return patterns;
}

FoldReport fold(Model& model, const FoldOptions& options) {
  for (const std::string& name : options.keep) {
    const auto all = simplifications();
    if (std::ranges::find(all, name, &Simplification::name) == all.end())
      fail(ErrorCode::invalid_input, "there is no simplification '{}' to leave out", name);
  }
  const auto does = [&](std::string_view name) {
    return std::ranges::find(options.keep, name) == options.keep.end();
  };
  FoldReport report;
  report.before = count(model);
  Graph graph = model.graph();
  if (options.as_inference) report.converted = convert_to_inference(graph);
  infer_types(graph);
  ExactConstants exact;
  if (does("constants")) evaluate_constants(graph, &exact);
  if (does("dead")) remove_dead(graph);
  infer_types(graph);
  FoldPass pass(graph, std::move(exact), options);
  report.rewrites = pass.run();
  report.entries = std::move(pass.entries);
  report.simplifications = std::move(pass.simplifications);
  model.graph() = std::move(graph);
  report.after = count(model);
  return report;
}

}  // namespace bnrun
