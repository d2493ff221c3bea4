// Empirical comparison of two models, in their own precision and in double.
#include "verify/verify.h"

#include <algorithm>
#include <map>

#include "base/fail.h"
#include "graph/graph.h"
#include "passes/widen.h"
#include "verify/compare.h"
#include "verify/draw.h"
#include "verify/interpret.h"

namespace bnrun {
namespace {

/// Larger weights are not kept in double but widened by each node that reads them: two models in double would
/// take four times the memory of one model.
constexpr std::size_t kMaxWideBytes = std::size_t{1} << 20;

/// How two ports of the same name differ; empty when they do not, as far as both are declared.
std::string port_difference(const ValueType& a, const ValueType& b) {
  if (a.dtype != b.dtype && a.dtype != DType::undefined && b.dtype != DType::undefined)
    return fmt::format("is {} in the first model and {} in the second", name_of(a.dtype), name_of(b.dtype));
  if (!a.dims || !b.dims) return "";
  if (a.dims->size() != b.dims->size()) {
    return fmt::format("has {} dimensions in the first model and {} in the second", a.dims->size(),
                       b.dims->size());
  }
  for (std::size_t i = 0; i < a.dims->size(); ++i) {
    const Dim& dim_a = (*a.dims)[i];
    const Dim& dim_b = (*b.dims)[i];
    if (dim_a.known() && dim_b.known() && dim_a.extent() != dim_b.extent())
      return fmt::format("has extent {} in the first model and {} in the second along axis {}",
                         dim_a.extent(), dim_b.extent(), i);
  }
  return "";
}

/// The ports of two models, matched by name.
struct Matched {
  std::vector<std::size_t> positions;  ///< in the second model, of each port of the first
  std::string mismatch;                ///< the first difference; empty when there is none
};

/// `list`: Graph::inputs or Graph::outputs.
Matched match_ports(const Graph& a, const Graph& b, const std::vector<ValueId>& (Graph::*list)() const,
                    const char* kind) {
  const auto& ports_a = (a.*list)();
  const auto& ports_b = (b.*list)();
  const auto find = [](const Graph& graph, const std::vector<ValueId>& ports, const std::string& name) {
    return std::ranges::find(
        ports, name, [&](ValueId id) -> auto& { return graph.value(id).name; });
  };
  Matched matched;
  for (const ValueId id : ports_a) {
    const Value& port = a.value(id);
    const auto found = find(b, ports_b, port.name);
    if (found == ports_b.end()) return {{}, fmt::format("the second model has no {} '{}'", kind, port.name)};
    if (const auto differs = port_difference(port.type, b.value(*found).type); !differs.empty())
      return {{}, fmt::format("{} '{}' {}", kind, port.name, differs)};
    matched.positions.push_back(static_cast<std::size_t>(found - ports_b.begin()));
  }
  for (const ValueId id : ports_b) {
    const std::string& name = b.value(id).name;
    if (find(a, ports_a, name) == ports_a.end())
      return {{}, fmt::format("the first model has no {} '{}'", kind, name)};
  }
  return matched;
}

std::vector<InputSet> given_inputs(const Graph& graph, const VerifyOptions& options) {
  std::vector<InputSet> sets;
  for (const auto& named : options.inputs) {
    InputSet set{"data", {}};
    for (const ValueId id : graph.inputs()) {
      const Value& value = graph.value(id);
      const auto found = std::find_if(named.begin(), named.end(),
                                      [&](const NamedTensor& n) { return n.name == value.name; });
      if (found == named.end() && !value.constant.defined())
        fail(ErrorCode::invalid_input, "no data for input '{}'", value.name);
      set.inputs.push_back(found != named.end() ? found->tensor : value.constant);
    }
    sets.push_back(std::move(set));
  }
  return sets;
}

std::vector<TensorView> views_of(const std::vector<Tensor>& tensors) {
  return {tensors.begin(), tensors.end()};
}

std::vector<Tensor> widen(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> wide;
  for (const Tensor& tensor : tensors)
    wide.push_back(is_floating(tensor.dtype()) ? convert(tensor, DType::float64) : tensor);
  return wide;
}

template <class T>
std::vector<T> reordered(const std::vector<T>& items, const std::vector<std::size_t>& order, bool inverse) {
  std::vector<T> result(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (inverse)
      result[order[i]] = items[i];
    else
      result[i] = items[order[i]];
  }
  return result;
}

/// Finds the first value of B, in execution order, that differs from the
/// value of A of the same name by more than the tolerance.
class Localiser {
 public:
  Localiser(const Graph& a, const Graph& b, Tolerance tolerance) : a_(a), b_(b), tolerance_(tolerance) {}

  void find(const std::vector<Tensor>& inputs_a, const std::vector<Tensor>& inputs_b, double magnitude) {
    std::map<std::string, Tensor> values;
    interpret(a_, views_of(inputs_a),
              [&](ValueId id, const Tensor& value) { values[a_.value(id).name] = value; });
    interpret(b_, views_of(inputs_b), [&](ValueId id, const Tensor& value) {
      const auto other = values.find(b_.value(id).name);
      if (found_ || other == values.end() || !(other->second.shape() == value.shape()) ||
          other->second.dtype() != value.dtype())
        return;
      const double scale = tolerance_scale(other->second, tolerance_, magnitude);
      const Excess excess = largest_excess(other->second, value, tolerance_, scale);
      if (excess.ratio <= 1.0) return;
      const NodeId producer = b_.value(id).producer;
      found_ = Divergence{b_.value(id).name, producer.valid() ? describe(b_, producer) : "", excess.absolute,
                          channel_of(value.shape(), excess.element)};
    });
  }
  const std::optional<Divergence>& found() const { return found_; }

