// Slice: along each listed axis the elements start, start + step, ... before end, as numpy counts them.
#include <algorithm>
#include <array>
#include <limits>

#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/layout.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

struct Bounds {
  std::int64_t start;
  std::int64_t end;
  std::int64_t step;

  /// Everything, whatever the extent.
  bool whole() const { return start == 0 && step == 1 && end >= std::numeric_limits<std::int32_t>::max(); }
};

struct Selection {
  std::int64_t first;
  std::int64_t step;
  std::int64_t count;
};

/// Negative bounds count from the end; all are clamped to the extent.
Selection select(const Bounds& bounds, std::int64_t extent) {
  const std::int64_t step = std::max(bounds.step, -std::numeric_limits<std::int64_t>::max());
  const std::int64_t low = step > 0 ? 0 : -1;
  const std::int64_t high = step > 0 ? extent : extent - 1;
  const auto place = [&](std::int64_t at) { return std::clamp(at < 0 ? at + extent : at, low, high); };
  const std::int64_t first = place(bounds.start);
  const std::int64_t end = place(bounds.end);
  const std::int64_t distance = step > 0 ? end - first : first - end;
  return {first, step, distance <= 0 ? 0 : (distance - 1) / std::abs(step) + 1};
}

class Slice final : public Op {
 public:
  explicit Slice(AttributeReader& node) : by_attributes_(node.version() < 10) {
    if (!by_attributes_) {
      check_inputs(node, 3, 5);
      return;
    }
    check_inputs(node, 1, 1);
    starts_ = node.get_ints("starts");
    ends_ = node.get_ints("ends");
    axes_ = node.get_ints("axes");
    if (!starts_ || !ends_) fail(ErrorCode::invalid_model, "attributes 'starts' and 'ends' are required");
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& data = args.inputs[0];
    std::vector<ValueType> outputs{{data.dtype, data.dims}};
    if (!data.ranked()) return outputs;
    Dims& dims = *outputs[0].dims;
    const auto starts = by_attributes_ ? starts_ : known_ints(args, 1);
    const auto ends = by_attributes_ ? ends_ : known_ints(args, 2);
    const auto axes = by_attributes_ ? axes_ : known_ints(args, 3);
    const auto steps = by_attributes_ ? steps_ : known_ints(args, 4);
    const bool axes_known = by_attributes_ || !args.present(3) || axes;
    const bool steps_known = by_attributes_ || !args.present(4) || steps;
    if (!axes_known || (!starts && !axes)) {
      std::fill(dims.begin(), dims.end(), Dim());
    } else if (!starts || !ends || !steps_known) {
      const auto touched = axes ? *axes : std::vector<std::int64_t>();
      for (const std::int64_t axis : touched) dims[normalize_axis(axis, data.rank())] = Dim();
      for (std::size_t axis = 0; !axes && axis < starts->size() && axis < dims.size(); ++axis)
        dims[axis] = Dim();
    } else {
      const auto bounds = bounds_of(*starts, *ends, span_of(axes), span_of(steps), data.rank());
      for (std::size_t axis = 0; axis < data.rank(); ++axis) {
        if (bounds[axis].whole()) continue;
        dims[axis] = dims[axis].known() ? Dim(select(bounds[axis], dims[axis].extent()).count) : Dim();
      }
    }
    move_content(*this, args, 1, outputs);
    return outputs;
  }

