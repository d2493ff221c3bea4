// QuantizeLinear:   y = saturate(round(x / y_scale) + y_zero_point), half to even
// DequantizeLinear: y = (x - x_zero_point) * x_scale
//   with one scale and zero point, one per index of an axis, or one per block along an axis
// DynamicQuantizeLinear: QuantizeLinear to uint8 over the range of x and 0.
#include "ops/quantised/quantize.h"

#include <array>
#include <cmath>
#include <tuple>
#include <type_traits>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/numbers.h"
#include "base/precision.h"
#include "kernels/math/quantise.h"
#include "op/integers.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

using SmallIntegers = TypeList<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t>;
using DequantizedTypes = TypeList<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::int32_t>;
using QuantizedTypes = TypeList<float, double, Half, BFloat16, std::int32_t>;

/// Which scale belongs to an element.
class Granularity {
 public:
  explicit Granularity(AttributeReader& node)
      : axis_given_(node.version() >= 13),
        axis_(axis_given_ ? node.get_int("axis", 1) : 1),
        block_(node.version() >= 21 ? node.get_int("block_size", 0) : 0) {
    if (block_ < 0) fail(ErrorCode::invalid_model, "block_size is {}", block_);
  }

  /// Throws invalid_model when the scale of an X of that type cannot be of type `scale`.
  void check(const ValueType& X, const ValueType& scale) const {
    if (!X.ranked() || !scale.ranked() || is_single(*scale.dims)) return;
    const std::size_t axis = normalize_axis(axis_, X.rank());
    const auto agree = [&](const Dim& a, const Dim& b) { return !a.known() || !b.known() || a == b; };
    bool fits = block_ == 0 ? scale.rank() == 1 : scale.rank() == X.rank();
    if (fits && block_ == 0) fits = agree((*scale.dims)[0], (*X.dims)[axis]);
    for (std::size_t i = 0; fits && block_ != 0 && i < X.rank(); ++i) {
      const Dim& extent = (*X.dims)[i];
      fits = agree((*scale.dims)[i],
                   i == axis && extent.known() ? Dim(ceil_div(extent.extent(), block_)) : extent);
    }
    if (!fits)
      fail(ErrorCode::invalid_model, "X is {} and its scale {} (axis {}, block_size {})", to_string(X),
           to_string(scale), axis_, block_);
  }

  /// Throws invalid_model unless there is a zero point for each scale.
  static void check_zero_points(const ValueType& scale, const ValueType& zero_point) {
    const auto scales = DimProduct::of(scale).number();
    const auto zeros = DimProduct::of(zero_point).number();
    if (scales && zeros && *scales != *zeros)
      fail(ErrorCode::invalid_model, "its scale is {} and its zero point {}", to_string(scale),
           to_string(zero_point));
  }

  /// Scales and zero points, where they are constant and not for blocks.
  std::optional<IntegerScale> known_scale(const FoldArgs& args) const {
    const Tensor* scale = args.constant(1);
    const Tensor* zero_point = args.constant(2);
    if (scale == nullptr || (args.present(2) && zero_point == nullptr)) return std::nullopt;
    IntegerScale known{read_doubles(*scale), {}, 0};
    if (!known.uniform()) {
      const auto along = args.inputs[0].ranked() ? axis(args.inputs[0].rank()) : std::nullopt;
      if (!along || scale->shape().rank() != 1) return std::nullopt;
      known.axis = *along;
    }
    if (zero_point == nullptr) {
      known.zeros.assign(known.scales.size(), 0);
      return known;
    }
    constexpr std::array kTypes = {DType::uint8, DType::int8, DType::uint16, DType::int16, DType::int32};
    if (zero_point->elements() != scale->elements() ||
        std::ranges::find(kTypes, zero_point->dtype()) == kTypes.end())
      return std::nullopt;
    for (const double zero : read_doubles(*zero_point))
      known.zeros.push_back(static_cast<std::int32_t>(zero));
    return known;
  }

