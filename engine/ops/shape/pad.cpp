// Pad: elements added (or, for negative numbers, removed) in front of and behind each axis.
//   constant: a value; edge: the nearest element; reflect: mirrored at the edge element; wrap: starting over.
#include <algorithm>
#include <map>

#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/layout.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

enum class Mode { constant, edge, reflect, wrap };

struct Padding {
  std::int64_t before = 0;
  std::int64_t after = 0;

  bool changes() const { return before != 0 || after != 0; }
  /// The change of extent by what is removed, at most 0.
  std::int64_t removed() const {
    return std::min<std::int64_t>(before, 0) + std::min<std::int64_t>(after, 0);
  }
};

/// For each coordinate of the padded axis the one it is copied from, -1 where the constant stands. Elements
/// are removed first: what is mirrored or repeated is what remains.
TemporaryVector<std::int64_t> source_coordinates(Mode mode, const Padding& padding, std::int64_t extent) {
  const std::int64_t low = std::max<std::int64_t>(0, -padding.before);
  const std::int64_t left = extent - low - std::max<std::int64_t>(0, -padding.after);
  TemporaryVector<std::int64_t> sources;
  sources.reserve(
      static_cast<std::size_t>(std::max<std::int64_t>(0, extent + padding.before + padding.after)));
  for (std::int64_t i = 0; i < extent + padding.before + padding.after; ++i) {
    std::int64_t at = i - std::max<std::int64_t>(0, padding.before);
    if (mode != Mode::constant && left <= 0)
      fail(ErrorCode::invalid_input, "an axis without elements can only be padded by a constant");
    switch (mode) {
      case Mode::constant:
        break;
      case Mode::edge:
        at = std::clamp<std::int64_t>(at, 0, left - 1);
        break;
      case Mode::reflect: {
        const std::int64_t period = std::max<std::int64_t>(1, 2 * (left - 1));
        at = (at % period + period) % period;
        at = std::min(at, period - at);
        if (left == 1) at = 0;
        break;
      }
      case Mode::wrap:
        at = (at % left + left) % left;
        break;
    }
    sources.push_back(at >= 0 && at < left ? low + at : -1);
  }
  return sources;
}

/// out[i, j, ...] = data[sources[0][i], sources[1][j], ...]; coordinates of -1 are left alone.
template <class T>
void copy_from(const T* data, T* out, std::span<const TemporaryVector<std::int64_t>> sources,
               const Shape& data_strides, const Shape& out_strides, std::size_t axis) {
  if (sources.empty()) {
    *out = *data;
    return;
  }
  const IntSpan of_axis = sources[axis];
  const bool last = axis + 1 == sources.size();
  for (std::size_t i = 0; i < of_axis.size(); ++i) {
    const std::int64_t from = of_axis[i];
    if (from < 0) continue;
    if (last) {
      std::size_t next = i + 1;
      while (next < of_axis.size() && of_axis[next] == of_axis[next - 1] + 1) ++next;
      std::copy_n(data + from, next - i, out + i);
      i = next - 1;
      continue;
    }
    copy_from(data + from * data_strides[axis], out + static_cast<std::int64_t>(i) * out_strides[axis],
              sources, data_strides, out_strides, axis + 1);
  }
}

Mode read_mode(AttributeReader& node) {
  static const std::map<std::string, Mode> kNames = {
      {"constant", Mode::constant}, {"edge", Mode::edge}, {"reflect", Mode::reflect}, {"wrap", Mode::wrap}};
  const std::string name = node.get_string("mode", "constant");
  const auto found = kNames.find(name);
  if (found == kNames.end() || (found->second == Mode::wrap && node.version() < 19))
    fail(ErrorCode::unsupported, "mode '{}' is not known", name);
  return found->second;
}

class Pad final : public Op {
 public:
  explicit Pad(AttributeReader& node) : mode_(read_mode(node)), by_attributes_(node.version() < 11) {
    if (!by_attributes_) {
      check_inputs(node, 2, node.version() < 18 ? 3 : 4);
      return;
    }
    check_inputs(node, 1, 1);
    pads_ = node.get_ints(node.version() < 2 ? "paddings" : "pads");
    value_ = node.get_float("value", 0.0);
    if (!pads_) fail(ErrorCode::invalid_model, "the pads are missing");
  }

