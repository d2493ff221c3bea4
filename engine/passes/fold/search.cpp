#include "passes/fold/search.h"

#include <fnmatch.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/fail.h"
#include "graph/rewrite.h"
#include "passes/fold/packed.h"
#include "passes/fold/rules.h"
#include "passes/fold/split.h"

namespace bnrun {
namespace {

/// Whether the data in front of the layers are so large that weights may be tiny and still matter.
bool scales_down_far(const Graph& graph, const Candidate& candidate) {
  constexpr double kFar = 0x1p-60;
  if (candidate.route.direction == FoldDirection::backward) return false;
  const auto linears = candidate.route.nodes(Route::Role::linear);
  return std::ranges::any_of(linears, [&](NodeId id) {
    return std::ranges::any_of(candidate.route.map_at(graph, id).scale,
                               [](double s) { return s != 0.0 && std::abs(s) < kFar; });
  });
}

/// The largest growth where the route goes into layers.
double growth_of(const Graph& graph, const Route& route) {
  double growth = 1.0;
  if (route.direction == FoldDirection::backward) return growth;
  for (const NodeId id : route.nodes(Route::Role::linear))
    growth = std::max(growth, forward_growth(route.map_at(graph, id)));
  return growth;
}

/// The map of a chain by its constants as they are stored. What a centring rounds away decides by the last digits,
/// and must be decided alike when the model is folded again.
ChannelAffine as_stored(const FoldView& view, const Chain& chain) {
  ChannelAffine map;
  for (const NodeId id : chain.nodes) {
    const auto form = view.op(id)->as_affine(NodeArgs(view.graph(), id).get());
    const auto* affine = std::get_if<AffineForm>(&form);
    if (affine == nullptr) return chain.affine;
    auto both = compose(map, affine->affine);
    if (std::holds_alternative<Declined>(both)) return chain.affine;
    map = std::get<ChannelAffine>(std::move(both));
  }
  return map;
}

/// Whether a chain loses digits as one scale and one shift: (x - c)*s is exact near c, where s*x - s*c cancels. The
/// order s*x + t is as good in any number of operators.
bool cancels(const FoldView& view, const Chain& chain) {
  constexpr double kMaxGrowth = 16.0;
  bool shifts = false;
  for (const NodeId id : chain.nodes) {
    const ChannelAffine& affine = view.affine(id)->affine;
    if (shifts && affine.has_scale()) return forward_growth(chain.affine) > kMaxGrowth;
    shifts = shifts || affine.has_shift();
  }
  return false;
}

Declined reason_of(const Refusal& refusal) {
  switch (refusal.kind) {
    case Refusal::Kind::read_elsewhere:
      return {Decline::intermediate_used_elsewhere, refusal.detail};
    case Refusal::Kind::read_outside:
      return {Decline::intermediate_is_output, refusal.detail};
    case Refusal::Kind::type_changes:
      return {Decline::shape_would_change, refusal.detail};
    case Refusal::Kind::not_finite:
      break;
  }
  return {Decline::overflow, refusal.detail};
}

/// Sums of products overflow long before a weight does.
std::optional<Declined> leaves_no_headroom(const ConstantChanges& changes, DType dtype) {
  const double limit = room_in(dtype);
  for (const Magnitude& magnitude : {changes.weights, changes.bias}) {
    if (magnitude.after > limit && magnitude.after > magnitude.before)
      return Declined{Decline::overflow, fmt::format("a constant of {:.3g} leaves sums no room in {}",
                                                     magnitude.after, name_of(dtype))};
  }
  return std::nullopt;
}

std::string remark_on(const ConstantChanges& changes) {
  return changes.flushed == 0 ? "" : fmt::format(", {} denormals set to zero", changes.flushed);
}

}  // namespace

bool matches_any(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

bool does(const FoldOptions& options, std::string_view simplification) {
  return std::ranges::find(options.without, simplification) == options.without.end();
}

FoldSearch::FoldSearch(Graph& graph, ExactConstants exact, const FoldOptions& options)
    : graph_(graph), options_(options), view_(graph, std::move(exact)), journal_(view_) {}

bool FoldSearch::may_go_on() const {
  return rewrites_ < options_.max_rewrites;
}

void FoldSearch::run() {
  // Folding comes before simplifying, so that a bias is rounded once.
  // A simplification may make another fold possible.
  for (std::size_t before = rewrites_;; before = rewrites_) {
    repeat([&] { fold_round(); });
    repeat([&] { simplify_round(); });
    if (rewrites_ == before && does(options_, "norm-affine")) repeat([&] { own_affine_round(); });
    if (rewrites_ == before && does(options_, "shorten")) repeat([&] { shorten_round(); });
    if (rewrites_ == before) break;
  }
  if (!may_go_on()) {  // declines each that could go on
    view_.update();
    fold_round();
  }
}

std::vector<FoldEntry> FoldSearch::entries() {
  return journal_.finish(options_.as_inference, [&](const Chain& chain) { return is_switched_off(chain); });
}

void FoldSearch::repeat(const std::function<void()>& round) {
  for (std::size_t before = rewrites_ + 1; may_go_on() && before != rewrites_;) {
    before = rewrites_;
    view_.update();
    round();
    if (rewrites_ != before) graph_.check();
  }
}

void FoldSearch::apply_counted(const Rewrite& rewrite) {
  ++rewrites_;
  view_.keep_exact(rewrite, apply(graph_, rewrite));
}

/// Folds, in topological order, every chain whose fold is possible and lowers the cost. A chain
/// between two linear operators is folded backward if possible, which never makes the error grow (see
/// forward_growth). Routes with branches come after those without, which may have removed a chain
/// from them. If no chain could be folded as a whole, one leaves a shift behind.
void FoldSearch::fold_round() {
  const std::size_t first = rewrites_;
  journal_.start_round();
  const auto chains = find_chains(view_);
  Candidates on_output;
  Candidates on_input;
  std::vector<Candidate> forked;
  for (const Chain& chain : chains) {
    if (is_switched_off(chain) || (chain.affine.is_identity() && !journal_.lists(chain))) continue;
    const bool follows_linear = collect(chain, FoldDirection::backward, on_output, forked);
    // A shift without scale directly behind a linear operator acts as its bias and is not moved forward.
    if (chain.affine.has_scale() || !follows_linear) collect(chain, FoldDirection::forward, on_input, forked);
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
  if (rewrites_ != first) return;  // the chains are those of the graph before the rewrites
  for (const Chain& chain : chains) {
    if (!is_switched_off(chain) && journal_.lists(chain) && try_fold_scale(chain)) return;
  }
}

/// Whether there is a way in this direction.
bool FoldSearch::collect(const Chain& chain, FoldDirection direction, Candidates& candidates,
                         std::vector<Candidate>& forked) {
  auto route = find_route(view_, chain, direction);
  if (const auto* declined = std::get_if<Declined>(&route)) {
    journal_.decline(chain, direction, *declined);
    return false;
  }
  auto& found = std::get<Route>(route);
  const auto collected = found.nodes(Route::Role::collected);
  if (std::any_of(collected.begin(), collected.end(), [&](NodeId id) { return is_left_alone(id); })) {
    journal_.decline(chain, direction, {Decline::switched_off, {}});
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

bool FoldSearch::is_switched_off(const Chain& chain) const {
  return std::any_of(chain.nodes.begin(), chain.nodes.end(), [&](NodeId id) { return is_left_alone(id); });
}

bool FoldSearch::is_left_alone(NodeId id) const {
  const std::string name = label_of(graph_, id);
  return matches_any(options_.skip, name) || (!options_.only.empty() && !matches_any(options_.only, name));
}

/// Data that were computed have rounding errors, which the scale of a map makes as large as those that its shift
/// brings. Only data as they come lose more: with 4/2.4 shifts of up to 2 fold whole, and the error stays below
/// twice that of the unfolded network (tests/property/offset_property_test.cpp).
double FoldSearch::growth_limit(const Chain& chain) const {
  constexpr double kUnrounded = 2.4;
  return view_.comes_unrounded(chain.input) ? options_.max_growth / kUnrounded : options_.max_growth;
}

/// The linear operator with the candidates' maps in its constants, or why not.
OrDeclined<Absorbed> FoldSearch::absorb(NodeId linear, std::span<const Candidate* const> candidates) const {
  ChannelAffine before;
  ChannelAffine after;
  double limit = std::numeric_limits<double>::infinity();
  for (const Candidate* candidate : candidates) {
    const bool forward = candidate->route.direction == FoldDirection::forward;
    (forward ? before : after) = candidate->route.map_at(graph_, linear);
    if (forward && !candidate->leaves_shift()) limit = growth_limit(*candidate->chain);
  }
  const double growth = forward_growth(before);
  if (growth > limit) {
    return Declined{Decline::ill_conditioned, fmt::format("the error would grow {:.3g} times", growth)};
  }
  const NodeArgs args = view_.unpacked_args(linear);
  auto absorbed = view_.op(linear)->absorb_affine(before, after, args.get());
  if (auto* declined = std::get_if<Declined>(&absorbed)) {
    const auto& inputs = graph_.node(linear).inputs;
    const bool computed = std::any_of(inputs.begin() + 1, inputs.end(), [&](ValueId input) {
      return input.valid() && graph_.value(input).producer.valid();
    });
    // What is computed from data is nothing that an export could have written down.
    if (declined->reason == Decline::not_constant && computed) declined->reason = Decline::activation_between;
    declined->detail = describe(graph_, linear) + (declined->detail.empty() ? "" : ", " + declined->detail);
    return absorbed;
  }
  auto& constants = std::get<Absorbed>(absorbed).inputs;
  std::erase_if(constants, [&](const auto& constant) {
    return stays_packed(view_, linear, constant.first, constant.second);
  });
  for (const auto& [input, scaled] : constants) {
    if (!is_packed_constant(view_, linear, input, scaled)) continue;
    auto rescaled = rescale_integers(view_, graph_.node(linear).inputs[input], scaled);
    if (auto* declined = std::get_if<Declined>(&rescaled)) {
      declined->detail = describe(graph_, linear) + ", " + declined->detail;
      return std::move(*declined);
    }
  }
  return absorbed;
}

/// A rewrite of this round may have taken a node on the way; what it left alone is as it was.
bool FoldSearch::still_stands(const Candidate& candidate) const {
  const auto alive = [&](NodeId id) { return graph_.node(id).alive; };
  const auto& steps = candidate.route.steps;
  const auto all_alive = [&](const std::vector<NodeId>& nodes) {
    return std::all_of(nodes.begin(), nodes.end(), alive);
  };
  return all_alive(candidate.chain->nodes) && all_alive(candidate.chain->bystanders) &&
         all_alive(candidate.route.bystanders) &&
         std::all_of(steps.begin(), steps.end(), [&](const auto& step) { return alive(step.node); });
}

/// Folds one candidate, or two that meet at one linear operator, if that lowers the cost.
bool FoldSearch::try_fold(std::initializer_list<const Candidate*> candidates) {
  if (!std::all_of(candidates.begin(), candidates.end(),
                   [&](const Candidate* candidate) { return still_stands(*candidate); }))
    return false;
  const auto decline = [&](const Declined& declined) {
    // Each of two is tried alone as well, and what leaves a shift has been tried whole: either has its reason.
    const Candidate& first = **candidates.begin();
    const bool whole = candidates.size() == 1 && !first.leaves_shift() && first.without == nullptr;
    if (whole || declined.reason == Decline::limit_reached)
      journal_.decline(*first.chain, first.route.direction, declined);
    return false;
  };
  const std::span<const Candidate* const> all(candidates);
  const bool forward = (*candidates.begin())->route.direction == FoldDirection::forward;
  std::vector<FoldedLinear> linears;
  int saved = 0;
  for (const Candidate* candidate : candidates) saved += candidate->route.cost;
  for (const NodeId id : (*candidates.begin())->route.nodes(Route::Role::linear)) {
    auto absorbed = absorb(id, all);
    if (const auto* declined = std::get_if<Declined>(&absorbed)) return decline(*declined);
    linears.emplace_back(id, std::move(std::get<Absorbed>(absorbed)));
    const ChannelAffine& remaining = linears.back().second.remaining;
    saved -= remaining.is_identity() || (forward && is_bias_behind(id, remaining)) ? 0 : 1;
  }
  const Candidate& one = **candidates.begin();
  if (one.leaves_shift()) --saved;
  if (saved < 1) {
    return decline({linears.size() > 1 ? Decline::intermediate_used_elsewhere : Decline::no_linear_neighbour,
                    "folding would add as many operators as it saves"});
  }
  ConstantChanges changes;
  Rewrite rewrite = rewrite_linears(view_, all, linears, changes);
  rewrite.why = "fold into " + names_of_ends(graph_, one.route);
  if (const auto refused = refuse(graph_, rewrite)) return decline(reason_of(*refused));
  if (auto overflows = leaves_no_headroom(changes, graph_.value(one.chain->output).type.dtype))
    return decline(*overflows);
  if (changes.flushed != 0 &&
      std::ranges::any_of(all, [&](const Candidate* c) { return scales_down_far(graph_, *c); })) {
    return decline({Decline::overflow,
                    fmt::format("{} weights would be denormal, for data that are large", changes.flushed)});
  }
  if (!may_go_on()) return decline({Decline::limit_reached, {}});
  const std::size_t first = journal_.size();
  for (const Candidate* candidate : candidates) {
    if (candidate->without == nullptr)
      journal_.fold(*candidate, growth_of(graph_, candidate->route));
    else
      simplifications_.push_back(fmt::format("move scale and bias of {} into {}",
                                             describe(graph_, candidate->chain->nodes.front()),
                                             names_of_ends(graph_, candidate->route)));
  }
  journal_.measure(first, changes);
  apply_counted(rewrite);
  return true;
}

/// Folds the scale of a chain and leaves its shift, or what of it would make the error grow: in its centred
/// form where the whole map is too large to go forward, else in front of or behind what lets no shift pass.
bool FoldSearch::try_fold_scale(const Chain& chain) {
  if (!chain.affine.has_scale() || graph_.opset("") == 0) return false;
  const auto attempt = [&](FoldDirection direction, std::optional<Split> split) {
    if (!split || split->goes.is_identity()) return false;
    Chain scaling = chain;
    scaling.affine = std::move(split->goes);
    auto route = find_route(view_, scaling, direction);
    if (std::holds_alternative<Declined>(route)) return false;
    const Candidate candidate{&scaling, std::move(std::get<Route>(route)), std::move(split->stays)};
    return candidate.route.nodes(Route::Role::collected).empty() && try_fold({&candidate});
  };
  const DType storage = graph_.value(chain.input).type.dtype;
  const double limit = growth_limit(chain);
  return attempt(FoldDirection::forward,
                 centred(chain.affine, chain.rest, Centre::growing, limit, storage)) ||
         attempt(FoldDirection::backward, shifted_last(chain.affine)) ||
         attempt(FoldDirection::forward, centred(as_stored(view_, chain), {}, Centre::all, limit, storage));
}

/// Replaces each chain that could not be folded by the fewest operators that compute the same.
void FoldSearch::shorten_round() {
  for (const Chain& chain : find_chains(view_)) {
    if (!may_go_on()) return;
    if (is_switched_off(chain) ||
        cost_of_replacement(view_, chain, chain.affine).value_or(chain.cost) >= chain.cost ||
        cancels(view_, chain))
      continue;
    ConstantChanges changes;
    const Rewrite rewrite = rewrite_chain(view_, chain, changes);
    if (refuse(graph_, rewrite)) continue;
    simplifications_.push_back(fmt::format("shorten the {} affine operators from {}{}", chain.nodes.size(),
                                           describe(graph_, chain.nodes.front()), remark_on(changes)));
    journal_.merge(chain, forward_growth(chain.affine));
    apply_counted(rewrite);
  }
}

/// What a linear operator adds behind it vanishes in an Add that stands there.
bool FoldSearch::is_bias_behind(NodeId linear, const ChannelAffine& shift) const {
  const NodeId reader = sole_reader(graph_, graph_.node(linear).outputs[0]);
  const AffineForm* form = reader.valid() ? view_.affine(reader) : nullptr;
  return form != nullptr && form->affine.has_shift() && !is_left_alone(reader) &&
         std::holds_alternative<ChannelAffine>(compose(shift, form->affine));
}

// before: x -> Norm(scale, B) -> h -> L(W, b)        after: x -> Norm(1, 0) -> L(scale*W, b + B*W)
// Conditions: those of a fold forward of the map scale*h' + B, where h' is what the normalisation gives without
// them: every reader takes it, and no operator is added.
void FoldSearch::own_affine_round() {
  for (const NodeId id : view_.order()) {
    if (!may_go_on() || !graph_.node(id).alive || view_.op(id) == nullptr) continue;
    const NodeArgs args = view_.args(id);
    auto own = view_.op(id)->own_affine(args.get());
    if (!own) continue;
    const Node& node = graph_.node(id);
    const Chain chain{.nodes = {id},
                      .input = node.inputs[0],
                      .output = node.outputs[0],
                      .affine = std::move(own->affine),
                      .cost = 1};
    if (is_switched_off(chain)) continue;
    auto route = find_route(view_, chain, FoldDirection::forward);
    if (std::holds_alternative<Declined>(route)) continue;
    const Candidate candidate{&chain, std::move(std::get<Route>(route)), {}, &own->without};
    if (candidate.route.nodes(Route::Role::collected).empty() && try_fold({&candidate})) return;
  }
}

void FoldSearch::simplify_round() {
  for (const NodeId id : view_.order()) {
    if (!may_go_on()) return;
    const auto rewrite = find_simplification(view_, id, options_.without);
    if (!rewrite) continue;
    simplifications_.push_back(rewrite->why);
    apply_counted(*rewrite);
  }
}

}  // namespace bnrun
