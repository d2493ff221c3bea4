// Flatten, Reshape, Squeeze, Unsqueeze: the same elements in the same order under other dimensions.
#include <algorithm>

#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/dim_product.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

std::span<const Dim> dims_before(const Dims& dims, std::size_t axis) {
  return std::span(dims).first(axis);
}
std::span<const Dim> dims_after(const Dims& dims, std::size_t axis) {
  return std::span(dims).subspan(axis + 1);
}

/// Elements between two neighbours along an axis, for one axis of each side of a reshape.
struct Strides {
  DimProduct behind, before, behind_other, before_other;

  Strides(const Dims& dims, std::size_t axis, std::int64_t extent, const Dims& other, std::size_t other_axis)
      : behind(dims_after(dims, axis)),
        before(dims_before(dims, axis)),
        behind_other(dims_after(other, other_axis)),
        before_other(dims_before(other, other_axis)) {
    before *= Dim(extent);
    before_other *= other[other_axis];
  }

  /// stride / other stride where it is a whole number. Both sides have equally many elements, so the
  /// dimensions in front tell as much as those behind.
  std::optional<std::int64_t> ratio() const { return quotient(behind, behind_other, before_other, before); }
  std::optional<std::int64_t> inverse_ratio() const {
    return quotient(behind_other, behind, before, before_other);
  }

 private:
  static std::optional<std::int64_t> quotient(const DimProduct& a, const DimProduct& b, const DimProduct& c,
                                              const DimProduct& d) {
    if (const auto q = a.divided_by(b); q && q->number()) return q->number();
    if (const auto q = c.divided_by(d); q && q->number()) return q->number();
    return std::nullopt;
  }
};

/// An element at flat position i has channel c = (i / stride) mod C on one side and coordinate
/// j = (i / stride') mod D on the other side's axis. With stride = r*stride' and D a multiple of r*C:
/// c = (j / r) mod C, so each channel is repeated. With stride' = r*stride and C a multiple of r*D:
/// j = (c / r) mod D, which serves if all channels with the same j share one map.
OrDeclined<ChannelAffine> reshape_affine(const ChannelAffine& affine, const ValueType& from,
                                         const ValueType& to) {
  if (affine.uniform()) return affine;
  const Declined unproven{Decline::axis_unproven,
                          fmt::format("{} channels on axis {} of {} cannot be traced to {}",
                                      affine.channels(), affine.axis, to_string(from), to_string(to))};
  const auto axis = static_cast<std::size_t>(affine.axis);
  if (!from.ranked() || !to.ranked() || axis >= from.rank() || affine.channels() == 0) return unproven;
  const std::size_t C = affine.channels();
  const auto divisor = [](std::optional<std::int64_t> ratio) {
    return static_cast<std::size_t>(std::max<std::int64_t>(0, ratio.value_or(0)));
  };
  for (std::size_t b = 0; b < to.rank(); ++b) {
    const Dim& dim = (*to.dims)[b];
    if (!dim.known() || dim.extent() == 0) continue;
    const auto D = static_cast<std::size_t>(dim.extent());
    const Strides strides(*from.dims, axis, static_cast<std::int64_t>(C), *to.dims, b);
    ChannelAffine result{static_cast<int>(b), std::vector<double>(D), std::vector<double>(D)};
    if (const auto r = divisor(strides.ratio()); r != 0 && D % C == 0 && D / C % r == 0) {
      for (std::size_t j = 0; j < D; ++j) {
        result.scale[j] = affine.scale[j / r % C];
        result.shift[j] = affine.shift[j / r % C];
      }
      return result;
    }
    if (const auto r = divisor(strides.inverse_ratio()); r != 0 && C % D == 0 && C / D % r == 0) {
      bool shared = true;
      for (std::size_t c = 0; c < C; ++c) {
        const std::size_t j = c / r % D;
        result.scale[j] = affine.scale[j * r];
        result.shift[j] = affine.shift[j * r];
        shared = shared && affine.scale[c] == result.scale[j] && affine.shift[c] == result.shift[j];
      }
      if (shared) return result;
    }
  }
  return unproven;
}