  bool copies() const override { return true; }

  std::optional<ChannelsLast> channels_last(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked() || args.inputs[0].rank() < 3 || moved_) return std::nullopt;
    for (std::size_t i = 1; i < args.inputs.size(); ++i) {
      if (args.present(i) && args.constant(i) == nullptr) return std::nullopt;
    }
    auto moved = std::make_shared<Pad>(*this);
    moved->moved_ = true;
    return ChannelsLast{std::move(moved)};
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& data = args.inputs[0];
    if (!data.ranked()) return {{data.dtype, std::nullopt}};
    const auto pads = by_attributes_ ? pads_ : known_ints(args, 1);
    const auto axes = known_ints(args, 3);
    if (!pads || (args.present(3) && !axes)) return {{data.dtype, Dims(data.rank())}};
    const auto paddings = paddings_of(*pads, span_of(axes), data.rank());
    Dims dims = *data.dims;
    for (std::size_t axis = 0; axis < dims.size(); ++axis) {
      const std::int64_t growth = sum_of_extents(paddings[axis].before, paddings[axis].after);
      if (growth == 0) continue;
      if (!dims[axis].known()) {
        dims[axis] = Dim();
        continue;
      }
      const std::int64_t extent = sum_of_extents(dims[axis].extent(), growth);
      if (extent < 0)
        fail(ErrorCode::invalid_model, "axis {} of {} cannot grow by {}", axis, to_string(data), growth);
      dims[axis] = Dim(extent);
    }
    return {{data.dtype, std::move(dims)}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& data = args.in(0);
    const MutableTensorView& out = args.out(0);
    const std::size_t rank = data.shape.rank();
    const ElementsOf<std::int64_t> pads(by_attributes_ ? TensorView{} : args.in(1));
    const ElementsOf<std::int64_t> axes(args.in_or_undefined(3));
    const auto paddings = paddings_of(by_attributes_ ? IntSpan(*pads_) : pads,
                                      args.present(3) ? std::optional(IntSpan(axes)) : std::nullopt, rank);
    if (mode_ == Mode::constant) fill_with_constant(args);
    TemporaryVector<TemporaryVector<std::int64_t>> sources;
    sources.reserve(rank);
    for (std::size_t axis = 0; axis < rank; ++axis)
      sources.push_back(source_coordinates(mode_, paddings[axis], data.shape[axis]));
    dispatch_moved(data.dtype, [&]<class T>() {
      copy_from(moved<T>(data), moved<T>(out), sources, strides_of(data.shape), strides_of(out.shape), 0);
    });
  }