  void run(const RunArgs& args) const override {
    const TensorView& data = args.in(0);
    const std::size_t rank = data.shape.rank();
    const auto given = [&](std::size_t i) {
      return ElementsOf<std::int64_t>(by_attributes_ ? TensorView{} : args.in_or_undefined(i));
    };
    const auto starts = given(1), ends = given(2), axes = given(3), steps = given(4);
    const auto optional = [&](std::size_t i, const ElementsOf<std::int64_t>& ints) {
      return args.present(i) ? std::optional(IntSpan(ints)) : std::nullopt;
    };
    const auto bounds = by_attributes_ ? bounds_of(*starts_, *ends_, span_of(axes_), span_of(steps_), rank)
                                       : bounds_of(starts, ends, optional(3, axes), optional(4, steps), rank);
    const Shape strides = strides_of(data.shape);
    Walk walk{strides};
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const Selection selection = select(bounds[axis], data.shape[axis]);
      walk.start += selection.first * strides[axis];
      walk.strides[axis] = selection.count > 1 ? selection.step * strides[axis] : strides[axis];
    }
    copy_strided(data, walk, args.out(0), walk_of(args.out(0).shape), args.out(0).shape);
  }

  /// Everything along every axis.
  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    const auto bounds = known_bounds(args);
    for (std::size_t axis = 0; bounds && keeps(*bounds, args.inputs[0], axis); ++axis) {
      if (axis + 1 == bounds->size()) return AffineForm{0, {}};
    }
    return Declined{Decline::not_affine, {}};
  }

  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    const auto bounds = known_bounds(args);
    if (affine.uniform()) {
      for (std::size_t axis = 0; args.to_part_only && bounds && axis < bounds->size(); ++axis) {
        if (const auto copies = copies_along(*bounds, args.inputs[0], axis))
          return map_of_copied(affine, *copies);
      }
      return affine;
    }
    const auto axis = static_cast<std::size_t>(affine.axis);
    if (bounds && keeps(*bounds, args.inputs[0], axis)) return affine;
    if (const auto axes = known_axes(args)) {
      if (std::find(axes->begin(), axes->end(), axis) == axes->end()) return affine;
    }
    if (const auto copies = bounds ? copies_along(*bounds, args.inputs[0], axis) : std::nullopt)
      return carried(affine, from, *copies);
    return Declined{Decline::axis_unproven, "which channels it takes is unknown"};
  }

  /// Axes along which everything is taken, whatever their extent.
  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const auto bounds = known_bounds(args);
    if (!bounds) return std::nullopt;
    AxisMap map = AxisMap::identity(bounds->size());
    map.elements = AxisMap::Elements::computed;
    for (std::size_t axis = 0; axis < bounds->size(); ++axis) {
      if (!(*bounds)[axis].whole()) map.from[axis].reset();
    }
    return map;
  }

  std::optional<ChannelsLast> channels_last(const FoldArgs& args) const override {
    const auto bounds = known_bounds(args);
    if (!bounds) return std::nullopt;
    auto moved = std::make_shared<Slice>(*this);
    moved->by_attributes_ = true;
    moved->axes_.reset();
    for (auto* numbers : {&moved->starts_, &moved->ends_, &moved->steps_}) numbers->emplace(bounds->size());
    for (std::size_t axis = 0; axis < bounds->size(); ++axis) {
      const std::size_t to = axis_with_channels_last(axis, bounds->size());
      (*moved->starts_)[to] = (*bounds)[axis].start;
      (*moved->ends_)[to] = (*bounds)[axis].end;
      (*moved->steps_)[to] = (*bounds)[axis].step;
    }
    ChannelsLast form{std::move(moved)};
    for (std::size_t i = 1; i < args.inputs.size(); ++i) form.constants.emplace_back(i, Tensor());
    return form;
  }

 private:
  std::optional<TemporaryVector<Bounds>> known_bounds(const FoldArgs& args) const {
    if (!args.inputs[0].ranked()) return std::nullopt;
    const std::size_t rank = args.inputs[0].rank();
    if (by_attributes_) return bounds_of(*starts_, *ends_, span_of(axes_), span_of(steps_), rank);
    const auto starts = known_ints(args, 1);
    const auto ends = known_ints(args, 2);
    const auto axes = known_ints(args, 3);
    const auto steps = known_ints(args, 4);
    if (!starts || !ends || (args.present(3) && !axes) || (args.present(4) && !steps)) return std::nullopt;
    return bounds_of(*starts, *ends, span_of(axes), span_of(steps), rank);
  }

  /// The axes that are listed, where that is known; it may be without bounds.
  std::optional<std::vector<std::size_t>> known_axes(const FoldArgs& args) const {
    const auto listed = by_attributes_ ? axes_ : known_ints(args, 3);
    if (!listed || !args.inputs[0].ranked()) return std::nullopt;
    std::vector<std::size_t> axes;
    for (const std::int64_t axis : *listed) axes.push_back(normalize_axis(axis, args.inputs[0].rank()));
    return axes;
  }

  /// Everything along this axis.
  static bool keeps(std::span<const Bounds> bounds, const ValueType& data, std::size_t axis) {
    if (axis >= bounds.size()) return false;
    const Dim& dim = (*data.dims)[axis];
    if (bounds[axis].whole()) return true;
    if (!dim.known()) return false;
    const Selection selection = select(bounds[axis], dim.extent());
    return selection.count == dim.extent() && (selection.step == 1 || selection.count <= 1);
  }

  /// nullopt where everything is taken or the extent is unknown.
  static std::optional<AxisCopies> copies_along(std::span<const Bounds> bounds, const ValueType& data,
                                                std::size_t axis) {
    if (axis >= bounds.size() || !(*data.dims)[axis].known() || keeps(bounds, data, axis))
      return std::nullopt;
    const std::int64_t extent = (*data.dims)[axis].extent();
    const Selection selection = select(bounds[axis], extent);
    if (selection.count > kMostCopies) return std::nullopt;
    AxisCopies copies{axis, axis, static_cast<std::size_t>(extent), {}};
    for (std::int64_t i = 0; i < selection.count; ++i)
      copies.sources.push_back(selection.first + i * selection.step);
    return copies;
  }

  static TemporaryVector<Bounds> bounds_of(IntSpan starts, IntSpan ends, std::optional<IntSpan> axes,
                                           std::optional<IntSpan> steps, std::size_t rank) {
    const std::size_t count = starts.size();
    if (ends.size() != count || (axes && axes->size() != count) || (steps && steps->size() != count) ||
        (!axes && count > rank))
      fail(ErrorCode::invalid_model, "starts, ends, axes and steps differ in length");
    TemporaryVector<Bounds> bounds(rank, {0, std::numeric_limits<std::int64_t>::max(), 1});
    std::array<bool, Shape::kMaxRank> seen{};
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t axis = axes ? normalize_axis((*axes)[i], rank) : i;
      if (seen[axis]) fail(ErrorCode::invalid_model, "axis {} is listed twice", axis);
      seen[axis] = true;
      bounds[axis] = {starts[i], ends[i], steps ? (*steps)[i] : 1};
      if (bounds[axis].step == 0) fail(ErrorCode::invalid_model, "the step of axis {} is 0", axis);
    }
    return bounds;
  }

  bool by_attributes_;
  std::optional<std::vector<std::int64_t>> starts_, ends_, axes_;
  std::optional<std::vector<std::int64_t>> steps_;  ///< no attribute of any version
};

}  // namespace

std::unique_ptr<const Op> make_slice(AttributeReader& node) {
  return std::make_unique<Slice>(node);
}

}  // namespace bnrun
