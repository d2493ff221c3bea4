#include "verify/verifier.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/elements.h"
#include "base/fail.h"
#include "passes/widen.h"
#include "verify/interpret.h"
#include "verify/move_weights.h"

namespace bnrun {
namespace {

/// Larger weights are not kept in double but widened by each node that reads them: two models in double would
/// take four times the memory of one model.
constexpr std::size_t kMaxWideBytes = std::size_t{1} << 20;
/// How often weights are moved for each set of inputs, and how often before B is said to differ: an operator
/// that rounds (QuantizeLinear) or chooses (ArgMax) does so differently once in a while, which few trials miss.
constexpr std::size_t kMoves = 2;
constexpr std::size_t kMovesOnDoubt = 16;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::int64_t elements_of(const InputSet& set) {
  std::int64_t elements = 0;
  for (const Tensor& tensor : set.inputs) elements += tensor.defined() ? tensor.elements() : 0;
  return elements;
}

/// What overflows in A's own precision may do so elsewhere in B: such a set decides nothing.
bool overflows(const Tensor& truth, const Tensor& a) {
  const auto exact = read_doubles(truth);
  const auto own = read_doubles(a);
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (std::isfinite(exact[i]) && !std::isfinite(own[i])) return true;
  }
  return false;
}

}  // namespace

Verifier::Verifier(const Graph& a, const Graph& b, const VerifyOptions& options, MatchedPorts inputs,
                   MatchedPorts outputs)
    : options_(options),
      input_order_(std::move(inputs.positions)),
      output_order_(std::move(outputs.positions)),
      wide_a_(widened(a, kMaxWideBytes)),
      wide_b_(widened(b, kMaxWideBytes)),
      models_{a, b, wide_a_, {}} {
  report.seed = options.seed;
  report.tolerance = options.tolerance;
  const double rtol = options.tolerance ? options.tolerance->rtol : 0.0;
  for (const ValueId id : a.outputs()) {
    comparisons_.emplace_back(a.value(id).name, rtol);
    excess_.push_back(0.0);
  }
}

double Verifier::seconds() const {
  return seconds_since(start_);
}

double Verifier::limit() const {
  return std::max(options_.budget, 2.0 * truth_seconds_);
}

std::vector<Tensor> Verifier::for_b(const std::vector<Tensor>& inputs) const {
  std::vector<Tensor> result(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) result[input_order_[i]] = inputs[i];
  return result;
}

std::vector<Tensor> Verifier::from_b(const std::vector<Tensor>& outputs) const {
  std::vector<Tensor> result;
  for (const std::size_t position : output_order_) result.push_back(outputs[position]);
  return result;
}

std::vector<Tensor> Verifier::run_on_drawn(InputSet& set) const {
  try {
    return interpret(models_.a, views_of(set.inputs));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_input || !narrow_integers(set)) throw;
  }
  return interpret(models_.a, views_of(set.inputs));
}

bool Verifier::runs(const InputSet& set) const {
  try {
    interpret(models_.a, views_of(set.inputs));
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal || error.code() == ErrorCode::unsupported) throw;
    return false;
  }
}

void Verifier::compare(InputSet& set) {
  std::vector<Tensor> a;
  std::vector<Tensor> truth;
  if (!run_a(set, a, truth)) return;
  const auto inputs_b = for_b(set.inputs);
  const auto b = outputs_of_b(inputs_b);
  for (std::size_t i = 0; i < b.size(); ++i) check_same_type(i, a[i], b[i]);
  if (ended()) return;
  const auto wide_inputs = widen(set.inputs);
  while (judges_.size() < a.size()) judges_.emplace_back(a[judges_.size()].dtype());
  ++report.sets;
  if (!a.empty() && a[0].shape().rank() > 0) report.rows += a[0].shape()[0];
  judged_.assign(a.size(), true);
  const int kind = static_cast<int>(set.kind);
  for (std::size_t i = 0; i < comparisons_.size(); ++i) {
    comparisons_[i].add(a[i], b[i], truth[i]);
    if (is_judged(i)) {
      judged_[i] = !overflows(truth[i], a[i]);
      if (!judged_[i]) continue;
      judges_[i].add_own(kind, truth[i], a[i]);
      judges_[i].add_other(kind, truth[i], a[i], b[i]);
      continue;
    }
    const Excess excess = largest_excess(a[i], b[i], options_.tolerance.value_or(Tolerance{0.0, 0.0}));
    if (excess.ratio > 1.0 && within()) suspects_.insert(suspects_.begin(), set);
    excess_[i] = std::max(excess_[i], excess.ratio);
  }
  if (affords(truth_seconds_)) add_other_in_double(kind, truth, inputs_b);
  for (std::size_t i = 0; i < kMoves && !options_.tolerance && affords(truth_seconds_); ++i)
    add_moved(i, kind, truth, wide_inputs);
  keep_as_suspect(set);
}

/// One set of each kind, the largest.
void Verifier::keep_as_suspect(const InputSet& set) {
  const auto same = std::ranges::find(suspects_, set.kind, &InputSet::kind);
  if (same == suspects_.end())
    suspects_.push_back(set);
  else if (options_.inputs.empty() && elements_of(set) > elements_of(*same))
    *same = set;
}