  /// Nothing is added and nothing removed.
  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    const auto paddings = known_paddings(args);
    const auto changes = [](const Padding& each) { return each.changes(); };
    if (paddings && std::none_of(paddings->begin(), paddings->end(), changes)) return AffineForm{0, {}};
    return Declined{Decline::not_affine, {}};
  }

  /// What is added is a copy of an element, or a constant: that one must be the same after the map, or be an
  /// input that takes the map itself.
  OrDeclined<std::vector<ChannelAffine>> pass_affines(Side from, std::span<const ChannelAffine> maps,
                                                      const FoldArgs& args) const override {
    const ChannelAffine& map = maps[0];
    const auto paddings = known_paddings(args);
    if (!paddings) {
      if (mode_ == Mode::constant || !map.uniform())
        return Declined{Decline::axis_unproven, "what it adds is unknown"};
      return std::vector{map};
    }
    ChannelAffine passed = map;
    ChannelAffine at_border = map;  // what the constant is to pass
    const auto axis = static_cast<std::size_t>(std::max(map.axis, 0));
    if (!map.uniform() && (*paddings)[axis].changes()) {
      const Dim& dim = (*args.inputs[0].dims)[axis];
      const Padding& padding = (*paddings)[axis];
      const bool few = dim.known() && dim.extent() < kMostCopies && padding.before < kMostCopies &&
                       padding.after < kMostCopies;
      if (!few || dim.extent() + padding.removed() <= 0)
        return Declined{Decline::axis_unproven, "how many channels it pads is unknown"};
      const auto sources = source_coordinates(mode_, (*paddings)[axis], dim.extent());
      const AxisCopies copies{
          axis, axis, static_cast<std::size_t>(dim.extent()), {sources.begin(), sources.end()}};
      auto moved = carried(map, from, copies);
      if (auto* declined = std::get_if<Declined>(&moved)) return std::move(*declined);
      passed = std::get<ChannelAffine>(std::move(moved));
      // Channels that are added hold the constant alone, and no other channel does.
      if (!adds(*paddings, axis)) at_border = from == Side::input ? ChannelAffine{} : added(map, copies);
    }
    if (mode_ != Mode::constant || !adds(*paddings) || leaves_constant(at_border, args))
      return std::vector{std::move(passed)};
    if (from == Side::output && map.uniform() && args.constant(2) != nullptr)
      return std::vector{map, ChannelAffine{}, map};
    return Declined{Decline::padding, "the elements that it adds would change"};
  }

 private:
  /// Some axis but `except` grows.
  static bool adds(std::span<const Padding> paddings, std::size_t except = static_cast<std::size_t>(-1)) {
    for (std::size_t axis = 0; axis < paddings.size(); ++axis) {
      if (axis != except && (paddings[axis].before > 0 || paddings[axis].after > 0)) return true;
    }
    return false;
  }

  /// The part of a map of the output that channels have which are no copies.
  static ChannelAffine added(const ChannelAffine& map, const AxisCopies& copies) {
    ChannelAffine part{map.axis, {}, {}};
    for (std::size_t j = 0; j < copies.sources.size(); ++j) {
      if (copies.sources[j] >= 0) continue;
      part.scale.push_back(map.scale[j]);
      part.shift.push_back(map.shift[j]);
    }
    return part;
  }

  bool leaves_constant(const ChannelAffine& map, const FoldArgs& args) const {
    return args.present(2) ? leaves_alone(map, args.constant(2)) : leaves_alone(map, value_);
  }

  std::optional<TemporaryVector<Padding>> known_paddings(const FoldArgs& args) const {
    const auto pads = by_attributes_ ? pads_ : known_ints(args, 1);
    const auto axes = known_ints(args, 3);
    if (!pads || (args.present(3) && !axes) || !args.inputs[0].ranked()) return std::nullopt;
    return paddings_of(*pads, span_of(axes), args.inputs[0].rank());
  }

  void fill_with_constant(const RunArgs& args) const {
    if (args.present(2)) {
      if (args.in(2).dtype != args.in(0).dtype || args.in(2).elements() != 1)
        fail(ErrorCode::invalid_model, "the constant is {}{}, the data is {}", name_of(args.in(2).dtype),
             to_string(args.in(2).shape), name_of(args.in(0).dtype));
      fill(args.out(0), args.in(2));
    } else {
      fill(args.out(0), Scalar(value_, args.out(0).dtype).view());
    }
  }

  /// One for each axis of the data as it lies; pads and axes count them as the model does.
  TemporaryVector<Padding> paddings_of(IntSpan pads, std::optional<IntSpan> axes, std::size_t rank) const {
    const std::size_t count = axes ? axes->size() : rank;
    if (pads.size() != 2 * count)
      fail(ErrorCode::invalid_model, "{} pads are given for {} axes", pads.size(), count);
    TemporaryVector<Padding> paddings(rank);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t axis = axes ? normalize_axis((*axes)[i], rank) : i;
      paddings[moved_ ? axis_with_channels_last(axis, rank) : axis] = {pads[i], pads[count + i]};
    }
    return paddings;
  }

  Mode mode_;
  bool by_attributes_;
  std::optional<std::vector<std::int64_t>> pads_;
  double value_ = 0.0;
  bool moved_ = false;  ///< the data has its channels last
};

}  // namespace

std::unique_ptr<const Op> make_pad(AttributeReader& node) {
  return std::make_unique<Pad>(node);
}

}  // namespace bnrun