 private:
  static std::int64_t channel_of(const Shape& shape, std::int64_t element) {
    if (shape.rank() < 2) return -1;
    return element / shape.elements(2, shape.rank()) % shape[1];
  }

  const Graph& a_;
  const Graph& b_;
  Tolerance tolerance_;
  std::optional<Divergence> found_;
};

/// Runs the graph on the set. If the graph refuses the integers (indices
/// out of range, say), runs it again with integers 0 and 1.
std::vector<Tensor> run_on_drawn(const Graph& graph, InputSet& set) {
  try {
    return interpret(graph, views_of(set.inputs));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_input || !narrow_integers(set)) throw;
  }
  return interpret(graph, views_of(set.inputs));
}

bool has_dynamic_sizes(const Graph& graph) {
  return std::any_of(graph.inputs().begin(), graph.inputs().end(), [&](ValueId id) {
    const auto& dims = graph.value(id).type.dims;
    return dims && dims->size() > 1 &&
           std::any_of(dims->begin() + 1, dims->end(), [](const Dim& dim) { return !dim.known(); });
  });
}

/// Draws inputs with extents that the model accepts. A model may leave a dimension open and still not accept
/// every extent: one that halves an image needs even ones.
std::vector<InputSet> draw_what_runs(const Graph& graph, VerifyOptions options) {
  constexpr std::int64_t kOdd = 5;
  constexpr std::int64_t kEven = 32;
  constexpr std::int64_t kRowsOfLarge = 4;
  auto sets = draw_inputs(graph, options, kOdd);
  if (!has_dynamic_sizes(graph)) return sets;
  for (const std::int64_t extent : {kOdd, kEven}) {
    if (extent != kOdd) {
      options.rows = std::min(options.rows, kRowsOfLarge);
      sets = draw_inputs(graph, options, extent);
    }
    try {
      run_on_drawn(graph, sets.front());
      return sets;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_model && error.code() != ErrorCode::invalid_input) throw;
    }
  }
  fail(ErrorCode::invalid_input,
       "the model does not run on inputs whose open sizes are all {} or all {}: give data to compare on",
       kOdd, kEven);
}

}  // namespace

VerifyReport verify(const Graph& a, const Graph& b, const VerifyOptions& options) {
  const auto [input_order, input_mismatch] = match_ports(a, b, &Graph::inputs, "input");
  const auto [output_order, output_mismatch] = match_ports(a, b, &Graph::outputs, "output");
  VerifyReport report;
  report.mismatch = input_mismatch.empty() ? output_mismatch : input_mismatch;
  if (!report.mismatch.empty()) return report;
  const Graph wide_a = widened(a, kMaxWideBytes);
  const Graph wide_b = widened(b, kMaxWideBytes);
  std::vector<Comparison> comparisons;
  for (const ValueId id : a.outputs()) comparisons.emplace_back(a.value(id).name, options.tolerance);
  Localiser localiser(a, b, options.tolerance);
  const bool draws = options.inputs.empty();
  auto sets = draws ? draw_what_runs(a, options) : given_inputs(a, options);
  for (InputSet& set : sets) {
    if (options.progress) options.progress(static_cast<std::size_t>(&set - sets.data()), sets.size());
    const auto outputs_a = draws ? run_on_drawn(a, set) : interpret(a, views_of(set.inputs));
    const auto inputs_b = reordered(set.inputs, input_order, true);
    const auto outputs_b = reordered(interpret(b, views_of(inputs_b)), output_order, false);
    const auto truth_a = interpret(wide_a, views_of(widen(set.inputs)));
    const auto truth_b = reordered(interpret(wide_b, views_of(widen(inputs_b))), output_order, false);
    bool within = true;
    for (std::size_t i = 0; i < comparisons.size(); ++i) {
      const double scale = tolerance_scale(truth_a[i], options.tolerance, set.magnitude);
      comparisons[i].add(outputs_a[i], outputs_b[i], truth_a[i], scale);
      within = within && largest_excess(outputs_a[i], outputs_b[i], options.tolerance, scale).ratio <= 1.0;
      const Excess apart = largest_excess(truth_a[i], truth_b[i], {.rtol = 0.0, .atol = 1.0}, 1.0);
      report.truth_distance = std::max(report.truth_distance, apart.absolute);
    }
    if (!outputs_a.empty() && outputs_a[0].shape().rank() > 0) report.rows += outputs_a[0].shape()[0];
    if (!within && !localiser.found()) localiser.find(set.inputs, inputs_b, set.magnitude);
  }
  report.agree = true;
  std::int64_t elements = 0;
  for (const Comparison& comparison : comparisons) {
    report.outputs.push_back(comparison.result());
    report.agree = report.agree && report.outputs.back().within;
    elements += report.outputs.back().elements;
  }
  if (elements == 0) fail(ErrorCode::invalid_input, "nothing was compared: no output has an element");
  report.first_divergence = localiser.found();
  return report;
}

}  // namespace bnrun
