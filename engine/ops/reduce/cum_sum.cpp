// CumSum: y_i = x_0 + ... + x_i along one axis; `exclusive` leaves x_i out, `reverse` starts from the end.
#include "base/dispatch.h"
#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

class CumSum final : public Op {
 public:
  explicit CumSum(AttributeReader& node)
      : exclusive_(node.get_bool("exclusive", false)), reverse_(node.get_bool("reverse", false)) {
    check_inputs(node, 2, 2);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type = args.inputs[0];
    type.content.reset();
    if (const auto axes = known_ints(args, 1); axes && axes->size() == 1 && type.ranked())
      normalize_axis(axes->front(), type.rank());
    return {type};
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const ElementsOf<std::int64_t> axes(args.in(1));
    if (axes.size() != 1) fail(ErrorCode::invalid_input, "the axis is not a scalar");
    const std::size_t axis = normalize_axis(axes[0], shape.rank());
    const std::int64_t extent = shape[axis];
    const std::int64_t inner = shape.elements(axis + 1, shape.rank());
    const std::int64_t rows = shape.elements(0, axis) * inner;
    dispatch(NumericTypes{}, args.in(0).dtype, [&]<class T>() {
      using C = ComputeType<T>;
      using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, double>;
      for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t first = row / inner * extent * inner + row % inner;
        Sum sum{};
        for (std::int64_t i = 0; i < extent; ++i) {
          const std::int64_t at = first + (reverse_ ? extent - 1 - i : i) * inner;
          const Sum before = sum;
          sum += static_cast<Sum>(static_cast<C>(args.in(0).data<T>()[at]));
          args.out(0).data<T>()[at] = T(static_cast<C>(exclusive_ ? before : sum));
        }
      }
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (args.constant(1) == nullptr || !X.ranked()) return std::nullopt;
    const auto axis = read_ints(args.constant(1)->view());
    if (axis.size() != 1) return std::nullopt;
    return AxisMap::identity(X.rank()).without(normalize_axis(axis[0], X.rank()));
  }

 private:
  bool exclusive_;
  bool reverse_;
};

}  // namespace

std::unique_ptr<const Op> make_cum_sum(AttributeReader& node) {
  return std::make_unique<CumSum>(node);
}

}  // namespace bnrun
