// Which inputs two models are compared on, and for how long.
#include "verify/verify.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/fail.h"
#include "graph/graph.h"
#include "passes/prepare.h"
#include "verify/draw.h"
#include "verify/indices.h"
#include "verify/ports.h"
#include "verify/sizes.h"
#include "verify/verifier.h"

namespace bnrun {
namespace {

/// Of a drawn batch.
constexpr std::int64_t kRows = 64;

bool fits(const Tensor& tensor, const ValueType& type) {
  if (type.dtype != DType::undefined && tensor.dtype() != type.dtype) return false;
  if (!type.dims) return true;
  return std::ranges::equal(tensor.shape(), *type.dims, [](std::int64_t extent, const Dim& dim) {
    return !dim.known() || dim.extent() == extent;
  });
}

std::vector<InputSet> given_inputs(const Graph& graph, const VerifyOptions& options) {
  std::vector<InputSet> sets;
  for (const auto& named : options.inputs) {
    InputSet set{InputKind::data, {}};
    for (const ValueId id : graph.inputs()) {
      const Value& value = graph.value(id);
      const auto found = std::ranges::find(named, value.name, &NamedTensor::name);
      if (found == named.end() && !value.constant.defined())
        fail(ErrorCode::invalid_input, "no data for input '{}'", value.name);
      if (found != named.end() && !fits(found->tensor, value.type))
        fail(ErrorCode::invalid_input, "input '{}' must be {}, given is {}", value.name,
             to_string(value.type), to_string(found->tensor.type()));
      set.inputs.push_back(found != named.end() ? found->tensor : Tensor());
    }
    sets.push_back(std::move(set));
  }
  return sets;
}

std::vector<InputOrigin> origins_of(const Graph& graph, const InputSet& set,
                                    std::vector<InputSource> sources) {
  std::vector<InputOrigin> origins;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Value& input = graph.value(graph.inputs()[i]);
    const bool given = set.inputs[i].defined();
    origins.push_back({input.name, given ? set.inputs[i].shape() : input.constant.shape(),
                       given ? std::move(sources[i].origin) : "the default of each model"});
  }
  return origins;
}

void compare_given(const Graph& a, const VerifyOptions& options, Verifier& verifier) {
  auto sets = given_inputs(a, options);
  std::vector<InputSource> sources(a.inputs().size(), {"the data given", {}});
  verifier.report.inputs = origins_of(a, sets.front(), std::move(sources));
  for (std::size_t i = 0; i < sets.size() && !verifier.ended(); ++i) {
    if (options.progress) options.progress(i, sets.size());
    verifier.compare(sets[i]);
  }
}

/// Why the inputs cannot be drawn; empty when they can.
std::string what_cannot_be_drawn(const Graph& a, const VerifyOptions& options) {
  for (const ValueId id : a.inputs()) {
    const Value& input = a.value(id);
    const bool known = input.type.ranked() || std::ranges::find(options.shapes, input.name,
                                                                &InputShape::name) != options.shapes.end();
    if (input.constant.defined()) continue;
    if (input.type.dtype == DType::undefined || input.type.dtype == DType::string) {
      return fmt::format("input '{}' of type {} cannot be drawn: give data to compare on", input.name,
                         name_of(input.type.dtype));
    } else if (!known) {
      return fmt::format("input '{}' has no known rank: give its shape or data to compare on", input.name);
    }
  }
  return "";
}

/// Sizes on which A runs; else says so in the report.
std::optional<OpenSizes::Found> sizes_that_run(const Graph& a, const OpenSizes& sizes, Drawer& drawer,
                                               Verifier& verifier, double seconds) {
  std::optional<Error> last;
  const auto runs = [&](const std::vector<Shape>& shapes) {
    if (!infers(a, shapes)) return false;
    InputSet set = drawer.draw(InputKind::data, shapes);
    try {
      verifier.run_on_drawn(set);
      return true;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::internal || error.code() == ErrorCode::unsupported) throw;
      last = error;
      return false;
    }
  };
  if (sizes.open() == 0 && !sizes.rows_are_open()) return OpenSizes::Found{};
  auto found = sizes.search(runs, seconds);
  if (found) return found;
  verifier.report.why = "no sizes were found on which the model runs";
  if (last) verifier.report.why += fmt::format(" (the last try: {})", last->what());
  verifier.report.why += ": give shapes or data to compare on";
  return std::nullopt;
}

