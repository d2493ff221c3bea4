// Expand: a tensor stretched by broadcasting. Tile: a tensor repeated along its axes.
#include <algorithm>

#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/dim_product.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

class Expand final : public Op {
 public:
  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    std::vector<ValueType> outputs{{input.dtype, std::nullopt}};
    const auto shape = content_of(args, 1);
    if (!shape || !input.ranked()) return outputs;
    Dims target;
    for (const Content& element : *shape) {
      if (element.number && *element.number < 0)
        fail(ErrorCode::invalid_model, "the shape holds {}", *element.number);
      target.push_back(element.as_dim());
    }
    const Dims pair[] = {*input.dims, std::move(target)};
    outputs[0].dims = broadcast_dims(pair);
    move_content(*this, args, 1, outputs);
    return outputs;
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.out(0).shape;
    copy_strided(args.in(0), {broadcast_strides(args.in(0).shape, shape)}, args.out(0), walk_of(shape),
                 shape);
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (same_dimensions(args.inputs[0], args.outputs[0])) return AffineForm{0, {}};
    return Declined{Decline::not_affine, {}};
  }

  /// The axes of the shorter side are the last ones of the longer. Along those that are stretched every slice
  /// is a copy of one.
  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (affine.uniform()) return affine;
    const Declined unproven{Decline::axis_unproven, "whether it stretches the channels is unknown"};
    const ValueType& data = args.inputs[0];
    if (!data.ranked() || !args.outputs[0].ranked()) return unproven;
    const std::size_t added = args.outputs[0].rank() - data.rank();
    const auto axis = static_cast<std::size_t>(affine.axis);
    ChannelAffine moved = affine;
    if (from == Side::input || axis >= added) {
      const std::size_t at = from == Side::input ? axis : axis - added;
      if (!(*data.dims)[at].known()) return unproven;
      if ((*data.dims)[at] == Dim(static_cast<std::int64_t>(affine.channels()))) {
        moved.axis = static_cast<int>(from == Side::input ? axis + added : at);
        if (affine.channels() != 1) return moved;
      } else if (!((*data.dims)[at] == Dim(1))) {
        return unproven;
      }
    }
    for (std::size_t c = 1; c < affine.channels(); ++c) {
      if (affine.scale[c] != affine.scale[0] || affine.shift[c] != affine.shift[0])
        return Declined{Decline::axis_unproven, "copies of one channel carry different maps"};
    }
    return ChannelAffine{ChannelAffine::kUniform, {affine.scale[0]}, {affine.shift[0]}};
  }
};

class Tile final : public Op {
 public:
  /// Opset 1 repeated one axis: inputs `tiles` and `axis`, scalars.
  explicit Tile(AttributeReader& node) : one_axis_(node.version() < 6) {
    check_inputs(node, one_axis_ ? 3 : 2, one_axis_ ? 3 : 2);
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    std::vector<ValueType> outputs{{input.dtype, std::nullopt}};
    if (!input.ranked()) return outputs;
    Dims dims(input.rank());
    const auto first = known_ints(args, 1);
    const auto second = one_axis_ ? known_ints(args, 2) : std::nullopt;
    if (first && (second || !one_axis_)) {
      const auto repeats = repeats_of(*first, second ? IntSpan(*second) : IntSpan(), input.rank());
      for (std::size_t axis = 0; axis < dims.size(); ++axis) {
        const Dim factors[] = {Dim(repeats[axis]), (*input.dims)[axis]};
        dims[axis] = DimProduct(factors).as_dim();
      }
    }
    outputs[0].dims = std::move(dims);
    move_content(*this, args, 1, outputs);
    return outputs;
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const ElementsOf<std::int64_t> first(args.in(1));
    const ElementsOf<std::int64_t> second(one_axis_ ? args.in(2) : TensorView{});
    const auto repeats = repeats_of(first, second, shape.rank());
    const Shape in_strides = strides_of(shape);
    const Shape out_strides = strides_of(args.out(0).shape);
    Shape extents;
    Walk from;
    Walk to;
    const auto add = [&](std::int64_t extent, std::int64_t from_stride, std::int64_t to_stride) {
      extents.push_back(extent);
      from.strides.push_back(from_stride);
      to.strides.push_back(to_stride);
    };
    for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
      if (repeats[axis] != 1) add(repeats[axis], 0, shape[axis] * out_strides[axis]);
      add(shape[axis], in_strides[axis], out_strides[axis]);
    }
    copy_strided(args.in(0), from, args.out(0), to, extents);
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    const auto repeats = known_repeats(args);
    if (repeats && std::all_of(repeats->begin(), repeats->end(), [](auto repeat) { return repeat == 1; }))
      return AffineForm{0, {}};
    return Declined{Decline::not_affine, {}};
  }

  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (affine.uniform()) return affine;
    const auto axis = static_cast<std::size_t>(affine.axis);
    const auto repeats = known_repeats(args);
    if (!repeats || axis >= repeats->size())
      return Declined{Decline::axis_unproven, "the number of repeats is unknown"};
    const std::int64_t repeat = (*repeats)[axis];
    if (repeat == 1) return affine;
    const Dim& dim = (*args.inputs[0].dims)[axis];
    if (!dim.known() || dim.extent() > kMostCopies ||
        repeat > kMostCopies / std::max<std::int64_t>(1, dim.extent()))
      return Declined{Decline::axis_unproven, "how many channels it repeats is unknown"};
    AxisCopies copies{axis, axis, static_cast<std::size_t>(dim.extent()), {}};
    for (std::int64_t i = 0; i < repeat * dim.extent(); ++i) copies.sources.push_back(i % dim.extent());
    return carried(affine, from, copies);
  }

 private:
  std::optional<TemporaryVector<std::int64_t>> known_repeats(const FoldArgs& args) const {
    const auto first = known_ints(args, 1);
    const auto second = one_axis_ ? known_ints(args, 2) : std::nullopt;
    if (!first || (one_axis_ && !second) || !args.inputs[0].ranked()) return std::nullopt;
    return repeats_of(*first, second ? IntSpan(*second) : IntSpan(), args.inputs[0].rank());
  }

  /// `second`: the axis of the only one, if it has just that.
  TemporaryVector<std::int64_t> repeats_of(IntSpan first, IntSpan second, std::size_t rank) const {
    TemporaryVector<std::int64_t> repeats(first.begin(), first.end());
    if (one_axis_) {
      if (first.size() != 1 || second.size() != 1)
        fail(ErrorCode::invalid_model, "tiles and axis must be single numbers");
      repeats.assign(rank, 1);
      repeats[normalize_axis(second.front(), rank)] = first.front();
    }
    if (repeats.size() != rank)
      fail(ErrorCode::invalid_model, "{} repeats are given for a tensor of rank {}", repeats.size(), rank);
    for (const std::int64_t repeat : repeats) {
      if (repeat < 0) fail(ErrorCode::invalid_model, "a negative number of repeats, {}", repeat);
    }
    return repeats;
  }

  bool one_axis_;
};

}  // namespace

std::unique_ptr<const Op> make_expand(AttributeReader& node) {
  check_inputs(node, 2, 2);
  return std::make_unique<Expand>();
}
std::unique_ptr<const Op> make_tile(AttributeReader& node) {
  return std::make_unique<Tile>(node);
}

}  // namespace bnrun
