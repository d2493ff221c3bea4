#include "verify/draw.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "bnrun/tensor.h"
#include "base/precision.h"

namespace bnrun {
namespace {

constexpr double kLarge = 10.0;
constexpr double kDenormal = 0x1p-140;

/// Uniform in [0, 1).
class Uniform {
 public:
  explicit Uniform(std::uint64_t seed) : engine_(seed) {}
  double operator()() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

 private:
  std::mt19937_64 engine_;
};

double next(InputKind kind, double centre, double half, Uniform& uniform) {
  const double u = 2.0 * uniform() - 1.0;
  switch (kind) {
    case InputKind::data:
      return centre + half * u;
    case InputKind::corners:
      return centre + (u < 0.0 ? -half : half);
    case InputKind::large:
      return centre + kLarge * half * u;
    case InputKind::zeros:
      return 0.0;
    case InputKind::denormal:
      break;
  }
  return kDenormal * u;
}

Tensor fill(InputKind kind, const Value& value, const Shape& shape, const ChannelAffine& spread,
            Uniform& uniform) {
  Tensor drawn(DType::float64, shape);
  const auto axis = static_cast<std::size_t>(std::max(spread.axis, 0));
  const std::int64_t inner = spread.uniform() ? 1 : shape.elements(axis + 1, shape.rank());
  for (std::int64_t i = 0; double& x : drawn.mutable_span<double>()) {
    const std::size_t c = spread.uniform() ? 0 : static_cast<std::size_t>(i / inner) % spread.channels();
    x = next(kind, spread.shift[c], spread.scale[c], uniform);
    ++i;
  }
  if (is_floating(value.type.dtype)) {
    // What a narrow type cannot hold stays a number.
    const double most = precision_of(value.type.dtype).largest;
    for (double& x : drawn.mutable_span<double>()) x = std::clamp(x, -most, most);
  }
  return convert(drawn, value.type.dtype);
}

}  // namespace

InputSet Drawer::draw(InputKind kind, std::span<const Shape> shapes) {
  Uniform uniform(seed_++);
  InputSet set{kind, {}};
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const Value& value = graph_->value(graph_->inputs()[i]);
    // The default of an overridable initializer is what a user runs with: each model takes its own.
    set.inputs.push_back(
        value.constant.defined() ? Tensor() : fill(kind, value, shapes[i], sources_[i].spread, uniform));
  }
  return set;
}

bool narrow_integers(InputSet& set) {
  bool changed = false;
  for (Tensor& tensor : set.inputs) {
    if (!tensor.defined() || !is_integer(tensor.dtype())) continue;
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