void compare_drawn(const Graph& a, const VerifyOptions& options, Verifier& verifier) {
  verifier.report.why = what_cannot_be_drawn(a, options);
  if (verifier.ended()) return;
  auto sources = sources_of(a, options.range);
  Drawer drawer(a, sources, options.seed);
  const OpenSizes sizes(a, options.shapes);
  const auto found = sizes_that_run(a, sizes, drawer, verifier, options.budget / 2.0);
  if (!found) return;
  const auto shapes = [&](std::int64_t rows) {
    return sizes.shapes(found->rows.value_or(rows), found->extents);
  };
  if (!options.range) {
    widen_indices(
        a, shapes(2), sources, [&](const InputSet& set) { return verifier.runs(set); },
        [&] { return verifier.seconds() > options.budget / 2.0; });
    drawer = Drawer(a, sources, options.seed);
  }
  // One row first, which tells what others will cost.
  InputSet first = drawer.draw(InputKind::data, shapes(1));
  verifier.report.inputs = origins_of(a, first, std::move(sources));
  const double before = verifier.seconds();
  if (options.progress) options.progress(0, 1);
  verifier.compare(first);
  if (verifier.ended()) return;
  double row = std::max(verifier.seconds() - before, 1e-9);

  struct Planned {
    InputKind kind;
    bool many;
  };
  std::vector<Planned> plan{{InputKind::corners, true},
                            {InputKind::large, true},
                            {InputKind::zeros, false},
                            // Arithmetic on denormal numbers takes tens of times as long.
                            {InputKind::denormal, false}};
  for (int i = 0; i < options.batches; ++i) plan.push_back({InputKind::data, true});
  const auto affordable = static_cast<std::int64_t>((verifier.limit() - verifier.seconds()) /
                                                    (row * static_cast<double>(plan.size())));
  std::int64_t rows = options.rows.value_or(std::clamp<std::int64_t>(affordable, 1, kRows));
  if (rows > kRows) {
    // Many rows at once cost less each, which a batch of the usual size tells.
    const double start = verifier.seconds();
    InputSet usual = drawer.draw(InputKind::data, shapes(kRows));
    verifier.compare(usual);
    if (verifier.ended()) return;
    row = std::max(verifier.seconds() - start, 1e-9) / static_cast<double>(kRows);
    const double most = std::max((verifier.limit() - verifier.seconds()) / row, static_cast<double>(kRows));
    if (static_cast<double>(rows) > most) {
      rows = static_cast<std::int64_t>(most);
      verifier.report.complete = false;
    }
  }
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const auto [kind, many] = plan[i];
    if (verifier.seconds() + (rows == 1 ? row : 0.0) > verifier.limit()) {
      verifier.report.complete = false;
      break;
    }
    if (options.progress) options.progress(i + 1, plan.size() + 1);
    InputSet set = drawer.draw(kind, shapes(many ? rows : 1));
    verifier.compare(set);
    if (verifier.ended()) return;
  }
}

void check_options(const VerifyOptions& options) {
  if (options.rows && *options.rows < 0)
    fail(ErrorCode::invalid_input, "{} rows cannot be compared", *options.rows);
  if (options.batches < 0) fail(ErrorCode::invalid_input, "{} batches cannot be compared", options.batches);
  // Written so that NaN is refused too.
  if (!(options.budget >= 0.0))
    fail(ErrorCode::invalid_input, "a budget of {} seconds makes no sense", options.budget);
  if (const auto& range = options.range;
      range && !(std::isfinite(range->low) && std::isfinite(range->high) && range->low <= range->high))
    fail(ErrorCode::invalid_input, "no inputs can be drawn from {} to {}", range->low, range->high);
  const auto limits = options.tolerance.value_or(Tolerance{});
  if (!(limits.rtol >= 0.0 && limits.atol >= 0.0))
    fail(ErrorCode::invalid_input, "a tolerance of {} + {}*|b| makes no sense", limits.atol, limits.rtol);
}

}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::agree:
      return "agree";
    case Verdict::differ:
      return "differ";
    case Verdict::nothing_finite:
      return "nothing_finite";
    case Verdict::not_compared:
      break;
  }
  return "not_compared";
}

VerifyReport verify(const Graph& a, const Graph& b, const VerifyOptions& options) {
  check_options(options);
  MatchedPorts inputs = match_inputs(a, b);
  MatchedPorts outputs = match_outputs(a, b);
  VerifyReport report;
  report.why = inputs.mismatch.empty() ? outputs.mismatch : inputs.mismatch;
  if (!report.why.empty()) {
    report.verdict = Verdict::differ;
    return report;
  }
  try {
    check_supported(a);
    Verifier verifier(a, b, options, std::move(inputs), std::move(outputs));
    if (options.inputs.empty())
      compare_drawn(a, options, verifier);
    else
      compare_given(a, options, verifier);
    return verifier.conclude();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    report.why = error.what();
    report.cause = error.code();
    return report;
  }
}

}  // namespace bnrun
