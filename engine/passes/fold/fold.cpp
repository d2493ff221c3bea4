// The fold pass: finds chains of affine operators, asks the linear operators next to them to take them in,
// and lets the rewrite driver decide whether that is safe.
#include "bnrun/fold.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "passes/to_inference.h"
#include "passes/fold/chain.h"
#include "passes/fold/magnitude.h"
#include "passes/fold/rewrite_linear.h"
#include "passes/fold/simplify.h"
#include "base/fail.h"
#include "graph/rewrite.h"
#include "passes/prepare.h"
#include "graph/node_query.h"

namespace bnrun {
namespace {

/// Half-width of the range that a normalised activation is taken to cover in the estimate of error growth.
constexpr double kNormalisedRange = 3.0;

/// A map in front of W multiplies what is large before the shift brings it down to +-kNormalisedRange: with
/// a = s*x + t, |s*x| reaches kNormalisedRange + |t|, and so does the rounding error relative to the unfolded
/// one. Behind W nothing grows: |W'| = |s||W| and |b'| <= |s||b| + |t|.
double channel_growth(double t) {
  return (kNormalisedRange + std::abs(t)) / kNormalisedRange;
}
double forward_growth(const ChannelAffine& affine) {
  double growth = 1.0;
  for (const double t : affine.shift) growth = std::max(growth, channel_growth(t));
  return growth;
}

bool matches_any(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

bool does(const FoldOptions& options, std::string_view simplification) {
  return std::ranges::find(options.keep, simplification) == options.keep.end();
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
      repeat([&] { fold_round(); });
      repeat([&] { simplify_round(); });
      if (rewrites_ == before && does(options_, "shorten")) repeat([&] { shorten_chains(); });
      if (rewrites_ == before) break;
    }
    if (!may_go_on()) {  // declines each that could go on
      view_.update();
      fold_round();
    }
    report_what_is_left();
    return rewrites_;
  }

  std::vector<std::string> simplifications;
  std::vector<FoldEntry> entries;

 private:
  /// By linear operator, the one that takes along most first.
  using Candidates = std::map<NodeId, std::vector<Candidate>>;

  bool may_go_on() const { return rewrites_ < options_.max_rewrites; }

  template <class Round>
  void repeat(Round round) {
    for (std::size_t before = rewrites_ + 1; may_go_on() && before != rewrites_;) {
      before = rewrites_;
      view_.update();
      round();
      graph_.check();
    }
  }

  /// Applies, in topological order, what is possible and lowers the cost. A chain between two linear
  /// operators is offered to the one behind it first: backward never grows the error bound (see
  /// forward_growth). Ways that fork come next, since a chain that has gone no longer stands in one, and,
  /// when no chain goes whole, one that goes in part.
  void fold_round() {
    const std::size_t first = rewrites_;
    declined_.clear();
    const auto chains = find_chains(view_);
    Candidates on_output;
    Candidates on_input;
    std::vector<Candidate> forked;
    for (const Chain& chain : chains) {
      if (is_switched_off(chain) || (chain.affine.is_identity() && !is_known_to_author(chain))) continue;
      const bool follows_linear = collect(chain, FoldDirection::backward, on_output, forked);
      // A pure shift right behind a linear operator is its bias: it is at home there.
      if (chain.affine.has_scale() || !follows_linear)
        collect(chain, FoldDirection::forward, on_input, forked);
    }
    for (const NodeId id : view_.order()) {
      const auto& before = on_input[id];
      const auto& after = on_output[id];
      if (!before.empty() && !after.empty() && try_fold({&before.front(), &after.front()})) continue;
      const auto alone = [&](const Candidate& candidate) { return try_fold({&candidate}); };
      if (std::any_of(after.begin(), after.end(), alone)) continue;
      std::any_of(before.begin(), before.end(), alone);
    }
    for (const Candidate& candidate : forked) try_fold({&candidate});
    if (rewrites_ != first) return;  // what follows looks for ways of its own in the graph as it was
    for (const Chain& chain : chains) {
      if (!is_switched_off(chain) && is_known_to_author(chain) && try_fold_well_conditioned_channels(chain))
        return;
    }
  }