class ReshapeLike : public Op {
 public:
  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const final {
    std::vector<ValueType> outputs{{args.inputs[0].dtype, infer_dims(args)}};
    move_content(*this, args, 1, outputs);
    return outputs;
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    return input_typed_as_output(args);
  }

  void run(const RunArgs& args) const final {
    if (args.in(0).elements() != args.out(0).elements()) {
      fail(ErrorCode::internal, "{} reshaped to {}", to_string(args.in(0).shape),
           to_string(args.out(0).shape));
    }
    copy_elements(args.in(0), args.out(0));
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (same_dimensions(args.inputs[0], args.outputs[0])) return AffineForm{0, {}};
    return Declined{Decline::not_affine, {}};
  }

  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (const auto map = axes(args)) {
      if (auto passed = carried(affine, from, *map)) return std::move(*passed);
    }
    return from == Side::input ? reshape_affine(affine, args.inputs[0], args.outputs[0])
                               : reshape_affine(affine, args.outputs[0], args.inputs[0]);
  }

  /// Leading dimensions that are the same on both sides are the same axes.
  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const ValueType& in = args.inputs[0];
    const ValueType& out = args.outputs[0];
    AxisMap map{{}, AxisMap::Elements::in_order};
    if (!out.ranked()) return map;
    map.from.resize(out.rank());
    for (std::size_t i = 0; in.ranked() && i < std::min(in.rank(), out.rank()); ++i) {
      if (!((*in.dims)[i] == (*out.dims)[i])) break;
      map.from[i] = i;
    }
    return map;
  }

 private:
  virtual std::optional<Dims> infer_dims(const InferArgs& args) const = 0;
};

// Y[d0*...*d(axis-1), d(axis)*...]
class Flatten final : public ReshapeLike {
 public:
  explicit Flatten(AttributeReader& node) : axis_(node.get_int("axis", 1)) {
    check_inputs(node, 1, 1);
    if (node.version() < 11 && axis_ < 0)
      fail(ErrorCode::invalid_model, "axis {} is negative, which opset 11 introduced", axis_);
  }

 private:
  std::optional<Dims> infer_dims(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    if (!input.ranked()) return Dims{Dim(), Dim()};
    const auto rank = static_cast<std::int64_t>(input.rank());
    if (axis_ < -rank || axis_ > rank)
      fail(ErrorCode::invalid_model, "axis {} is outside a tensor of rank {}", axis_, rank);
    const auto axis = static_cast<std::size_t>(axis_ < 0 ? axis_ + rank : axis_);
    const auto dims = std::span(*input.dims);
    return Dims{DimProduct(dims.first(axis)).as_dim(), DimProduct(dims.subspan(axis)).as_dim()};
  }

  std::int64_t axis_;
};

// An element of `shape` is an extent, -1 (inferred, once) or 0 (copied from the input unless allowzero).
class Reshape final : public ReshapeLike {
 public:
  explicit Reshape(AttributeReader& node)
      : allow_zero_(node.version() >= 14 && node.get_bool("allowzero", false)) {
    if (node.version() >= 5) {
      check_inputs(node, 2, 2);
    } else {
      check_inputs(node, 1, 1);
      node.ignore("consumed_inputs");
      attribute_ = node.get_ints("shape");
      if (!attribute_) fail(ErrorCode::invalid_model, "attribute 'shape' is missing");
    }
  }

