// DepthToSpace: X[N, b*b*C, H, W] -> Y[N, C, H*b, W*b], and SpaceToDepth back.
//   DCR: Y[n, c, h*b+i, w*b+j] = X[n, (i*b+j)*C + c, h, w];  CRD: channel c*b*b + i*b + j.
#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/dim_product.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/shape_rules.h"
#include "ops/image/kinds.h"

namespace bnrun {
namespace {

class DepthSpace final : public Op {
 public:
  DepthSpace(DepthSpaceKind kind, AttributeReader& node)
      : block_(node.require_int("blocksize")), to_space_(kind == DepthSpaceKind::depth_to_space) {
    check_inputs(node, 1, 1);
    if (block_ < 1) fail(ErrorCode::invalid_model, "blocksize is {}", block_);
    if (to_space_ && node.version() >= 11) {
      const std::string mode = node.get_string("mode", "DCR");
      if (mode != "DCR" && mode != "CRD") fail(ErrorCode::invalid_model, "mode '{}' is not known", mode);
      depth_first_ = mode == "DCR";
    }
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!X.ranked()) return {{X.dtype, Dims(4)}};
    if (X.rank() != 4) fail(ErrorCode::invalid_model, "the input must have rank 4, it is {}", to_string(X));
    const Dims& d = *X.dims;
    if (to_space_) return {{X.dtype, Dims{d[0], divided(d[1], block_ * block_), times(d[2]), times(d[3])}}};
    return {{X.dtype, Dims{d[0], times(times(d[1])), divided(d[2], block_), divided(d[3], block_)}}};
  }

  void run(const RunArgs& args) const override {
    const bool in_is_deep = to_space_;
    const Shape& deep = in_is_deep ? args.in(0).shape : args.out(0).shape;
    const Shape& wide = in_is_deep ? args.out(0).shape : args.in(0).shape;
    const Shape ds = strides_of(deep);
    const Shape ws = strides_of(wide);
    const std::int64_t C = wide[1];
    // n, c, h, i, w, j
    const Shape extents{deep[0], C, deep[2], block_, deep[3], block_};
    const std::int64_t c = depth_first_ ? ds[1] : block_ * block_ * ds[1];
    const std::int64_t j = depth_first_ ? C * ds[1] : ds[1];
    const Walk deep_walk{{ds[0], c, ds[2], block_ * j, ds[3], j}};
    const Walk wide_walk{{ws[0], ws[1], block_ * ws[2], ws[2], block_ * ws[3], ws[3]}};
    if (in_is_deep)
      copy_strided(args.in(0), deep_walk, args.out(0), wide_walk, extents);
    else
      copy_strided(args.in(0), wide_walk, args.out(0), deep_walk, extents);
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs&) const override {
    if (block_ == 1) return AffineForm{0, {}};
    return Declined{Decline::not_affine, {}};
  }

  /// A channel of the deep side holds one place of each block of a channel of the wide side.
  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (affine.axis <= 0) return affine;
    const ValueType& wide = to_space_ ? args.outputs[0] : args.inputs[0];
    if (affine.axis != 1 || !wide.ranked() || !(*wide.dims)[1].known())
      return Declined{Decline::axis_unproven, "the channels cannot be traced through the blocks"};
    const std::int64_t C = (*wide.dims)[1].extent();
    if (block_ > kMostCopies || C > kMostCopies / (block_ * block_))
      return Declined{Decline::axis_unproven, "it makes too many channels to trace them"};
    AxisCopies deep_from_wide{1, 1, static_cast<std::size_t>(C), {}};
    for (std::int64_t channel = 0; channel < C * block_ * block_; ++channel)
      deep_from_wide.sources.push_back(depth_first_ ? channel % C : channel / (block_ * block_));
    const bool on_wide = (from == Side::input) != to_space_;
    return carried(affine, on_wide ? Side::input : Side::output, deep_from_wide);
  }

 private:
  Dim times(const Dim& dim) const {
    const Dim factors[] = {dim, Dim(block_)};
    return DimProduct(factors).as_dim();
  }
  static Dim divided(const Dim& dim, std::int64_t divisor) {
    const Dim whole[] = {dim};
    const Dim part[] = {Dim(divisor)};
    const auto quotient = DimProduct(whole).divided_by(DimProduct(part));
    if (!quotient && dim.known())
      fail(ErrorCode::invalid_model, "an extent of {} is no multiple of {}", dim.extent(), divisor);
    return quotient ? quotient->as_dim() : Dim();
  }

  std::int64_t block_;
  bool to_space_;
  bool depth_first_ = true;
};

}  // namespace

std::unique_ptr<const Op> make_depth_space(AttributeReader& node, DepthSpaceKind kind) {
  return std::make_unique<DepthSpace>(kind, node);
}

}  // namespace bnrun