  /// A chain that cannot go down whole for the error that would cause leaves only the channels that cause it.
  bool try_fold_well_conditioned_channels(const Chain& chain) {
    Chain part = chain;
    ChannelAffine rest = chain.affine;
    std::size_t stays = 0;
    for (std::size_t c = 0; c < rest.channels(); ++c) {
      const bool leaves = channel_growth(rest.shift[c]) <= options_.max_growth;
      ChannelAffine& other = leaves ? rest : part.affine;
      other.scale[c] = 1.0;
      other.shift[c] = 0.0;
      stays += leaves ? 0 : 1;
    }
    if (stays == 0 || part.affine.is_identity()) return false;
    auto route = find_route(view_, part, FoldDirection::forward);
    if (std::holds_alternative<Declined>(route)) return false;
    const Candidate candidate{&part, std::move(std::get<Route>(route)), std::move(rest)};
    if (!candidate.route.nodes(Route::Role::collected).empty()) return false;
    const std::string name = describe_nodes(chain.nodes, chain.affine).back().name;
    const std::string into = names_of(candidate.route);
    const auto merged = entries_of_merged(chain);
    if (!try_fold({&candidate})) return false;
    entries.insert(entries.end(), merged.begin(), merged.end());
    went_in_part_[name] = fmt::format("{} of {} channels went into {}{}", chain.affine.channels() - stays,
                                      chain.affine.channels(), into, flushed_remark());
    return true;
  }

  /// Chains that found no way become the fewest operators that compute the same.
  void shorten_chains() {
    for (const Chain& chain : find_chains(view_)) {
      if (!may_go_on()) return;
      if (is_switched_off(chain) ||
          cost_of_replacement(graph_, chain, chain.affine).value_or(chain.cost) >= chain.cost ||
          forward_growth(chain.affine) > options_.max_growth)
        continue;
      flushed_ = 0;
      Rewrite rewrite = rewrite_chain(view_, chain, flushed_);
      if (refuse(graph_, rewrite)) continue;
      simplifications.push_back(fmt::format("shorten the {} affine operators from {}{}", chain.nodes.size(),
                                            describe(graph_, chain.nodes.front()), flushed_remark()));
      const auto merged = entries_of_merged(chain);
      entries.insert(entries.end(), merged.begin(), merged.end());
      apply(graph_, rewrite);
      ++rewrites_;
    }
  }

  std::string flushed_remark() const {
    return flushed_ == 0 ? "" : fmt::format(", {} denormals set to zero", flushed_);
  }

  void simplify_round() {
    for (const NodeId id : view_.order()) {
      if (!may_go_on()) return;
      const auto rewrite = find_simplification(view_, id, options_.keep);
      if (!rewrite) continue;
      simplifications.push_back(rewrite->why);
      apply(graph_, *rewrite);
      ++rewrites_;
    }
  }

  /// Whether there is a way in this direction.
  bool collect(const Chain& chain, FoldDirection direction, Candidates& candidates,
               std::vector<Candidate>& forked) {
    auto route = find_route(view_, chain, direction);
    if (const auto* declined = std::get_if<Declined>(&route)) {
      note(chain, *declined);
      return false;
    }
    auto& found = std::get<Route>(route);
    const auto collected = found.nodes(Route::Role::collected);
    if (std::any_of(collected.begin(), collected.end(), [&](NodeId id) { return is_left_alone(id); })) {
      note(chain, {Decline::switched_off, {}});
      return true;
    }
    const auto linears = found.nodes(Route::Role::linear);
    if (linears.size() != 1) {
      forked.push_back({&chain, std::move(found)});
      return true;
    }
    auto& list = candidates[linears[0]];
    const auto place = std::find_if(list.begin(), list.end(),
                                    [&](const Candidate& other) { return other.route.cost < found.cost; });
    list.insert(place, Candidate{&chain, std::move(found)});
    return true;
  }

  /// Whether the report lists the chain: a BatchNormalization, or something that scales and so is one in
  /// disguise.
  bool is_known_to_author(const Chain& chain) const {
    return !describe_nodes(chain.nodes, chain.affine).empty();
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
             : reason == Decline::limit_reached      ? 4
             : reason == Decline::ill_conditioned    ? 3
                                                     : 2;
    };
    const auto [entry, fresh] = declined_.try_emplace(chain.nodes.front(), declined);
    if (!fresh && weight(declined.reason) > weight(entry->second.reason)) entry->second = declined;
  }

  /// The linear operator with the candidates' maps in its constants, or why not.
  OrDeclined<Absorbed> absorb(NodeId linear, std::span<const Candidate* const> candidates) {
    ChannelAffine before;
    ChannelAffine after;
    for (const Candidate* candidate : candidates) {
      const ChannelAffine& map = candidate->route.map_at(graph_, linear);
      (candidate->route.direction == FoldDirection::forward ? before : after) = map;
    }
    const double growth = forward_growth(before);
    if (growth > options_.max_growth) {
      return Declined{Decline::ill_conditioned, fmt::format("the error would grow {:.3g} times", growth)};
    }
    const NodeArgs args = view_.args(linear);
    return view_.op(linear)->absorb_affine(before, after, args.get());
  }

