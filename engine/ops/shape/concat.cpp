// Concat and Split: tensors one behind the other along an axis, and apart again.
#include <algorithm>
#include <numeric>

#include "base/fail.h"
#include "base/numbers.h"
#include "base/strided_copy.h"
#include "op/dim_product.h"
#include "op/layout.h"
#include "op/op.h"
#include "op/prepared.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

using AffineMaps = OrDeclined<std::vector<ChannelAffine>>;

/// The channels of each part along `axis`; nullopt unless all are known.
std::optional<std::vector<std::size_t>> lengths_of(std::span<const ValueType> parts, std::size_t axis) {
  std::vector<std::size_t> lengths;
  for (const ValueType& part : parts) {
    if (!part.ranked() || axis >= part.rank() || !(*part.dims)[axis].known()) return std::nullopt;
    lengths.push_back(static_cast<std::size_t>((*part.dims)[axis].extent()));
  }
  return lengths;
}

const Declined kLengthsUnknown{Decline::axis_unproven, "the length of a part is unknown"};

/// A map on the whole as maps on the parts that lie one behind the other along `axis`.
AffineMaps map_of_each_part(const ChannelAffine& whole, std::optional<std::size_t> axis,
                            std::span<const ValueType> parts) {
  if (whole.uniform()) return std::vector(parts.size(), whole);
  if (!axis) return Declined{Decline::axis_unproven, "the rank is unknown"};
  if (whole.axis != static_cast<int>(*axis)) return std::vector(parts.size(), whole);
  const auto lengths = lengths_of(parts, *axis);
  if (!lengths || std::accumulate(lengths->begin(), lengths->end(), std::size_t{0}) != whole.channels())
    return kLengthsUnknown;
  std::vector<ChannelAffine> maps;
  std::size_t first = 0;
  for (const std::size_t length : *lengths) {
    const auto slice = [&](const std::vector<double>& all) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
      return std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(length));
    };
    maps.push_back({whole.axis, slice(whole.scale), slice(whole.shift)});
    first += length;
  }
  return maps;
}

/// Maps on the parts as one map on the whole.
AffineMaps map_of_whole(std::span<const ChannelAffine> maps, std::optional<std::size_t> axis,
                        std::span<const ValueType> parts) {
  const bool equal = std::all_of(maps.begin(), maps.end(), [&](const auto& map) { return map == maps[0]; });
  if (!axis && !(equal && maps[0].uniform())) return Declined{Decline::axis_unproven, "the rank is unknown"};
  if (equal && (!axis || maps[0].axis != static_cast<int>(*axis))) return std::vector{maps[0]};
  const auto lengths = lengths_of(parts, *axis);
  if (!lengths) return kLengthsUnknown;
  ChannelAffine whole{static_cast<int>(*axis), {}, {}};
  for (std::size_t i = 0; i < maps.size(); ++i) {
    if (!maps[i].uniform() && maps[i].axis != whole.axis)
      return Declined{Decline::axis_unproven, "its parts carry different maps on another axis"};
    const ChannelAffine part = maps[i].on_axis(whole.axis, (*lengths)[i]);
    whole.scale.insert(whole.scale.end(), part.scale.begin(), part.scale.end());
    whole.shift.insert(whole.shift.end(), part.shift.begin(), part.shift.end());
  }
  return std::vector{std::move(whole)};
}

std::optional<std::size_t> axis_in(const ValueType& type, std::int64_t axis) {
  return type.ranked() ? std::optional(normalize_axis(axis, type.rank())) : std::nullopt;
}

