// Resize and Upsample: Y[o] = sum over taps of weight * X[tap], axis by axis, around the position of X that
// coordinate_transformation_mode gives output o.
//   nearest: one tap; linear: a triangle; cubic: Keys' kernel (IEEE Trans. ASSP 29(6), 1981, equation 4);
//   antialias widens the kernel by 1/scale where the tensor shrinks.
// Linear and cubic compute in double.
#include <algorithm>
#include <cmath>
#include <map>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/layout.h"
#include "op/passing.h"
#include "op/shape_rules.h"
#include "ops/image/axis_taps.h"
#include "ops/image/kinds.h"

namespace bnrun {
namespace {

enum class Mode { nearest, linear, cubic };
enum class Transformation {
  half_pixel,
  half_pixel_symmetric,
  pytorch_half_pixel,
  align_corners,
  asymmetric,
  tf_half_pixel_for_nn,
  tf_crop_and_resize,
};
/// `shrink_ceil` is what opset 10 meant: floor, but ceil where an axis shrinks.
enum class Nearest { round_prefer_floor, round_prefer_ceil, floor, ceil, shrink_ceil };
enum class AspectRatio { stretch, not_larger, not_smaller };

template <class E>
E read_choice(AttributeReader& node, std::string_view name, std::string_view otherwise,
              const std::map<std::string_view, E>& choices) {
  const std::string text = node.get_string(name, otherwise);
  const auto found = choices.find(text);
  if (found == choices.end()) fail(ErrorCode::unsupported, "{} '{}' is not supported", name, text);
  return found->second;
}

const std::map<std::string_view, Mode> kModes = {
    {"nearest", Mode::nearest}, {"linear", Mode::linear}, {"bilinear", Mode::linear}, {"cubic", Mode::cubic}};

/// One resized axis.
struct ResizedAxis {
  std::int64_t in = 0;
  std::int64_t out = 0;
  double scale = 1.0;
  double roi_start = 0.0;
  double roi_end = 1.0;
};

class Resize final : public Op {
 public:
  Resize(ResizeKind kind, AttributeReader& node) {
    const bool upsample = kind == ResizeKind::upsample;
    mode_ = read_choice(node, "mode", "nearest", kModes);
    if (upsample || node.version() < 11) {
      transformation_ = Transformation::asymmetric;
      nearest_ = Nearest::shrink_ceil;
      read_early_scales(node, upsample);
      return;
    }
    check_inputs(node, 1, 4);
    roi_input_ = 1;
    scales_input_ = 2;
    sizes_input_ = 3;
    transformation_ =
        read_choice<Transformation>(node, "coordinate_transformation_mode", "half_pixel",
                                    {{"half_pixel", Transformation::half_pixel},
                                     {"half_pixel_symmetric", Transformation::half_pixel_symmetric},
                                     {"pytorch_half_pixel", Transformation::pytorch_half_pixel},
                                     {"align_corners", Transformation::align_corners},
                                     {"asymmetric", Transformation::asymmetric},
                                     {"tf_half_pixel_for_nn", Transformation::tf_half_pixel_for_nn},
                                     {"tf_crop_and_resize", Transformation::tf_crop_and_resize}});
    nearest_ = read_choice<Nearest>(node, "nearest_mode", "round_prefer_floor",
                                    {{"round_prefer_floor", Nearest::round_prefer_floor},
                                     {"round_prefer_ceil", Nearest::round_prefer_ceil},
                                     {"floor", Nearest::floor},
                                     {"ceil", Nearest::ceil}});
    cubic_coeff_a_ = node.get_float("cubic_coeff_a", -0.75);
    exclude_outside_ = node.get_bool("exclude_outside", false);
    extrapolation_value_ = node.get_float("extrapolation_value", 0.0);
    if (node.version() < 18) return;
    antialias_ = node.get_bool("antialias", false);
    if (antialias_ && crops())
      fail(ErrorCode::unsupported, "antialias is not supported with tf_crop_and_resize");
    axes_ = node.get_ints("axes");
    aspect_ratio_ = read_choice<AspectRatio>(node, "keep_aspect_ratio_policy", "stretch",
                                             {{"stretch", AspectRatio::stretch},
                                              {"not_larger", AspectRatio::not_larger},
                                              {"not_smaller", AspectRatio::not_smaller}});
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    ValueType Y{X.dtype, std::nullopt};
    if (!X.ranked()) return {Y};
    const auto axes = axes_of(X.rank());
    Y.dims = X.dims;
    for (const std::size_t axis : axes) (*Y.dims)[axis] = Dim();
    if (const auto sizes = sizes_of(args)) {
      check_count("sizes", sizes->size(), axes.size());
      for (const Content& size : *sizes) {
        if (size.number && *size.number < 0) fail(ErrorCode::invalid_model, "a size is {}", *size.number);
      }
      if (aspect_ratio_ == AspectRatio::stretch) {
        for (std::size_t i = 0; i < axes.size(); ++i) (*Y.dims)[axes[i]] = (*sizes)[i].as_dim();
      } else if (const auto scale = common_scale(*sizes, *X.dims, axes)) {
        for (const std::size_t axis : axes)
          (*Y.dims)[axis] = Dim(rounded_extent((*X.dims)[axis].extent(), *scale));
      }
      return {Y};
    }
    const auto scales = scales_of(args);
    const auto roi = doubles_of(args, roi_input_);
    if (!scales || scales->empty()) return {Y};
    check_count("scales", scales->size(), axes.size());
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const Dim& in = (*X.dims)[axes[i]];
      const double scale = (*scales)[i];
      if (!(scale > 0.0)) fail(ErrorCode::invalid_model, "a scale is {}", scale);
      if (crops()) {
        if (roi && in.known()) {
          check_count("roi", roi->size(), 2 * axes.size());
          const double part = (*roi)[axes.size() + i] - (*roi)[i];
          (*Y.dims)[axes[i]] = Dim(scaled_extent(in.extent(), part * scale));
        }
      } else if (scale == 1.0) {
        (*Y.dims)[axes[i]] = in;
      } else if (in.known()) {
        (*Y.dims)[axes[i]] = Dim(scaled_extent(in.extent(), scale));
      }
    }
    return {Y};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const MutableTensorView& Y = args.out(0);
    if (Y.elements() == 0) return;
    if (X.elements() == 0)
      fail(ErrorCode::invalid_input, "{} has no element to make {} of", to_string(X.shape),
           to_string(Y.shape));
    TemporaryVector<AxisTaps> taps(X.shape.rank());
    const auto resized = resized_axes(args);
    for (std::size_t axis = 0; axis < taps.size(); ++axis) {
      if (resized[axis])
        taps[axis] = taps_of(*resized[axis]);
      else
        taps[axis] = AxisTaps::identity(X.shape[axis]);
    }
    if (mode_ == Mode::nearest)
      pick(args, taps);
    else
      interpolate(X, taps, Y, args.workspace);
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    const ValueType& X = args.inputs[0];
    for (std::size_t axis = 0; X.ranked() && keeps_axis(args, axis); ++axis) {
      if (axis + 1 == X.rank()) return AffineForm{0, {}};
    }
    return Declined{Decline::not_affine, {}};
  }