  /// A rewrite of this round may have taken a node on the way; what it left alone is as it was.
  bool still_stands(const Candidate& candidate) const {
    const auto alive = [&](NodeId id) { return graph_.node(id).alive; };
    const auto& steps = candidate.route.steps;
    return std::all_of(candidate.chain->nodes.begin(), candidate.chain->nodes.end(), alive) &&
           std::all_of(steps.begin(), steps.end(), [&](const auto& step) { return alive(step.node); });
  }

  /// Folds one candidate, or two that meet at one linear operator, if that lowers the cost.
  bool try_fold(std::initializer_list<const Candidate*> candidates) {
    if (!std::all_of(candidates.begin(), candidates.end(),
                     [&](const Candidate* candidate) { return still_stands(*candidate); }))
      return false;
    const auto decline = [&](const Declined& declined) {
      // Each of two is tried alone as well, and then gets a reason of its own.
      if (candidates.size() == 1) note(*(*candidates.begin())->chain, declined);
      return false;
    };
    const std::span<const Candidate* const> all(candidates);
    std::vector<FoldedLinear> linears;
    int saved = 0;
    for (const Candidate* candidate : candidates) saved += candidate->route.cost;
    for (const NodeId id : (*candidates.begin())->route.nodes(Route::Role::linear)) {
      auto absorbed = absorb(id, all);
      if (const auto* declined = std::get_if<Declined>(&absorbed)) return decline(*declined);
      linears.emplace_back(id, std::move(std::get<Absorbed>(absorbed)));
      saved -= linears.back().second.remaining.is_identity() ? 0 : 1;
    }
    const Candidate& one = **candidates.begin();
    const bool in_part = !one.rest.is_identity();
    if (in_part) saved -= cost_of_replacement(graph_, *one.chain, one.rest).value_or(saved + 1);
    if (saved < (in_part ? 0 : 1)) {
      return decline(
          {linears.size() > 1 ? Decline::intermediate_used_elsewhere : Decline::no_linear_neighbour,
           "folding would add as many operators as it saves"});
    }
    flushed_ = 0;
    Rewrite rewrite = rewrite_linears(view_, all, linears, flushed_);
    rewrite.why = "fold into " + names_of(one.route);
    if (const auto refused = refuse(graph_, rewrite)) return decline(*refused);
    if (!may_go_on()) return decline({Decline::limit_reached, {}});
    const std::size_t first = entries.size();
    for (const Candidate* candidate : candidates) {
      if (!in_part) report_folded(*candidate);
    }
    if (entries.size() > first) entries[first].flushed_denormals = flushed_;
    const Magnitudes magnitudes = measure(graph_, linears, rewrite);
    for (std::size_t i = first; i < entries.size(); ++i) {
      entries[i].weights = magnitudes.weights;
      entries[i].bias = magnitudes.bias;
    }
    apply(graph_, rewrite);
    ++rewrites_;
    return true;
  }

  std::string names_of(const Route& route) const {
    std::string names;
    for (const NodeId id : route.nodes(Route::Role::linear))
      names += (names.empty() ? "" : ", ") + label_with_type(id);
    return names.empty() ? "nothing: on its way it becomes the identity" : names;
  }

  std::string label_with_type(NodeId id) const {
    return fmt::format("{} '{}'", graph_.node(id).op_type, label_of(graph_, id));
  }

  // ------------------------------------------------------------ report

  /// The nodes as their author knows them: each BatchNormalization by its own name, else the disguise as a
  /// whole; nodes none of which scales are none.
  std::vector<FoldEntry> describe_nodes(const std::vector<NodeId>& nodes, const ChannelAffine& affine) const {
    FoldEntry entry;
    entry.channels = affine.channels();
    for (std::size_t c = 0; c < affine.scale.size(); ++c) {
      if (std::abs(affine.scale[c]) <= entry.max_scale) continue;
      entry.max_scale = std::abs(affine.scale[c]);
      entry.max_scale_channel = c;
    }
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
    const NodeId scaling = scaling_node(view_, nodes);
    const std::string name = label_of(graph_, scaling.valid() ? scaling : nodes.front());
    if (found.empty() && (scaling.valid() || went_in_part_.contains(name))) {
      entry.name = name;
      entry.form = form;
      found.push_back(entry);
    }
    return found;
  }