/// Results of A and in double. False for drawn inputs on which A does not run: when they are the first, nothing can
/// be compared.
bool Verifier::run_a(InputSet& set, std::vector<Tensor>& a, std::vector<Tensor>& truth) {
  const bool drawn = options_.inputs.empty();
  try {
    a = drawn ? run_on_drawn(set) : interpret(models_.a, views_of(set.inputs));
    const auto start = std::chrono::steady_clock::now();
    truth = interpret(wide_a_, views_of(widen(set.inputs)));
    truth_seconds_ = std::max(truth_seconds_, seconds_since(start));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal || error.code() == ErrorCode::unsupported || !drawn) throw;
    if (report.sets > 0) return false;
    report.why = error.what();
    report.cause = error.code();
    return false;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    // An operator whose result has as many elements as some of its input's are true, say, may give another
    // number of them in double. Then A stands for the truth.
    if (!(truth[i].shape() == a[i].shape())) truth[i] = widen({a[i]})[0];
  }
  return true;
}

std::vector<Tensor> Verifier::outputs_of_b(const std::vector<Tensor>& inputs) {
  try {
    return from_b(interpret(models_.b, views_of(inputs)));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal || error.code() == ErrorCode::unsupported) throw;
    report.why = fmt::format("the first model runs on inputs on which the second fails: {}", error.what());
    report.verdict = Verdict::differ;
  }
  return {};
}

void Verifier::check_same_type(std::size_t output, const Tensor& a, const Tensor& b) {
  if (a.shape() == b.shape() && a.dtype() == b.dtype()) return;
  report.verdict = Verdict::differ;
  report.why = fmt::format("output '{}' is {}{} in one model and {}{} in the other",
                           models_.a.value(models_.a.outputs()[output]).name, name_of(a.dtype()),
                           to_string(a.shape()), name_of(b.dtype()), to_string(b.shape()));
}

/// By the truth; otherwise it is held to a tolerance (strings: to equality).
bool Verifier::is_judged(std::size_t output) const {
  return !options_.tolerance && is_numeric(judges_[output].dtype());
}

void Verifier::add_other_in_double(int kind, const std::vector<Tensor>& truth,
                                   const std::vector<Tensor>& inputs_b) {
  std::vector<Tensor> other;
  try {
    other = from_b(interpret(wide_b_, views_of(widen(inputs_b))));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) throw;
    return;  // memory, say: B was compared in its own precision
  }
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (!(other[i].shape() == truth[i].shape())) continue;
    const Excess apart = largest_excess(truth[i], other[i], {.rtol = 0.0, .atol = 1.0});
    report.truth_distance = std::max(report.truth_distance.value_or(0.0), apart.absolute);
    if (is_judged(i) && judged_[i]) judges_[i].add_other_in_double(kind, truth[i], other[i]);
  }
}

void Verifier::add_moved(std::size_t i, int kind, const std::vector<Tensor>& truth,
                         const std::vector<Tensor>& wide_inputs) {
  while (models_.moved.size() <= i)
    models_.moved.push_back(moved_weights(models_.a, wide_a_, options_.seed + models_.moved.size()));
  if (models_.moved[i].empty()) return;
  std::vector<Tensor> moved;
  try {
    moved = interpret(wide_a_, views_of(wide_inputs), {}, {}, models_.moved[i]);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) throw;
    return;  // the model does not run on weights like these, which says nothing of how far they move it
  }
  for (std::size_t output = 0; output < truth.size(); ++output) {
    if (is_judged(output) && judged_[output]) judges_[output].add_moved(kind, truth[output], moved[output]);
  }
}

bool Verifier::judges_agree() const {
  return std::ranges::all_of(judges_, [](const Judge& judge) { return judge.excess() <= 1.0; });
}

bool Verifier::within() const {
  return std::ranges::all_of(excess_, [](double excess) { return excess <= 1.0; });
}

/// Moves weights more often before B is said to differ, then finds out where it does. Both take a few times as long
/// as everything before at most.
void Verifier::reconsider() {
  const double patience = 3.0 * std::max(limit(), seconds());
  for (std::size_t k = 0; k < suspects_.size() && !judges_agree(); ++k) {
    const auto wide_inputs = widen(suspects_[k].inputs);
    std::vector<Tensor> a;
    std::vector<Tensor> truth;
    if (!run_a(suspects_[k], a, truth)) continue;
    for (std::size_t i = 0; i < a.size(); ++i) judged_[i] = !is_judged(i) || !overflows(truth[i], a[i]);
    for (std::size_t i = kMoves; i < kMovesOnDoubt && seconds() < patience; ++i)
      add_moved(i, static_cast<int>(suspects_[k].kind), truth, wide_inputs);
  }
  if (models_.moved.size() > kMoves) models_.moved.resize(kMoves);
  for (std::size_t i = 0; i < judges_.size(); ++i) excess_[i] = std::max(excess_[i], judges_[i].excess());
  for (std::size_t k = 0; k < suspects_.size() && !within() && !report.first_divergence; ++k) {
    if (k > 0 && seconds() > patience) break;
    const auto inputs_b = for_b(suspects_[k].inputs);
    report.first_divergence = first_divergence(models_, suspects_[k].inputs, inputs_b, options_.tolerance);
  }
}

VerifyReport Verifier::conclude() {
  if (ended()) return std::move(report);
  reconsider();
  std::int64_t elements = 0;
  std::int64_t finite = 0;
  for (std::size_t i = 0; i < comparisons_.size(); ++i) {
    report.outputs.push_back(comparisons_[i].result());
    report.outputs.back().excess = excess_[i];
    report.outputs.back().within = excess_[i] <= 1.0;
    elements += report.outputs.back().elements;
    if (!is_judged(i) || judges_[i].judged()) finite += report.outputs.back().finite;
  }
  if (elements == 0) {
    if (!options_.inputs.empty())
      fail(ErrorCode::invalid_input, "nothing was compared: no output has an element");
    report.why = "no output has an element";
    return std::move(report);
  }
  report.verdict = !within() ? Verdict::differ : finite == 0 ? Verdict::nothing_finite : Verdict::agree;
  return std::move(report);
}

}  // namespace bnrun