  /// The axis along which there may be several scales; nullopt where there is one for all, or one for each block.
  std::optional<std::size_t> axis(std::size_t rank) const {
    return block_ == 0 && axis_given_ ? std::optional(normalize_axis(axis_, rank)) : std::nullopt;
  }

  /// Elements stay where they are, and treat all of an axis alike but that of their scales.
  std::optional<AxisMap> axes(const FoldArgs& args) const {
    auto map = elementwise_axes(args);
    if (!map || (args.inputs[1].ranked() && is_single(*args.inputs[1].dims))) return map;
    const auto scaled = axis(map->from.size());
    if (!scaled || !args.inputs[1].ranked()) return std::nullopt;
    return std::move(*map).without(*scaled);
  }

  /// Calls visit(element, scale's element) for every element of X.
  template <class F>
  void each(const Shape& X, const Shape& scale, F visit) const {
    const std::int64_t total = X.elements();
    if (scale.elements() == 1) {
      for (std::int64_t i = 0; i < total; ++i) visit(i, 0);
      return;
    }
    const std::size_t axis = normalize_axis(axis_, X.rank());
    const std::int64_t inner = X.elements(axis + 1, X.rank());
    for (std::int64_t i = 0; i < total; ++i) {
      const std::int64_t at = i / inner % X[axis];
      visit(i, block_ == 0 ? at : (i / inner / X[axis] * scale[axis] + at / block_) * inner + i % inner);
    }
  }

 private:
  static bool is_single(const Dims& dims) { return dims.empty() || (dims.size() == 1 && dims[0] == Dim(1)); }

  bool axis_given_;
  std::int64_t axis_;
  std::int64_t block_;  ///< 0: not blocked
};

/// Zero points as Q, zeros when absent. Throws invalid_model unless they count as the scales do.
template <class Q>
TemporaryVector<Q> zero_points(const RunArgs& args) {
  const auto count = static_cast<std::size_t>(args.in(1).elements());
  if (!args.present(2)) return TemporaryVector<Q>(count, Q(0));
  const auto span = args.in(2).span<Q>();
  if (span.size() != count)
    fail(ErrorCode::invalid_model, "{} scales and {} zero points", count, span.size());
  return {span.begin(), span.end()};
}

/// The one scale of floats that are bytes on the other side, which have a kernel; nullopt for other types and more
/// scales.
std::optional<ByteScale> scale_of_bytes(const RunArgs& args, DType floats, DType integers) {
  if (floats != DType::float32 || args.in(1).elements() != 1) return std::nullopt;
  ByteScale by{.scale = static_cast<float>(first_element<double>(args.in(1)))};
  if (integers == DType::uint8) {
    by.zero = zero_points<std::uint8_t>(args)[0];
  } else if (integers == DType::int8) {
    by.zero = zero_points<std::int8_t>(args)[0];
    by.is_signed = true;
  } else {
    return std::nullopt;
  }
  return by;
}

