// ArgMax, ArgMin: index of the largest or smallest element along one axis; of equal ones the first, or the
// last with select_last_index. NaN counts as the most extreme, so that it shows.
#include <cmath>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/reduce/kinds.h"

namespace bnrun {
namespace {

class ArgExtreme final : public Op {
 public:
  ArgExtreme(ArgExtremeKind kind, AttributeReader& node)
      : largest_(kind == ArgExtremeKind::max),
        axis_(node.get_int("axis", 0)),
        keepdims_(node.get_bool("keepdims", true)) {
    check_inputs(node, 1, 1);
    if (node.version() >= 12) last_ = node.get_bool("select_last_index", false);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type{DType::int64, args.inputs[0].dims};
    if (!type.ranked()) return {type};
    const std::size_t axis = normalize_axis(axis_, type.rank());
    if ((*type.dims)[axis] == Dim(0)) fail(ErrorCode::invalid_model, "axis {} has no elements", axis);
    if (keepdims_)
      (*type.dims)[axis] = Dim(1);
    else
      type.dims->erase(type.dims->begin() + static_cast<std::ptrdiff_t>(axis));
    return {type};
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const std::size_t axis = normalize_axis(axis_, shape.rank());
    const std::int64_t extent = shape[axis];
    const std::int64_t inner = shape.elements(axis + 1, shape.rank());
    std::int64_t* index = args.out(0).data<std::int64_t>();
    dispatch(NumericTypes{}, args.in(0).dtype, [&]<class T>() {
      const T* x = args.in(0).data<T>();
      for (std::int64_t n = 0; n < args.out(0).elements(); ++n) {
        const T* first = x + (n / inner) * extent * inner + n % inner;
        std::int64_t best = 0;
        for (std::int64_t i = 1; i < extent; ++i) {
          if (beats<ComputeType<T>>(static_cast<ComputeType<T>>(first[i * inner]),
                                    static_cast<ComputeType<T>>(first[best * inner])))
            best = i;
        }
        index[n] = best;
      }
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!X.ranked()) return std::nullopt;
    const std::size_t axis = normalize_axis(axis_, X.rank());
    AxisMap map = AxisMap::identity(X.rank()).without(axis);
    if (!keepdims_) map.from.erase(map.from.begin() + static_cast<std::ptrdiff_t>(axis));
    return map;
  }

 private:
  template <class C>
  bool beats(C later, C earlier) const {
    if constexpr (std::is_floating_point_v<C>) {
      if (std::isnan(later) || std::isnan(earlier)) {
        return std::isnan(later) && (last_ || !std::isnan(earlier));
      }
    }
    if (later == earlier) return last_;
    return largest_ ? later > earlier : later < earlier;
  }

  bool largest_;
  std::int64_t axis_;
  bool keepdims_;
  bool last_ = false;
};

}  // namespace

std::unique_ptr<const Op> make_arg_extreme(AttributeReader& node, ArgExtremeKind kind) {
  return std::make_unique<ArgExtreme>(kind, node);
}

}  // namespace bnrun
