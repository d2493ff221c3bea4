// Transpose: Y[i(perm[0]), i(perm[1]), ...] = X[i(0), i(1), ...]; without perm the axes are reversed.
#include <algorithm>

#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

class TransposeOp final : public Op {
 public:
  explicit TransposeOp(AttributeReader& node) : perm_(node.get_ints("perm")) {
    check_inputs(node, 1, 1);
    if (!perm_) return;
    auto sorted = *perm_;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i] != static_cast<std::int64_t>(i))
        fail(ErrorCode::invalid_model, "perm is no permutation of the axes: [{}]", fmt::join(*perm_, ","));
    }
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!X.ranked()) return {{X.dtype, std::nullopt}};
    Dims dims;
    for (const std::size_t axis : permutation(X.rank())) dims.push_back((*X.dims)[axis]);
    return {{X.dtype, std::move(dims), X.rank() <= 1 ? X.content : std::nullopt}};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = input_typed_as_output(args);
    const ValueType& Y = args.outputs[0];
    if (types[0].ranked() || !Y.ranked()) return types;
    types[0].dims.emplace(Y.rank());
    const auto perm = permutation(Y.rank());
    for (std::size_t i = 0; i < perm.size(); ++i) (*types[0].dims)[perm[i]] = (*Y.dims)[i];
    return types;
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const Shape strides = strides_of(shape);
    check_rank(shape.rank());
    Walk walk;
    for (std::size_t i = 0; i < shape.rank(); ++i)  // without a vector: a run allocates nothing
      walk.strides.push_back(strides[axis_at(i, shape.rank())]);
    const MutableTensorView& Y = args.out(0);
    copy_strided(args.in(0), walk, Y, walk_of(Y.shape), Y.shape);
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (args.inputs[0].ranked()) {
      const auto axes = permutation(args.inputs[0].rank());
      if (std::is_sorted(axes.begin(), axes.end())) return AffineForm{0, {}};
    }
    return Declined{Decline::not_affine, {}};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!perm_ && !args.inputs[0].ranked()) return std::nullopt;
    AxisMap map{{}, AxisMap::Elements::moved};
    for (const std::size_t axis : permutation(perm_ ? perm_->size() : args.inputs[0].rank()))
      map.from.emplace_back(axis);
    return map;
  }

 private:
  void check_rank(std::size_t rank) const {
    if (perm_ && perm_->size() != rank)
      fail(ErrorCode::invalid_model, "perm lists {} axes, the input has {}", perm_->size(), rank);
  }

  /// The axis of the input that becomes axis i of the output.
  std::size_t axis_at(std::size_t i, std::size_t rank) const {
    return perm_ ? static_cast<std::size_t>((*perm_)[i]) : rank - 1 - i;
  }

  std::vector<std::size_t> permutation(std::size_t rank) const {
    check_rank(rank);
    std::vector<std::size_t> axes(rank);
    for (std::size_t i = 0; i < rank; ++i) axes[i] = axis_at(i, rank);
    return axes;
  }

  std::optional<std::vector<std::int64_t>> perm_;
};

}  // namespace

std::unique_ptr<const Op> make_transpose(AttributeReader& node) {
  return std::make_unique<TransposeOp>(node);
}

}  // namespace bnrun