class Concat final : public Op, public WorksInParts, public JoinsInputs {
 public:
  explicit Concat(AttributeReader& node)
      : axis_(node.version() < 4 ? node.get_int("axis", 1) : node.require_int("axis")) {
    check_inputs(node, std::max<std::size_t>(1, node.inputs()), node.inputs());
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType result{args.inputs[0].dtype, std::nullopt};
    Dim sum(0);
    for (const ValueType& input : args.inputs) {
      if (input.dtype != result.dtype) {
        fail(ErrorCode::invalid_model, "its inputs have different element types, {} and {}",
             name_of(result.dtype), name_of(input.dtype));
      }
      if (!input.ranked()) {
        sum = Dim();
        continue;
      }
      if (!result.ranked()) result.dims = Dims(input.rank());
      if (input.rank() != result.rank())
        fail(ErrorCode::invalid_model, "its inputs have different ranks, {} and {}", result.rank(),
             input.rank());
      const std::size_t axis = normalize_axis(axis_, input.rank());
      for (std::size_t i = 0; i < input.rank(); ++i) {
        const Dim& dim = (*input.dims)[i];
        Dim& common = (*result.dims)[i];
        if (i == axis) {
          sum = plus(sum, dim);
        } else if (dim.known() && common.known() && !(dim == common)) {
          fail(ErrorCode::invalid_model, "its inputs differ on axis {}: {} and {}", i, common.extent(),
               dim.extent());
        } else if (dim.known() || (!common.known() && !common.symbolic())) {
          common = dim;
        }
      }
    }
    if (result.ranked()) (*result.dims)[normalize_axis(axis_, result.rank())] = sum;
    std::vector<ValueType> outputs{std::move(result)};
    move_content(*this, args, args.count(), outputs);
    return outputs;
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = inputs_of_one_type(args);
    for (ValueType& type : types) {
      if (!type.ranked() && args.outputs[0].ranked()) type.dims = Dims(args.outputs[0].rank());
    }
    return types;
  }

  void run(const RunArgs& args) const override {
    const MutableTensorView& out = args.out(0);
    const std::size_t axis = normalize_axis(axis_, out.shape.rank());
    Walk target = walk_of(out.shape);
    for (const TensorView& input : args.inputs) {
      copy_strided(input, walk_of(input.shape), out, target, input.shape);
      target.start += input.shape[axis] * target.strides[axis];
    }
  }

  bool has_parts(std::size_t axis, std::size_t rank) const override {
    return axis != normalize_axis(axis_, rank);
  }

  bool joins_along(std::size_t axis, std::size_t rank) const override {
    return axis == normalize_axis(axis_, rank);
  }

  /// A constant part has rows of its own.
  bool keeps_rows(const FoldArgs& args) const override {
    for (std::size_t i = 0; i < args.inputs.size(); ++i) {
      if (args.constant(i) != nullptr) return false;
    }
    const auto axis = axis_in(args.outputs[0], axis_);
    return axis && *axis != 0;
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (args.inputs.size() == 1) return AffineForm{0, {}};
    return Declined{Decline::not_affine, {}};
  }

  AffineMaps pass_affines(Side from, std::span<const ChannelAffine> maps,
                          const FoldArgs& args) const override {
    const auto axis = axis_in(args.outputs[0], axis_);
    return from == Side::output ? map_of_each_part(maps[0], axis, args.inputs)
                                : map_of_whole(maps, axis, args.inputs);
  }

  std::optional<ChannelsLast> channels_last(const FoldArgs& args) const override {
    const auto axis = axis_in(args.outputs[0], axis_);
    if (!axis) return std::nullopt;
    auto moved = std::make_shared<Concat>(*this);
    moved->axis_ = static_cast<std::int64_t>(axis_with_channels_last(*axis, args.outputs[0].rank()));
    ChannelsLast form{std::move(moved)};
    for (std::size_t i = 0; i < args.inputs.size(); ++i) {
      if (args.constant(i) != nullptr)
        form.constants.emplace_back(i, with_channels_last(*args.constant(i), args.outputs[0].rank()));
    }
    return form;
  }

 private:
  static Dim plus(const Dim& a, const Dim& b) {
    if (a == Dim(0)) return b;
    if (b == Dim(0)) return a;
    return a.known() && b.known() ? Dim(sum_of_extents(a.extent(), b.extent())) : Dim();
  }

  std::int64_t axis_;
};

class Split final : public Op {
 public:
  explicit Split(AttributeReader& node)
      : axis_(node.get_int("axis", 0)), parts_(node.outputs()), uneven_(node.version() >= 18) {
    check_inputs(node, 1, node.version() == 1 || node.version() >= 13 ? 2 : 1);
    if (node.version() < 13) attribute_ = node.get_ints("split");
    if (node.version() >= 18 && node.has("num_outputs")) {
      const std::int64_t count = node.require_int("num_outputs");
      if (count != static_cast<std::int64_t>(parts_))
        fail(ErrorCode::invalid_model, "num_outputs is {}, the node has {}", count, parts_);
    }
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    std::vector<ValueType> outputs(args.outputs, {input.dtype, input.dims});
    if (!input.ranked()) return outputs;
    const std::size_t axis = normalize_axis(axis_, input.rank());
    const Dim& whole = (*input.dims)[axis];
    const bool given = attribute_ || args.present(1);
    const auto lengths = attribute_ ? attribute_ : known_ints(args, 1);
    if (lengths) {
      check_lengths(*lengths, whole);
      for (std::size_t i = 0; i < outputs.size(); ++i) (*outputs[i].dims)[axis] = Dim((*lengths)[i]);
    } else {
      for (std::size_t i = 0; i < outputs.size(); ++i)
        (*outputs[i].dims)[axis] = given ? Dim() : equal_part(whole, i);
    }
    move_content(*this, args, 1, outputs);
    return outputs;
  }

