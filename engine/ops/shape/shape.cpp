// Shape and Size: the dimensions of a tensor as int64 elements.
#include <algorithm>

#include "base/fail.h"
#include "op/dim_product.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

// shape[i] = extent of axis start + i, up to but excluding end; both are clamped to the rank.
class ShapeOp final : public Op {
 public:
  explicit ShapeOp(AttributeReader& node) {
    check_inputs(node, 1, 1);
    if (node.version() < 15) return;
    start_ = node.get_int("start", 0);
    if (node.has("end")) end_ = node.get_int("end", 0);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& data = args.inputs[0];
    if (!data.ranked()) return {{DType::int64, Dims{Dim()}}};
    const auto [first, last] = range(data.rank());
    std::vector<Content> content;
    for (std::size_t axis = first; axis < last; ++axis) content.push_back(Content::of((*data.dims)[axis]));
    return {{DType::int64, Dims{Dim(static_cast<std::int64_t>(content.size()))}, std::move(content)}};
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const auto [first, last] = range(shape.rank());
    std::copy(shape.begin() + first, shape.begin() + last, args.out(0).data<std::int64_t>());
  }

 private:
  std::pair<std::size_t, std::size_t> range(std::size_t rank) const {
    const auto r = static_cast<std::int64_t>(rank);
    const auto clamped = [r](std::int64_t axis) {
      return static_cast<std::size_t>(std::clamp<std::int64_t>(axis < 0 ? axis + r : axis, 0, r));
    };
    const std::size_t first = clamped(start_);
    return {first, std::max(first, clamped(end_.value_or(r)))};
  }

  std::int64_t start_ = 0;
  std::optional<std::int64_t> end_;
};

class SizeOp final : public Op {
 public:
  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType size{DType::int64, Dims{}};
    const ValueType& data = args.inputs[0];
    if (data.ranked()) size.content = {Content::of(DimProduct(*data.dims).as_dim())};
    return {size};
  }

  void run(const RunArgs& args) const override { *args.out(0).data<std::int64_t>() = args.in(0).elements(); }
};

}  // namespace

std::unique_ptr<const Op> make_shape(AttributeReader& node) {
  return std::make_unique<ShapeOp>(node);
}
std::unique_ptr<const Op> make_size(AttributeReader& node) {
  check_inputs(node, 1, 1);
  return std::make_unique<SizeOp>();
}

}  // namespace bnrun