/// The scales times those of `map`. One scale becomes one for each channel, and with it the zero point.
OrDeclined<Absorbed> rescaled(const Granularity& granularity, const ChannelAffine& map,
                              const FoldArgs& args) {
  const Tensor* scale = args.constant(1);
  const Tensor* zero_point = args.constant(2);
  if (scale == nullptr || (args.present(2) && zero_point == nullptr))
    return Declined{Decline::not_constant, "its scale or zero point is not constant"};
  const bool many = scale->elements() != 1;
  const auto axis = args.inputs[0].ranked() ? granularity.axis(args.inputs[0].rank()) : std::nullopt;
  if (!map.uniform() && !axis)
    return Declined{Decline::axis_unproven, "it has one scale for all or for blocks"};
  if (many && (!axis || (!map.uniform() && map.axis != static_cast<int>(*axis))))
    return Declined{Decline::axis_unproven, "not on the axis of its scales"};
  const std::size_t channels = map.uniform() ? static_cast<std::size_t>(scale->elements()) : map.channels();
  const auto stretched = [&](const Tensor& parameter) {
    auto values = read_doubles(parameter.view());
    if (values.size() == 1) values.assign(channels, values[0]);
    const Shape shape = channels == 1 ? parameter.shape() : Shape{static_cast<std::int64_t>(channels)};
    return ScaledTensor{Tensor(shape, std::move(values))};
  };
  ScaledTensor scales = stretched(*scale);
  scales.outer = map.scale;
  if (many && map.uniform()) scales.outer.assign(channels, map.scale[0]);
  // All integers would go with a scale that loses its digits.
  const double least = std::ldexp(1.0, precision_of(scale->dtype()).least_exponent);
  bool underflows = false;
  const auto before = read_doubles(scales.values.view());
  for (std::size_t i = 0; i < before.size(); ++i) {
    const double after = std::abs(before[i] * scales.outer[i]);
    underflows = underflows || (after != 0.0 && after < least && after < std::abs(before[i]));
  }
  if (underflows) return Declined{Decline::overflow, "a scale of integers would be denormal"};
  Absorbed absorbed{.inputs = {{1, scales}}, .attributes = {}, .remaining = {}};
  if (channels > 1 && !many) {
    absorbed.attributes = {{"axis", std::int64_t{map.axis}}};
    if (zero_point != nullptr) absorbed.inputs.emplace_back(2, stretched(*zero_point));
  }
  return absorbed;
}

/// (q - z)*(-s) = ((2z - q) - z)*s and (q - z)*0 = (z - z)*s: the integers take the sign of each scale, and zero, where
/// they can hold it. Other engines divide by such a scale, to quantise a bias say, or take it to be above 0.
/// `rescaled` is for the integers `q`, which lie in channels along `axis` if they have more than one scale.
void move_signs(Absorbed& rescaled, const Tensor& q, std::size_t axis, const Tensor* zero_point) {
  std::vector<double>& factors = rescaled.inputs[0].second.outer;
  if (std::ranges::all_of(factors, [](double factor) { return factor > 0.0; })) return;
  std::vector<double> zeros = zero_point != nullptr ? read_doubles(zero_point->view()) : std::vector{0.0};
  if (zeros.size() == 1) zeros.assign(factors.size(), zeros[0]);
  auto integers = read_doubles(q.view());
  const std::int64_t inner =
      factors.size() == 1 ? q.elements() : q.shape().elements(axis + 1, q.shape().rank());
  const auto channel_of = [&](std::size_t i) { return i / static_cast<std::size_t>(inner) % factors.size(); };
  std::vector<bool> fits(factors.size(), true);
  dispatch(DequantizedTypes{}, q.dtype(), [&]<class Q>() {
    for (std::size_t i = 0; i < integers.size(); ++i) {
      const double mirrored = 2.0 * zeros[channel_of(i)] - integers[i];
      if (mirrored < std::numeric_limits<Q>::lowest() || mirrored > std::numeric_limits<Q>::max())
        fits[channel_of(i)] = false;
    }
  });
  for (std::size_t i = 0; i < integers.size(); ++i) {
    const std::size_t c = channel_of(i);
    if (factors[c] == 0.0) integers[i] = zeros[c];
    if (factors[c] < 0.0 && fits[c]) integers[i] = 2.0 * zeros[c] - integers[i];
  }
  for (std::size_t c = 0; c < factors.size(); ++c) {
    if (factors[c] == 0.0) factors[c] = 1.0;
    if (fits[c]) factors[c] = std::abs(factors[c]);
  }
  rescaled.inputs.emplace_back(0, ScaledTensor{Tensor(q.shape(), std::move(integers))});
}