  /// A sum of elements whose weights sum to 1: sum w*(s*x + t) = s*(sum w*x) + t. Those of nearest, linear and
  /// Keys' kernel do, also where taps beyond the edge fall on the edge, and antialias divides by their sum.
  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (!affine.uniform() && !keeps_axis(args, static_cast<std::size_t>(affine.axis)))
      return Declined{Decline::axis_unproven, "the channels are resized"};
    if (crops() && !leaves_alone(affine, extrapolation_value_))
      return Declined{Decline::padding, "the extrapolated elements would change"};
    // Near the edge a kernel with negative lobes is cut and blown up again: runtimes do not agree on how.
    if (affine.has_shift() && mode_ == Mode::cubic && exclude_outside_)
      return Declined{Decline::padding, "taps outside are left out"};
    return affine;
  }

  /// The leading axes that are not resized.
  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    const std::size_t rank = args.inputs[0].rank();
    std::size_t kept = 0;
    while (kept < rank && keeps_axis(args, kept)) ++kept;
    return AxisMap::leading(kept, rank);
  }

  std::optional<ChannelsLast> channels_last(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    for (std::size_t i = 1; i < args.inputs.size(); ++i) {
      if (args.present(i) && args.constant(i) == nullptr) return std::nullopt;
    }
    const std::size_t rank = args.inputs[0].rank();
    auto moved = std::make_shared<Resize>(*this);
    moved->axes_.emplace();
    for (const std::size_t axis : axes_of(rank))
      moved->axes_->push_back(static_cast<std::int64_t>(axis_with_channels_last(axis, rank)));
    return ChannelsLast{std::move(moved)};
  }

 private:
  /// Whether elements are proven to stay where they are along this axis.
  bool keeps_axis(const FoldArgs& args, std::size_t axis) const {
    const ValueType& X = args.inputs[0];
    if (!X.ranked() || axis >= X.rank()) return false;
    const auto axes = axes_of(X.rank());
    const auto found = std::find(axes.begin(), axes.end(), axis);
    if (found == axes.end()) return true;
    if (crops() || transformation_ == Transformation::tf_half_pixel_for_nn) return false;
    const auto at = static_cast<std::size_t>(found - axes.begin());
    auto scales = scales_;
    if (const Tensor* given = scales_ || scales_input_ == kNone ? nullptr : args.constant(scales_input_))
      scales = read_doubles(given->view());
    if (scales && !scales->empty()) return at < scales->size() && (*scales)[at] == 1.0;
    const bool has_sizes = sizes_input_ != kNone && args.present(sizes_input_);
    return has_sizes && aspect_ratio_ == AspectRatio::stretch && args.outputs[0].ranked() &&
           (*X.dims)[axis] == (*args.outputs[0].dims)[axis];
  }

  void read_early_scales(AttributeReader& node, bool upsample) {
    if (mode_ == Mode::cubic) fail(ErrorCode::unsupported, "mode 'cubic' is not supported before opset 11");
    if (!upsample || node.version() >= 9) {
      check_inputs(node, 2, 2);
      scales_input_ = 1;
      return;
    }
    check_inputs(node, 1, 1);
    if (node.version() >= 7) {
      const auto scales = node.get_floats("scales");
      if (!scales) fail(ErrorCode::invalid_model, "attribute 'scales' is missing");
      scales_.emplace(scales->begin(), scales->end());
    } else {
      if (!node.has("height_scale") || !node.has("width_scale"))
        fail(ErrorCode::invalid_model, "attributes 'height_scale' and 'width_scale' are needed");
      scales_ = {1.0, 1.0, node.get_float("height_scale", 1.0), node.get_float("width_scale", 1.0)};
    }
  }

  bool crops() const { return transformation_ == Transformation::tf_crop_and_resize; }

  static void check_count(const char* name, std::size_t count, std::size_t wanted) {
    if (count != wanted)
      fail(ErrorCode::invalid_model, "{} has {} numbers, expected {}", name, count, wanted);
  }

  /// The axes that scales, sizes and roi speak of, in their order.
  TemporaryVector<std::size_t> axes_of(std::size_t rank) const {
    TemporaryVector<std::size_t> axes;
    axes.reserve(rank);
    if (!axes_) {
      for (std::size_t axis = 0; axis < rank; ++axis) axes.push_back(axis);
    } else {
      for (const std::int64_t axis : *axes_) axes.push_back(normalize_axis(axis, rank));
    }
    return axes;
  }

  // Opsets 11 and 12 write an empty tensor for an absent roi, scales or sizes.

  static std::optional<std::vector<double>> doubles_of(const InferArgs& args, std::size_t input) {
    const TensorView* value = input == kNone ? nullptr : args.value(input);
    return value != nullptr ? std::optional(read_doubles(*value)) : std::nullopt;
  }

  std::optional<std::vector<double>> scales_of(const InferArgs& args) const {
    return scales_ ? scales_ : doubles_of(args, scales_input_);
  }

  std::optional<std::vector<Content>> sizes_of(const InferArgs& args) const {
    if (sizes_input_ == kNone || !args.present(sizes_input_)) return std::nullopt;
    auto sizes = content_of(args, sizes_input_);
    return sizes && sizes->empty() ? std::nullopt : sizes;
  }

  /// floor(extent * scale) in float: 10 * 0.7F is 7, which exact arithmetic on the rounded 0.7 would miss.
  static std::int64_t scaled_extent(std::int64_t extent, double scale) {
    const auto product = std::floor(static_cast<float>(extent) * static_cast<float>(scale));
    return checked_product(static_cast<double>(product), extent, scale);
  }

  static std::int64_t rounded_extent(std::int64_t extent, double scale) {
    return checked_product(std::floor(static_cast<double>(extent) * scale + 0.5), extent, scale);
  }

  static std::int64_t checked_product(double product, std::int64_t extent, double scale) {
    if (!(product >= 0.0))
      fail(ErrorCode::invalid_model, "{} elements cannot be scaled by {}", extent, scale);
    if (product >= 9e18)
      fail(ErrorCode::resource_limit, "{} elements scaled by {} are too many", extent, scale);
    return static_cast<std::int64_t>(product);
  }

  /// keep_aspect_ratio_policy: the largest common scale with which no axis exceeds its size (not_larger), or
  /// the smallest with which none falls below it (not_smaller). nullopt while an extent is unknown.
  std::optional<double> common_scale(const std::vector<Content>& sizes, const Dims& X,
                                     std::span<const std::size_t> axes) const {
    return common_scale(axes.size(), [&](std::size_t i) {
      const Dim& in = X[axes[i]];
      const bool known = sizes[i].number && in.known() && in.extent() != 0;
      return known ? std::optional(std::pair(*sizes[i].number, in.extent())) : std::nullopt;
    });
  }
  /// `size_and_extent(i)`: of axis i of so many; nullopt: unknown.
  template <class F>
  std::optional<double> common_scale(std::size_t axes, const F& size_and_extent) const {
    std::optional<double> common;
    for (std::size_t i = 0; i < axes; ++i) {
      const auto known = size_and_extent(i);
      if (!known) return std::nullopt;
      const double scale = static_cast<double>(known->first) / static_cast<double>(known->second);
      const bool better =
          !common || (aspect_ratio_ == AspectRatio::not_larger ? scale < *common : scale > *common);
      if (better) common = scale;
    }
    return common;
  }

  /// By axis; nullopt: stays as it is.
  TemporaryVector<std::optional<ResizedAxis>> resized_axes(const RunArgs& args) const {
    const Shape& X = args.in(0).shape;
    const auto axes = axes_of(X.rank());
    const auto given = [&](std::size_t input) {
      return input != kNone && args.present(input) && args.in(input).elements() != 0;
    };
    const bool has_sizes = given(sizes_input_);
    if (has_sizes == (scales_ || given(scales_input_)))
      fail(ErrorCode::invalid_model, "needs either scales or sizes");
    const ElementsOf<double> given_scales(!has_sizes && !scales_ ? args.in(scales_input_) : TensorView{});
    const auto scales = scales_ ? std::span<const double>(*scales_) : given_scales;
    if (crops() && !given(roi_input_)) fail(ErrorCode::invalid_model, "tf_crop_and_resize needs roi");
    const ElementsOf<double> roi(crops() ? args.in(roi_input_) : TensorView{});
    if (crops()) check_count("roi", roi.size(), 2 * axes.size());
    std::optional<double> common;
    if (has_sizes && aspect_ratio_ != AspectRatio::stretch) {
      const ElementsOf<std::int64_t> sizes(args.in(sizes_input_));
      common = common_scale(axes.size(), [&](std::size_t i) {
        const std::int64_t extent = X[axes[i]];
        return extent != 0 ? std::optional(std::pair(sizes[i], extent)) : std::nullopt;
      });
    }
    TemporaryVector<std::optional<ResizedAxis>> resized(X.rank());
    for (std::size_t i = 0; i < axes.size(); ++i) {
      ResizedAxis axis{X[axes[i]], args.out(0).shape[axes[i]]};
      if (crops()) {
        axis.roi_start = roi[i];
        axis.roi_end = roi[axes.size() + i];
      }
      axis.scale = !scales.empty() ? scales[i]
                   : common        ? *common
                                   : static_cast<double>(axis.out) / static_cast<double>(axis.in);
      resized[axes[i]] = axis;
    }
    return resized;
  }

  /// The position in X of output o.
  double position_of(const ResizedAxis& axis, std::int64_t output) const {
    const auto o = static_cast<double>(output);
    const auto in = static_cast<double>(axis.in);
    const auto out = static_cast<double>(axis.out);
    const auto half_pixel = [&] { return (o + 0.5) / axis.scale - 0.5; };
    switch (transformation_) {
      case Transformation::half_pixel:
        return half_pixel();
      case Transformation::half_pixel_symmetric:
        // The part of an element that is lost by rounding the extent down is split between both ends.
        return in / 2 * (1.0 - out / (axis.scale * in)) + half_pixel();
      case Transformation::pytorch_half_pixel:
        return axis.out > 1 ? half_pixel() : 0.0;
      case Transformation::align_corners:
        // As in ONNX's reference, the length is in * scale before rounding.
        return axis.out > 1 ? o * (in - 1.0) / (in * axis.scale - 1.0) : 0.0;
      case Transformation::asymmetric:
        return o / axis.scale;
      case Transformation::tf_half_pixel_for_nn:
        return (o + 0.5) / axis.scale;
      case Transformation::tf_crop_and_resize:
        break;
    }
    if (axis.out == 1) return 0.5 * (axis.roi_start + axis.roi_end) * (in - 1.0);
    return axis.roi_start * (in - 1.0) + o * (axis.roi_end - axis.roi_start) * (in - 1.0) / (out - 1.0);
  }

  std::int64_t nearest_to(double position, double scale) const {
    switch (nearest_) {
      case Nearest::round_prefer_floor:
        return static_cast<std::int64_t>(std::ceil(position - 0.5));
      case Nearest::round_prefer_ceil:
        return static_cast<std::int64_t>(std::floor(position + 0.5));
      case Nearest::floor:
        return static_cast<std::int64_t>(std::floor(position));
      case Nearest::ceil:
        return static_cast<std::int64_t>(std::ceil(position));
      case Nearest::shrink_ceil:
        break;
    }
    return static_cast<std::int64_t>(scale < 1.0 ? std::ceil(position) : std::floor(position));
  }

  double kernel(double distance) const {
    const double t = std::abs(distance);
    if (mode_ == Mode::linear) return std::max(0.0, 1.0 - t);
    const double a = cubic_coeff_a_;
    if (t <= 1.0) return ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
    return t < 2.0 ? a * (((t - 5.0) * t + 8.0) * t - 4.0) : 0.0;
  }

  AxisTaps taps_of(const ResizedAxis& axis) const {
    const auto clamped = [&](std::int64_t index) { return std::clamp<std::int64_t>(index, 0, axis.in - 1); };
    const double shrink = antialias_ ? std::min(1.0, axis.scale) : 1.0;
    const double reach = (mode_ == Mode::linear ? 1.0 : 2.0) / shrink;
    AxisTaps taps;
    taps.reserve(axis.out);
    for (std::int64_t o = 0; o < axis.out; ++o, taps.end_output()) {
      const double position = position_of(axis, o);
      // Rounding decisions use the position in float, the type of
      // `scales`: there 1 / 0.33333334F is exactly 3.
      const double rounded = static_cast<double>(static_cast<float>(position));
      if (crops() && !(rounded >= 0.0 && rounded <= static_cast<double>(axis.in - 1))) continue;
      if (mode_ == Mode::nearest) {
        taps.add({clamped(nearest_to(rounded, axis.scale)), 1.0});
        continue;
      }
      double sum = 0.0;
      for (auto i = static_cast<std::int64_t>(std::ceil(position - reach));
           static_cast<double>(i) <= position + reach; ++i) {
        const double weight = kernel((static_cast<double>(i) - position) * shrink);
        if (weight == 0.0 || (exclude_outside_ && clamped(i) != i)) continue;
        taps.add({clamped(i), weight});
        sum += weight;
      }
      if (taps.of_next().empty()) {
        taps.add({clamped(static_cast<std::int64_t>(position)), 1.0});
      } else if (exclude_outside_ || shrink != 1.0) {
        for (Tap& tap : taps.of_next()) tap.weight /= sum;
      }
    }
    return taps;
  }

  /// Line by line along the last axis that is resized; what lies behind it moves as it is.
  void pick(const RunArgs& args, std::span<const AxisTaps> taps) const {
    const TensorView& X = args.in(0);
    const Scalar outside(crops() ? extrapolation_value_ : 0.0, X.dtype);
    const std::size_t rank = taps.size();
    if (rank == 0) return copy_elements(X, args.out(0));
    std::size_t last = rank - 1;
    while (last > 0 && taps[last].is_identity(X.shape[last])) --last;
    const std::int64_t inner = X.shape.elements(last + 1, rank);
    const auto lines = sources_of(X.shape, taps, last);
    const auto width = static_cast<std::int64_t>(taps[last].size()) * inner;
    const std::int64_t parts =
        std::min<std::int64_t>(static_cast<std::int64_t>(lines.size()), 4 * args.workspace.threads());
    dispatch_moved(X.dtype, [&]<class T>() {
      const T* from = moved<T>(X);
      const T fill = *moved<T>(outside.view());
      const auto pick_line = [&](std::int64_t source, T* to) {
        for (std::size_t o = 0; o < taps[last].size(); ++o) {
          const auto of_output = taps[last][o];
          if (source < 0 || of_output.empty())
            std::fill_n(to, inner, fill);
          else
            std::copy_n(from + (source * X.shape[last] + of_output[0].index) * inner, inner, to);
          to += inner;
        }
      };
      args.workspace.parallel_for(parts, [&](std::int64_t part, std::byte*) {
        const auto count = static_cast<std::int64_t>(lines.size());
        const std::int64_t first = count * part / parts;
        for (std::int64_t i = first; i < count * (part + 1) / parts; ++i) {
          T* to = moved<T>(args.out(0)) + i * width;
          const std::int64_t source = lines[static_cast<std::size_t>(i)];
          if (i > first && source == lines[static_cast<std::size_t>(i - 1)])
            std::copy_n(to - width, width, to);
          else
            pick_line(source, to);
        }
      });
    });
  }

  void interpolate(const TensorView& X, std::span<const AxisTaps> taps, const MutableTensorView& Y,
                   const Workspace& workspace) const {
    Shape shape = X.shape;
    TemporaryVector<double> current(static_cast<std::size_t>(shape.elements()));
    convert(X, {DType::float64, shape, current.data()});
    for (std::size_t axis = 0; axis < X.shape.rank(); ++axis) {
      if (taps[axis].is_identity(X.shape[axis])) continue;
      const std::int64_t outer = shape.elements(0, axis);
      const std::int64_t inner = shape.elements(axis + 1, shape.rank());
      const std::int64_t in = shape[axis];
      shape[axis] = static_cast<std::int64_t>(taps[axis].size());
      TemporaryVector<double> next(static_cast<std::size_t>(shape.elements()), 0.0);
      const double* from = current.data();
      double* to = next.data();
      const std::int64_t parts = std::min<std::int64_t>(outer, workspace.threads());
      workspace.parallel_for(parts, [&](std::int64_t part, std::byte*) {
        for (std::int64_t i = outer * part / parts; i < outer * (part + 1) / parts; ++i)
          interpolate_lines(from + i * in * inner, inner, taps[axis], to + i * shape[axis] * inner);
      });
      current = std::move(next);
    }
    if (crops()) {
      double* y = current.data();
      for (const std::int64_t source : sources_of(X.shape, taps, X.shape.rank())) {
        if (source < 0) *y = extrapolation_value_;
        ++y;
      }
    }
    convert({DType::float64, shape, current.data()}, Y);
  }

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  Mode mode_ = Mode::nearest;
  Transformation transformation_ = Transformation::half_pixel;
  Nearest nearest_ = Nearest::round_prefer_floor;
  double cubic_coeff_a_ = -0.75;
  bool exclude_outside_ = false;
  double extrapolation_value_ = 0.0;
  bool antialias_ = false;
  std::optional<std::vector<std::int64_t>> axes_;
  AspectRatio aspect_ratio_ = AspectRatio::stretch;
  std::optional<std::vector<double>> scales_;  ///< of an Upsample that has them as attributes
  std::size_t roi_input_ = kNone;
  std::size_t scales_input_ = kNone;
  std::size_t sizes_input_ = kNone;
};

}  // namespace

std::unique_ptr<const Op> make_resize(AttributeReader& node, ResizeKind kind) {
  return std::make_unique<Resize>(kind, node);
}

}  // namespace bnrun
