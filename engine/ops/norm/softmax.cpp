// Softmax, LogSoftmax, Hardmax along one axis:
//   Softmax(x)_i = exp(x_i - m) / sum_j exp(x_j - m),  LogSoftmax(x)_i = x_i - m - log sum_j exp(x_j - m),
//   Hardmax(x)_i = 1 at the first largest element, else 0;  m = max_j x_j  (kernels/math/softmax.h).
// Before opset 13 the tensor is flattened to 2-D in front of
// `axis`, and the softmax goes over all axes from `axis` on.
#include "kernels/math/softmax.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/dispatch.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/norm/kinds.h"

namespace bnrun {
namespace {

class Softmax final : public Op {
 public:
  Softmax(SoftmaxKind kind, AttributeReader& node)
      : kind_(kind), flattens_(node.version() < 13), axis_(node.get_int("axis", flattens_ ? 1 : -1)) {
    check_inputs(node, 1, 1);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type = args.inputs[0];
    type.content.reset();
    if (type.ranked()) axis_of(type.rank());
    return {type};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    return input_like_output(args);
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const std::size_t axis = axis_of(shape.rank());
    const std::size_t end = flattens_ ? shape.rank() : std::min(axis + 1, shape.rank());
    const std::int64_t outer = shape.elements(0, axis);
    const std::int64_t extent = shape.elements(axis, end);
    const std::int64_t inner = shape.elements(end, shape.rank());
    if (outer * extent * inner == 0) return;
    dispatch(FloatTypes{}, args.in(0).dtype, [&]<class T>() {
      const T* x = args.in(0).data<T>();
      T* y = args.out(0).data<T>();
      if (kind_ == SoftmaxKind::hardmax)
        hardmax(x, outer, extent, inner, y);
      else
        run_softmax(x, outer, extent, inner, y);
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!X.ranked() || X.rank() == 0) return std::nullopt;
    const std::size_t axis = axis_of(X.rank());
    return flattens_ ? AxisMap::leading(axis, X.rank()) : AxisMap::identity(X.rank()).without(axis);
  }

 private:
  /// A scalar has an axis of one element, and the 2-D view may be split behind the last axis.
  std::size_t axis_of(std::size_t rank) const {
    const auto signed_rank = static_cast<std::int64_t>(rank);
    if (flattens_ && axis_ == signed_rank) return rank;
    return normalize_axis(axis_, std::max<std::size_t>(rank, 1));
  }

  template <class T>
  void run_softmax(const T* x, std::int64_t outer, std::int64_t extent, std::int64_t inner, T* y) const {
    const auto result =
        kind_ == SoftmaxKind::softmax ? SoftmaxResult::probabilities : SoftmaxResult::logarithms;
    if constexpr (std::is_same_v<T, ComputeType<T>>) {
      softmax(result, x, outer, extent, inner, y);
    } else {
      const std::int64_t size = extent * inner;
      TemporaryVector<float> wide(static_cast<std::size_t>(size));
      for (std::int64_t o = 0; o < outer; ++o, x += size, y += size) {
        std::transform(x, x + size, wide.begin(), [](T element) { return static_cast<float>(element); });
        softmax(result, wide.data(), 1, extent, inner, wide.data());
        std::ranges::transform(wide, y, [](float element) { return T(element); });
      }
    }
  }

  template <class T>
  static void hardmax(const T* x, std::int64_t outer, std::int64_t extent, std::int64_t inner, T* y) {
    for (std::int64_t row = 0; row < outer * inner; ++row) {
      const std::int64_t first = row / inner * extent * inner + row % inner;
      const auto at = [&](std::int64_t i) { return static_cast<ComputeType<T>>(x[first + i * inner]); };
      std::int64_t largest = 0;
      for (std::int64_t i = 1; i < extent; ++i) {
        if (at(i) > at(largest) || (std::isnan(at(i)) && !std::isnan(at(largest)))) largest = i;
      }
      for (std::int64_t i = 0; i < extent; ++i)
        y[first + i * inner] = T(static_cast<ComputeType<T>>(i == largest ? 1 : 0));
    }
  }

  SoftmaxKind kind_;
  bool flattens_;
  std::int64_t axis_;
};

}  // namespace

std::unique_ptr<const Op> make_softmax(AttributeReader& node, SoftmaxKind kind) {
  return std::make_unique<Softmax>(kind, node);
}

}  // namespace bnrun