  /// A batch size written into the shape would refuse a part of the rows.
  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    auto map = ReshapeLike::axes(args);
    const auto first = [&]() -> std::int64_t {
      if (attribute_) return attribute_->empty() ? 1 : attribute_->front();
      const Tensor* shape = args.constant(1);
      return shape != nullptr && shape->elements() > 0 ? read_ints(shape->view()).front() : 1;
    }();
    const bool any_size = first == -1 || (first == 0 && !allow_zero_);
    if (map && !any_size) map = std::move(*map).without(0);
    return map;
  }

 private:
  std::optional<Dims> infer_dims(const InferArgs& args) const override {
    std::optional<std::vector<Content>> target;
    if (attribute_) {
      target.emplace();
      for (const std::int64_t number : *attribute_) target->push_back(Content::of(number));
    } else {
      const ValueType& shape = args.inputs[1];
      if (shape.ranked() && shape.rank() != 1)
        fail(ErrorCode::invalid_model, "the shape must be a list, it is {}", to_string(shape));
      target = content_of(args, 1);
    }
    return target ? std::optional(resolve(*target, args.inputs[0])) : std::nullopt;
  }

  Dims resolve(const std::vector<Content>& target, const ValueType& input) const {
    Dims result;
    std::optional<std::size_t> inferred;
    // Extents that are copied need not be divided out: that keeps an empty batch from dividing by zero.
    DimProduct given;
    Dims left = input.ranked() ? *input.dims : Dims{Dim()};
    for (std::size_t i = 0; i < target.size(); ++i) {
      const Content& element = target[i];
      if (element.number == -1) {
        if (inferred) fail(ErrorCode::invalid_model, "the shape has -1 twice");
        inferred = i;
        result.emplace_back();
      } else if (element.number == 0 && !allow_zero_) {
        if (input.ranked() && i >= input.rank())
          fail(ErrorCode::invalid_model, "0 stands in the shape at {}, beyond an input of rank {}", i,
               input.rank());
        result.push_back(input.ranked() ? (*input.dims)[i] : Dim());
        if (input.ranked())
          left[i] = Dim(1);
        else
          given *= Dim();
      } else {
        if (element.number && *element.number < 0)
          fail(ErrorCode::invalid_model, "the shape holds {}", *element.number);
        result.push_back(element.as_dim());
        given *= result.back();
      }
    }
    const DimProduct remaining(left);
    const auto quotient = remaining.divided_by(given);
    const bool numbers = remaining.number() && given.number();
    if (inferred) {
      if (numbers && !quotient) mismatch(input, target);
      if (quotient) result[*inferred] = quotient->as_dim();
    } else if (numbers && *remaining.number() != *given.number()) {
      mismatch(input, target);
    }
    return result;
  }

  [[noreturn]] static void mismatch(const ValueType& input, const std::vector<Content>& target) {
    std::vector<std::string> texts;
    for (const Content& c : target) texts.push_back(c.number ? std::to_string(*c.number) : c.symbol);
    fail(ErrorCode::invalid_model, "{} cannot be reshaped to [{}]", to_string(input), fmt::join(texts, ","));
  }

  std::optional<std::vector<std::int64_t>> attribute_;
  bool allow_zero_;
};

/// Squeeze and Unsqueeze: axes of extent 1 of the longer side that the shorter side lacks.
class AxesOp : public ReshapeLike {
 public:
  explicit AxesOp(AttributeReader& node) {
    check_inputs(node, 1, node.version() < 13 ? 1 : 2);
    if (node.version() < 13) attribute_ = node.get_ints("axes");
  }

 protected:
  bool has_axes(const InferArgs& args) const { return attribute_ || args.present(1); }
  /// How many axes there are, where that is known.
  std::optional<std::size_t> axes_count(const InferArgs& args) const {
    if (attribute_) return attribute_->size();
    const auto content = content_of(args, 1);
    return content ? std::optional(content->size()) : std::nullopt;
  }
  /// Sorted and counted from the front of the longer side; nullopt while unknown.
  std::optional<std::vector<std::size_t>> listed_axes(const InferArgs& args, std::size_t longer_rank) const {
    return normal(attribute_ ? attribute_ : known_ints(args, 1), longer_rank);
  }

  /// The axes of the longer side that the shorter side lacks, as these arguments tell them.
  std::optional<std::vector<std::size_t>> axes_of(const FoldArgs& args, const ValueType& longer) const {
    const Tensor* constant = args.constant(1);
    const auto given = attribute_            ? attribute_
                       : constant != nullptr ? std::optional(read_ints(constant->view()))
                                             : std::nullopt;
    return longer.ranked() ? normal(given, longer.rank()) : std::nullopt;
  }

