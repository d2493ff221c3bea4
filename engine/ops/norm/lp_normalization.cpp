// LpNormalization: Y = X / |X|_p along one axis, 0 where the norm is 0.
// MeanVarianceNormalization: Y = (X - mean) / (deviation + 1e-9)
// over `axes`; the 1e-9 is that of ONNX's function body.
#include <cmath>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/elementwise/broadcast.h"

namespace bnrun {
namespace {

struct ShiftAndDivisor {
  double shift, divisor;
};

/// Y = (X - shift) / divisor set by set, a set being the elements that differ in `axes` only: `parameters`
/// tells the map of a set from its elements. 0 where the divisor is 0.
template <class F>
void normalize_sets(const TensorView& X, const MutableTensorView& Y, std::span<const std::size_t> axes,
                    F parameters) {
  const Shape strides = strides_of(X.shape);
  Shape outer, outer_strides, inner, inner_strides;
  for (std::size_t i = 0; i < X.shape.rank(); ++i) {
    const bool inside = std::ranges::find(axes, i) != axes.end();
    (inside ? inner : outer).push_back(X.shape[i]);
    (inside ? inner_strides : outer_strides).push_back(strides[i]);
  }
  TemporaryVector<double> set(static_cast<std::size_t>(inner.elements()));
  dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
    strided_walk(std::span(&outer_strides, 1), outer, [&](std::int64_t, std::span<const std::int64_t> first) {
      const T* x = X.data<T>() + first[0];
      T* y = Y.data<T>() + first[0];
      strided_walk(
          std::span(&inner_strides, 1), inner, [&](std::int64_t i, std::span<const std::int64_t> at) {
            set[static_cast<std::size_t>(i)] = static_cast<double>(static_cast<ComputeType<T>>(x[at[0]]));
          });
      const ShiftAndDivisor map = parameters(set);
      strided_walk(
          std::span(&inner_strides, 1), inner, [&](std::int64_t i, std::span<const std::int64_t> at) {
            const double centred = set[static_cast<std::size_t>(i)] - map.shift;
            y[at[0]] = T(static_cast<ComputeType<T>>(map.divisor == 0.0 ? 0.0 : centred / map.divisor));
          });
    });
  });
}

class LpNormalization final : public Op {
 public:
  explicit LpNormalization(AttributeReader& node)
      : axis_(node.get_int("axis", -1)), p_(node.get_int("p", 2)) {
    check_inputs(node, 1, 1);
    if (p_ != 1 && p_ != 2) fail(ErrorCode::invalid_model, "p is {}, not 1 or 2", p_);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    if (args.inputs[0].ranked()) normalize_axis(axis_, args.inputs[0].rank());
    return {ValueType{args.inputs[0].dtype, args.inputs[0].dims}};
  }

  void run(const RunArgs& args) const override {
    const std::size_t axis = normalize_axis(axis_, args.in(0).shape.rank());
    normalize_sets(args.in(0), args.out(0), std::span(&axis, 1), [&](std::span<const double> set) {
      double norm = 0.0;
      for (const double x : set) norm += p_ == 1 ? std::abs(x) : x * x;
      return ShiftAndDivisor{0.0, p_ == 1 ? norm : std::sqrt(norm)};
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!X.ranked()) return std::nullopt;
    return AxisMap::identity(X.rank()).without(normalize_axis(axis_, X.rank()));
  }

 private:
  std::int64_t axis_;
  std::int64_t p_;
};

class MeanVarianceNormalization final : public Op {
 public:
  explicit MeanVarianceNormalization(AttributeReader& node)
      : axes_(node.get_ints("axes").value_or(std::vector<std::int64_t>{0, 2, 3})) {
    check_inputs(node, 1, 1);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    if (args.inputs[0].ranked()) axes_of(args.inputs[0].rank());
    return {ValueType{args.inputs[0].dtype, args.inputs[0].dims}};
  }

  void run(const RunArgs& args) const override {
    normalize_sets(args.in(0), args.out(0), axes_of(args.in(0).shape.rank()),
                   [](std::span<const double> set) {
                     const auto count = static_cast<double>(set.size());
                     double sum = 0.0;
                     for (const double x : set) sum += x;
                     const double mean = sum / count;
                     double squares = 0.0;
                     for (const double x : set) squares += (x - mean) * (x - mean);
                     return ShiftAndDivisor{mean, std::sqrt(squares / count) + 1e-9};
                   });
  }

 private:
  TemporaryVector<std::size_t> axes_of(std::size_t rank) const {
    TemporaryVector<std::size_t> axes;
    axes.reserve(axes_.size());
    for (const std::int64_t axis : axes_) axes.push_back(normalize_axis(axis, rank));
    return axes;
  }

  std::vector<std::int64_t> axes_;
};

}  // namespace

std::unique_ptr<const Op> make_lp_normalization(AttributeReader& node) {
  return std::make_unique<LpNormalization>(node);
}

std::unique_ptr<const Op> make_mean_variance_normalization(AttributeReader& node) {
  return std::make_unique<MeanVarianceNormalization>(node);
}

}  // namespace bnrun