  void run(const RunArgs& args) const override {
    const TensorView& input = args.in(0);
    const std::size_t axis = normalize_axis(axis_, input.shape.rank());
    const ElementsOf<std::int64_t> lengths(args.in_or_undefined(1));
    const auto given = attribute_        ? span_of(attribute_)
                       : args.present(1) ? std::optional(IntSpan(lengths))
                                         : std::nullopt;
    Walk source = walk_of(input.shape);
    for (std::size_t i = 0; i < args.outputs.size(); ++i) {
      Shape part = input.shape;
      part[axis] = given ? (*given)[i] : equal_part(Dim(input.shape[axis]), i).extent();
      if (args.out(i).defined()) copy_strided(input, source, args.out(i), walk_of(part), part);
      source.start += part[axis] * source.strides[axis];
    }
  }

  bool keeps_rows(const FoldArgs& args) const override {
    const bool knows_lengths = !args.present(1) || args.constant(1) != nullptr;
    const auto axis = axis_in(args.inputs[0], axis_);
    return axis && *axis != 0 && knows_lengths && args.constant(0) == nullptr;
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs&) const override {
    if (parts_ == 1) return AffineForm{0, {}};
    return Declined{Decline::not_affine, {}};
  }

  AffineMaps pass_affines(Side from, std::span<const ChannelAffine> maps,
                          const FoldArgs& args) const override {
    const auto axis = axis_in(args.inputs[0], axis_);
    return from == Side::input ? map_of_each_part(maps[0], axis, args.outputs)
                               : map_of_whole(maps, axis, args.outputs);
  }

  std::optional<ChannelsLast> channels_last(const FoldArgs& args) const override {
    const auto axis = axis_in(args.inputs[0], axis_);
    if (!axis) return std::nullopt;
    auto moved = std::make_shared<Split>(*this);
    moved->axis_ = static_cast<std::int64_t>(axis_with_channels_last(*axis, args.inputs[0].rank()));
    ChannelsLast form{std::move(moved)};
    return form;
  }

 private:
  void check_lengths(const std::vector<std::int64_t>& lengths, const Dim& whole) const {
    if (lengths.size() != parts_)
      fail(ErrorCode::invalid_model, "{} lengths are given for {} outputs", lengths.size(), parts_);
    std::int64_t sum = 0;
    for (const std::int64_t length : lengths) {
      if (length < 0) fail(ErrorCode::invalid_model, "a part has the length {}", length);
      sum += length;
    }
    if (whole.known() && sum != whole.extent())
      fail(ErrorCode::invalid_model, "the parts have {} elements, the axis has {}", sum, whole.extent());
  }

  /// Equal parts; from opset 18 on the last one may be smaller.
  Dim equal_part(const Dim& whole, std::size_t i) const {
    const auto parts = static_cast<std::int64_t>(parts_);
    if (!whole.known()) {
      const Dim divided[] = {whole};
      const Dim divisor[] = {Dim(parts)};
      const auto quotient = DimProduct(divided).divided_by(DimProduct(divisor));
      return quotient ? quotient->as_dim() : Dim();
    }
    const std::int64_t extent = whole.extent();
    const std::int64_t length = ceil_div(extent, parts);
    const std::int64_t last = extent - length * (parts - 1);
    if (last < 0 || (last != length && !uneven_))
      fail(ErrorCode::invalid_model, "{} elements cannot be split into {} parts", extent, parts);
    return i + 1 == parts_ ? Dim(last) : Dim(length);
  }

  std::int64_t axis_;
  std::size_t parts_;
  bool uneven_;
  std::optional<std::vector<std::int64_t>> attribute_;
};

}  // namespace

std::unique_ptr<const Op> make_concat(AttributeReader& node) {
  return std::make_unique<Concat>(node);
}
std::unique_ptr<const Op> make_split(AttributeReader& node) {
  return std::make_unique<Split>(node);
}

}  // namespace bnrun