class QuantizeLinear final : public Op, public WritesIntegers {
 public:
  explicit QuantizeLinear(AttributeReader& node)
      : granularity_(node), output_(node.get_dtype("output_dtype", DType::undefined)) {
    check_inputs(node, 2, 3);
    node.ignore("saturate");   // concerns 8-bit floats only
    node.ignore("precision");  // the division is done in float or wider anyway
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    granularity_.check(X, args.inputs[1]);
    if (args.present(2)) Granularity::check_zero_points(args.inputs[1], args.inputs[2]);
    DType dtype = output_;
    if (args.present(2)) {
      if (dtype != DType::undefined && dtype != args.inputs[2].dtype)
        fail(ErrorCode::invalid_model, "output_dtype is {}, the zero point {}", name_of(dtype),
             name_of(args.inputs[2].dtype));
      dtype = args.inputs[2].dtype;
    }
    return {{dtype == DType::undefined ? DType::uint8 : dtype, X.dims}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    if (const auto by = scale_of_bytes(args, X.dtype, args.out(0).dtype))
      return quantise(X.span<float>(), *by, bytes_of(args.out(0)));
    const ElementsOf<double> scales(args.in(1));
    dispatch(QuantizedTypes{}, X.dtype, [&]<class T>() {
      // Where x / y_scale falls on a tie is decided in float, as exporters computed their expectations.
      using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
      dispatch(SmallIntegers{}, args.out(0).dtype, [&]<class Q>() {
        const auto zeros = zero_points<Q>(args);
        granularity_.each(X.shape, args.in(1).shape, [&](std::int64_t i, std::int64_t s) {
          const auto x = static_cast<C>(static_cast<ComputeType<T>>(X.data<T>()[i]));
          const auto at = static_cast<std::size_t>(s);
          args.out(0).data<Q>()[i] = quantized<Q>(x / static_cast<C>(scales[at]), zeros[at]);
        });
      });
    });
  }

  bool linear() const override { return true; }

  /// y_scale'[c] = y_scale[c]/s_in[c], each rounded once: the integer is that of x*s_in/y_scale. A shift would have to
  /// go into the zero point, which is an integer, and from which readers count.
  OrDeclined<Absorbed> absorb_affine(const ChannelAffine& before, const ChannelAffine& after,
                                     const FoldArgs& args) const override {
    if (!after.is_identity()) return Declined{Decline::type_mismatch, "it makes integers"};
    if (before.has_shift()) return Declined{Decline::type_mismatch, "its zero point is an integer"};
    ChannelAffine steps = before;
    for (double& step : steps.scale) {
      if (!(step > 0.0)) return Declined{Decline::activation_between, "its steps are above 0"};
      step = 1.0 / step;
    }
    return rescaled(granularity_, steps, args);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return granularity_.axes(args); }

  std::optional<IntegerScale> scale_written(const FoldArgs& args) const override {
    return granularity_.known_scale(args);
  }

 private:
  Granularity granularity_;
  DType output_;  ///< undefined: that of the zero point, or uint8
};

class DequantizeLinear final : public Op, public ReadsIntegers {
 public:
  explicit DequantizeLinear(AttributeReader& node)
      : granularity_(node), output_(node.get_dtype("output_dtype", DType::undefined)) {
    check_inputs(node, 2, 3);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    granularity_.check(X, args.inputs[1]);
    if (args.present(2)) Granularity::check_zero_points(args.inputs[1], args.inputs[2]);
    if (args.present(2) && args.inputs[2].dtype != X.dtype)
      fail(ErrorCode::invalid_model, "x is {}, its zero point {}", name_of(X.dtype),
           name_of(args.inputs[2].dtype));
    return {{output_ == DType::undefined ? args.inputs[1].dtype : output_, X.dims}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    if (const auto by = scale_of_bytes(args, args.out(0).dtype, X.dtype))
      return dequantise({bytes_of(X), static_cast<std::size_t>(X.elements())}, *by,
                        args.out(0).data<float>());
    const ElementsOf<double> scales(args.in(1));
    dispatch(DequantizedTypes{}, X.dtype, [&]<class Q>() {
      const auto zeros = zero_points<Q>(args);
      dispatch(FloatTypes{}, args.out(0).dtype, [&]<class T>() {
        using C = ComputeType<T>;
        granularity_.each(X.shape, args.in(1).shape, [&](std::int64_t i, std::int64_t s) {
          const auto at = static_cast<std::size_t>(s);
          const std::int64_t steps = std::int64_t{X.data<Q>()[i]} - zeros[at];
          args.out(0).data<T>()[i] = T(static_cast<C>(steps) * static_cast<C>(scales[at]));
        });
      });
    });
  }

  bool linear() const override { return true; }

  /// x_scale'[c] = x_scale[c]*s_out[c], each rounded once; the shift stays as an Add.
  OrDeclined<Absorbed> absorb_affine(const ChannelAffine& before, const ChannelAffine& after,
                                     const FoldArgs& args) const override {
    if (!before.is_identity()) return Declined{Decline::type_mismatch, "it reads integers"};
    auto absorbed = rescaled(granularity_, after, args);
    if (auto* rescaled = std::get_if<Absorbed>(&absorbed)) {
      rescaled->remaining.axis = after.axis;
      rescaled->remaining.shift = after.shift;
      rescaled->remaining.scale.assign(after.channels(), 1.0);
      const auto axis = args.inputs[0].ranked() ? granularity_.axis(args.inputs[0].rank()) : std::nullopt;
      if (const Tensor* q = args.constant(0); q != nullptr && q->elements() != 0)
        move_signs(*rescaled, *q, after.uniform() ? axis.value_or(0) : static_cast<std::size_t>(after.axis),
                   args.constant(2));
    }
    return absorbed;
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return granularity_.axes(args); }

  std::optional<IntegerScale> scale_read(const FoldArgs& args) const override {
    return granularity_.known_scale(args);
  }

 private:
  Granularity granularity_;
  DType output_;  ///< undefined: that of the scale
};

class DynamicQuantizeLinear final : public Op {
 public:
  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    return {{DType::uint8, X.dims}, {X.dtype, Dims{}}, {DType::uint8, Dims{}}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    dispatch(TypeList<float, double>{}, X.dtype, [&]<class T>() {
      T low = 0;
      T high = 0;
      if constexpr (std::is_same_v<T, float>) {
        std::tie(low, high) = range_with_zero(X.span<float>());
      } else {
        for (const T x : X.span<T>()) {
          low = std::min(low, x);
          high = std::max(high, x);
        }
      }
      const T scale = low == high ? T(1) : (high - low) / T(255);
      const auto zero_point = quantized<std::uint8_t>(-low / scale, 0);
      if constexpr (std::is_same_v<T, float>)
        quantise(X.span<float>(), {scale, zero_point, false}, args.out(0).data<std::uint8_t>());
      else
        std::ranges::transform(X.span<T>(), args.out(0).data<std::uint8_t>(),
                               [&](T x) { return quantized(x / scale, zero_point); });
      if (args.outputs.size() > 1 && args.out(1).defined()) *args.out(1).data<T>() = scale;
      if (args.outputs.size() > 2 && args.out(2).defined()) *args.out(2).data<std::uint8_t>() = zero_point;
    });
  }
};

}  // namespace

std::optional<TemporaryVector<std::int32_t>> zero_points(const TensorView& of, const TensorView& zero_point,
                                                         std::int64_t count) {
  if (!is_byte(of.dtype)) return std::nullopt;
  if (!zero_point.defined()) return TemporaryVector<std::int32_t>{0};
  const std::int64_t given = zero_point.elements();
  if (zero_point.dtype != of.dtype || (given != 1 && (given != count || zero_point.shape.rank() != 1)))
    return std::nullopt;
  TemporaryVector<std::int32_t> zeros;
  zeros.reserve(static_cast<std::size_t>(given));
  for (const double zero : ElementsOf<double>(zero_point)) zeros.push_back(static_cast<std::int32_t>(zero));
  return zeros;
}

std::unique_ptr<const Op> make_quantize_linear(AttributeReader& node) {
  return std::make_unique<QuantizeLinear>(node);
}

std::unique_ptr<const Op> make_dequantize_linear(AttributeReader& node) {
  return std::make_unique<DequantizeLinear>(node);
}

std::unique_ptr<const Op> make_dynamic_quantize_linear(AttributeReader& node) {
  check_inputs(node, 1, 1);
  return std::make_unique<DynamicQuantizeLinear>();
}

}  // namespace bnrun