  void report_folded(const Candidate& candidate) {
    const Route& route = candidate.route;
    double growth = 1.0;
    for (const NodeId id : route.nodes(Route::Role::linear)) {
      if (route.direction == FoldDirection::forward)
        growth = std::max(growth, forward_growth(route.map_at(graph_, id)));
    }
    const auto report = [&](const std::vector<NodeId>& nodes, const ChannelAffine& affine) {
      for (FoldEntry& entry : describe_nodes(nodes, affine)) {
        entry.folded = true;
        entry.into = names_of(route);
        entry.direction = route.direction;
        entry.max_growth = growth;
        entries.push_back(std::move(entry));
      }
    };
    report(candidate.chain->nodes, candidate.chain->affine);
    for (const NodeId id : route.nodes(Route::Role::collected)) report({id}, view_.affine(id)->affine);
  }

  /// A chain that becomes shorter: all its BatchNormalizations but the one that stays are folded into that
  /// one.
  std::vector<FoldEntry> entries_of_merged(const Chain& chain) const {
    const NodeId stays = batch_normalization_of(graph_, chain);
    std::vector<FoldEntry> merged;
    for (const NodeId id : chain.nodes) {
      if (id == stays || graph_.node(id).op_type != kBatchNormalization) continue;
      FoldEntry entry = describe_nodes({id}, view_.affine(id)->affine).front();
      entry.folded = true;
      entry.into = label_with_type(stays);
      entry.direction = FoldDirection::forward;
      entry.max_growth = forward_growth(chain.affine);
      merged.push_back(std::move(entry));
    }
    return merged;
  }

  void report_left(FoldEntry entry, const Declined& declined) {
    entry.reason = declined.reason;
    entry.detail = declined.detail;
    if (const auto part = went_in_part_.find(entry.name); part != went_in_part_.end())
      entry.detail = part->second + "; " + entry.detail;
    entries.push_back(std::move(entry));
  }

  void report_what_is_left() {
    view_.update();
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
    // A BatchNormalization that is no affine map of data says itself why, unless it is one of a constant.
    for (const NodeId id : graph_.topological_order()) {
      if (graph_.node(id).op_type != kBatchNormalization || in_chain.contains(id)) continue;
      const NodeArgs args = view_.args(id);
      const auto form = view_.op(id)->as_affine(args.get());
      FoldEntry entry;
      entry.name = label_of(graph_, id);
      entry.form = graph_.node(id).op_type;
      const auto* reason = std::get_if<Declined>(&form);
      Declined declined = reason != nullptr ? *reason : Declined{Decline::no_linear_neighbour, {}};
      // That alone keeps it from being converted.
      if (options_.as_inference && declined.reason == Decline::training_mode)
        declined.reason = Decline::extra_outputs_used;
      report_left(std::move(entry), declined);
    }
    report_subgraphs_of(graph_);
  }

  void report_subgraphs_of(const Graph& graph) {
    for (const NodeId id : graph.live_nodes()) {
      for (const auto& [name, attribute] : graph.node(id).attributes) {
        const auto* subgraph = std::get_if<std::shared_ptr<const Graph>>(&attribute);
        if (subgraph == nullptr) continue;
        for (const NodeId inner : (*subgraph)->live_nodes()) {
          if ((*subgraph)->node(inner).op_type != kBatchNormalization) continue;
          FoldEntry entry;
          entry.name = label_of(**subgraph, inner);
          entry.form = kBatchNormalization;
          report_left(std::move(entry), {Decline::in_subgraph, describe(graph, id)});
        }
        report_subgraphs_of(**subgraph);
      }
    }
  }

  static constexpr std::string_view kBatchNormalization = "BatchNormalization";

  Graph& graph_;
  const FoldOptions& options_;
  FoldView view_;
  std::size_t rewrites_ = 0;
  std::size_t flushed_ = 0;                          ///< by the last rewrite
  std::map<std::string, std::string> went_in_part_;  ///< by name in the report, which channels have gone
  std::map<NodeId, Declined> declined_;              ///< of the last round, by first node of the chain
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
  FoldReport report;
  report.before = count(model);
  Graph graph = model.graph();
  if (options.as_inference) report.converted = convert_to_inference(graph);
  infer_types(graph);
  ExactConstants exact;
  if (does(options, "constants")) evaluate_constants(graph, &exact);
  if (does(options, "dead")) remove_dead(graph);
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