 private:
  static std::optional<std::vector<std::size_t>> normal(const std::optional<std::vector<std::int64_t>>& given,
                                                        std::size_t rank) {
    if (!given) return std::nullopt;
    std::vector<std::size_t> result;
    for (const std::int64_t axis : *given) result.push_back(normalize_axis(axis, rank));
    std::sort(result.begin(), result.end());
    if (std::adjacent_find(result.begin(), result.end()) != result.end())
      fail(ErrorCode::invalid_model, "an axis is listed twice");
    return result;
  }

  std::optional<std::vector<std::int64_t>> attribute_;
};

class Squeeze final : public AxesOp {
 public:
  using AxesOp::AxesOp;

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const auto removed = axes_of(args, args.inputs[0]);
    if (!removed) return ReshapeLike::axes(args);
    AxisMap map{{}, AxisMap::Elements::in_order};
    for (std::size_t axis = 0; axis < args.inputs[0].rank(); ++axis) {
      if (!std::binary_search(removed->begin(), removed->end(), axis)) map.from.emplace_back(axis);
    }
    return map;
  }

 private:
  std::optional<Dims> infer_dims(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    if (!input.ranked()) return std::nullopt;
    Dims dims;
    if (!has_axes(args)) {
      if (!input.static_shape()) return std::nullopt;
      std::copy_if(input.dims->begin(), input.dims->end(), std::back_inserter(dims),
                   [](const Dim& dim) { return dim.extent() != 1; });
      return dims;
    }
    const auto removed = listed_axes(args, input.rank());
    if (!removed) return std::nullopt;
    for (std::size_t axis = 0; axis < input.rank(); ++axis) {
      const Dim& dim = (*input.dims)[axis];
      if (!std::binary_search(removed->begin(), removed->end(), axis))
        dims.push_back(dim);
      else if (dim.known() && dim.extent() != 1)
        fail(ErrorCode::invalid_model, "axis {} of {} cannot be removed: its extent is not 1", axis,
             to_string(input));
    }
    return dims;
  }
};

class Unsqueeze final : public AxesOp {
 public:
  explicit Unsqueeze(AttributeReader& node) : AxesOp(node) {
    if (node.version() < 13 ? !node.has("axes") : !node.given(1))
      fail(ErrorCode::invalid_model, "the axes are missing");
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const auto added = axes_of(args, args.outputs[0]);
    if (!added) return ReshapeLike::axes(args);
    AxisMap map{{}, AxisMap::Elements::in_order};
    for (std::size_t axis = 0, in = 0; axis < args.outputs[0].rank(); ++axis) {
      if (std::binary_search(added->begin(), added->end(), axis))
        map.from.emplace_back();
      else
        map.from.emplace_back(in++);
    }
    return map;
  }

 private:
  std::optional<Dims> infer_dims(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    if (!input.ranked()) return std::nullopt;
    // Negative axes count in the output's rank, and that depends on how many there are.
    const auto count = axes_count(args);
    if (!count) return std::nullopt;
    const auto added = listed_axes(args, input.rank() + *count);
    if (!added) return Dims(input.rank() + *count);
    Dims dims = *input.dims;
    for (const std::size_t axis : *added)
      dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
    return dims;
  }
};

template <class T>
std::unique_ptr<const Op> make(AttributeReader& node) {
  return std::make_unique<T>(node);
}

}  // namespace

std::unique_ptr<const Op> make_flatten(AttributeReader& node) {
  return make<Flatten>(node);
}
std::unique_ptr<const Op> make_reshape(AttributeReader& node) {
  return make<Reshape>(node);
}
std::unique_ptr<const Op> make_squeeze(AttributeReader& node) {
  return make<Squeeze>(node);
}
std::unique_ptr<const Op> make_unsqueeze(AttributeReader& node) {
  return make<Unsqueeze>(node);
}

}  // namespace bnrun
