#include "verify/draw.h"

#include <cmath>
#include <functional>
#include <map>
#include <random>

#include "base/dispatch.h"
#include "base/fail.h"

namespace bnrun {
namespace {

constexpr double kLarge = 10.0;
constexpr double kDenormal = 0x1p-140;

/// Uniform in [0, 1), equal on every platform for one seed.
class Uniform {
 public:
  explicit Uniform(std::uint64_t seed) : engine_(seed) {}
  double operator()() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

 private:
  std::mt19937_64 engine_;
};

std::vector<Shape> shapes_of(const Graph& graph, std::int64_t rows, std::int64_t extent) {
  std::map<std::string, std::int64_t> symbols;
  std::vector<Shape> shapes;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    if (!value.type.ranked())
      fail(ErrorCode::invalid_input, "input '{}' has no known rank: give data to compare on", value.name);
    Shape shape;
    for (std::size_t axis = 0; axis < value.type.rank(); ++axis) {
      const Dim& dim = (*value.type.dims)[axis];
      const std::int64_t dynamic = axis == 0 ? rows : extent;
      if (dim.known())
        shape.push_back(dim.extent());
      else if (dim.symbolic())
        shape.push_back(symbols.try_emplace(dim.name(), dynamic).first->second);
      else
        shape.push_back(dynamic);
    }
    shapes.push_back(shape);
  }
  return shapes;
}

Tensor fill(const Value& value, const Shape& shape, const std::function<double()>& next) {
  if (value.type.dtype == DType::undefined || value.type.dtype == DType::string) {
    fail(ErrorCode::invalid_input, "input '{}' of type {} cannot be drawn: give data to compare on",
         value.name, name_of(value.type.dtype));
  }
  Tensor drawn(DType::float64, shape);
  for (double& x : drawn.mutable_span<double>()) x = next();
  return convert(drawn, value.type.dtype);
}

}  // namespace

std::vector<InputSet> draw_inputs(const Graph& graph, const VerifyOptions& options, std::int64_t extent) {
  Uniform uniform(options.seed);
  const double low = options.low;
  const double high = options.high;
  std::vector<InputSet> sets;
  const auto add = [&](std::string name, std::int64_t rows, double magnitude,
                       const std::function<double()>& next) {
    InputSet set{std::move(name), {}, magnitude};
    const auto shapes = shapes_of(graph, rows, extent);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const Value& value = graph.value(graph.inputs()[i]);
      // The default of an overridable initializer is what a user runs with.
      set.inputs.push_back(value.constant.defined() ? value.constant : fill(value, shapes[i], next));
    }
    sets.push_back(std::move(set));
  };
  const auto in_range = [&] { return low + (high - low) * uniform(); };
  for (int i = 0; i < options.batches; ++i) add("uniform", options.rows, 1.0, in_range);
  add("one row", 1, 1.0, in_range);
  add("corners", options.rows, 1.0, [&] { return uniform() < 0.5 ? low : high; });
  add("zeros", 1, 1.0, [] { return 0.0; });
  add("large", options.rows, kLarge, [&] { return kLarge * in_range(); });
  // One row: arithmetic on denormal numbers takes tens of times as long.
  add("denormal", 1, 1.0, [&] { return kDenormal * in_range(); });
  return sets;
}

bool narrow_integers(InputSet& set) {
  bool changed = false;
  for (Tensor& tensor : set.inputs) {
    if (!is_integer(tensor.dtype())) continue;
    const Tensor numbers = convert(tensor, DType::float64);
    Tensor narrow(DType::float64, tensor.shape());
    for (std::int64_t i = 0; i < tensor.elements(); ++i) {
      const double x = numbers.data<double>()[i];
      narrow.mutable_data<double>()[i] = std::fmod(std::abs(x), 2.0);
      changed = changed || narrow.data<double>()[i] != x;
    }
    tensor = convert(narrow, tensor.dtype());
  }
  return changed;
}

}  // namespace bnrun
