// TopK: the K largest (or smallest) elements along one axis and their indices, best first; of equal ones the
// lower index first. NaN counts as larger than every number.
#include <algorithm>
#include <utility>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/order_key.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

class TopK final : public Op {
 public:
  explicit TopK(AttributeReader& node) : axis_(node.get_int("axis", -1)) {
    const auto version = node.version();
    check_inputs(node, version < 10 ? 1 : 2, version < 10 ? 1 : 2);
    if (version < 10) k_ = node.require_int("k");
    if (version >= 11) {
      largest_ = node.get_bool("largest", true);
      node.ignore("sorted");  // 0 allows any order, this one too
    }
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType values{args.inputs[0].dtype, args.inputs[0].dims};
    if (values.ranked()) {
      const std::size_t axis = normalize_axis(axis_, values.rank());
      Dim& extent = (*values.dims)[axis];
      const auto k = k_ ? std::optional(std::vector{*k_}) : known_ints(args, 1);
      if (k && (k->size() != 1 || k->front() < 0 || (extent.known() && k->front() > extent.extent()))) {
        fail(ErrorCode::invalid_input, "K is [{}] on axis {} of {}", fmt::join(*k, ","), axis,
             to_string(args.inputs[0]));
      }
      extent = k ? Dim(k->front()) : Dim();
    }
    return {values, ValueType{DType::int64, values.dims}};
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const std::size_t axis = normalize_axis(axis_, shape.rank());
    const std::int64_t extent = shape[axis];
    const std::int64_t k = k_ ? *k_ : first_element<std::int64_t>(args.in(1));
    const std::int64_t inner = shape.elements(axis + 1, shape.rank());
    const std::int64_t rows = shape.elements(0, axis) * inner;
    TemporaryVector<std::pair<std::uint64_t, std::int64_t>> order(
        static_cast<std::size_t>(extent));  // least first
    dispatch(NumericTypes{}, args.in(0).dtype, [&]<class T>() {
      for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t outer = row / inner;
        const T* x = args.in(0).data<T>() + outer * extent * inner + row % inner;
        for (std::int64_t i = 0; i < extent; ++i) {
          const std::uint64_t key = order_key(x[i * inner]);
          order[static_cast<std::size_t>(i)] = {largest_ ? ~key : key, i};
        }
        std::partial_sort(order.begin(), order.begin() + k, order.end());
        for (std::int64_t i = 0; i < k; ++i) {
          const std::int64_t to = (outer * k + i) * inner + row % inner;
          const std::int64_t best = order[static_cast<std::size_t>(i)].second;
          if (args.out(0).defined()) args.out(0).data<T>()[to] = x[best * inner];
          if (args.outputs.size() > 1 && args.out(1).defined()) args.out(1).data<std::int64_t>()[to] = best;
        }
      }
    });
  }

 private:
  std::int64_t axis_;
  std::optional<std::int64_t> k_;
  bool largest_ = true;
};

}  // namespace

std::unique_ptr<const Op> make_top_k(AttributeReader& node) {
  return std::make_unique<TopK>(node);
}

}  // namespace bnrun
