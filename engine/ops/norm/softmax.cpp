// Softmax, LogSoftmax, Hardmax along one axis:
//   Softmax(x)_i = exp(x_i - m) / sum_j exp(x_j - m),  LogSoftmax(x)_i = x_i - m - log sum_j exp(x_j - m),
//   Hardmax(x)_i = 1 at the first largest element, else 0;  m = max_j x_j.
// Before opset 13 the tensor is flattened to 2-D in front of
// `axis`, and the softmax goes over all axes from `axis` on.
#include <algorithm>
#include <cmath>

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

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const std::size_t axis = axis_of(shape.rank());
    const std::size_t end = flattens_ ? shape.rank() : std::min(axis + 1, shape.rank());
    const std::int64_t outer = shape.elements(0, axis);
    const std::int64_t extent = shape.elements(axis, end);
    const std::int64_t inner = shape.elements(end, shape.rank());
    if (outer * extent * inner == 0) return;
    dispatch(FloatTypes{}, args.in(0).dtype, [&]<class T>() {
      for (std::int64_t o = 0; o < outer; ++o) {
        for (std::int64_t i = 0; i < inner; ++i) {
          const std::int64_t first = o * extent * inner + i;
          run_row(args.in(0).data<T>() + first, args.out(0).data<T>() + first, extent, inner);
        }
      }
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
  void run_row(const T* x, T* y, std::int64_t extent, std::int64_t step) const {
    using C = ComputeType<T>;
    const auto at = [&](std::int64_t i) { return static_cast<C>(x[i * step]); };
    std::int64_t largest = 0;
    for (std::int64_t i = 1; i < extent; ++i) {
      if (at(i) > at(largest) || (std::isnan(at(i)) && !std::isnan(at(largest)))) largest = i;
    }
    if (kind_ == SoftmaxKind::hardmax) {
      for (std::int64_t i = 0; i < extent; ++i) y[i * step] = T(static_cast<C>(i == largest ? 1 : 0));
      return;
    }
    const C m = at(largest);  // an infinite or NaN one makes every difference below NaN, and so the sum
    double sum = 0.0;
    for (std::int64_t i = 0; i < extent; ++i) sum += static_cast<double>(std::exp(at(i) - m));
    const auto log_sum = static_cast<C>(std::log(sum));
    for (std::int64_t i = 0; i < extent; ++i) {
      const C shifted = at(i) - m;
      y[i * step] =
          T(kind_ == SoftmaxKind::log_softmax ? shifted - log_sum
                                              : static_cast<C>(static_cast<double>(std::exp(shifted)) / sum));
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
