// Conv:          Y[n,m,o] = B[m] + sum over c in m's group, k:  W[m,c,k] * X[n,c,o*stride - pad + k*dilation]
// ConvTranspose: its adjoint, Y[n,m,o*stride - pad + k*dilation] += W[c,m,k] * X[n,c,o], plus B[m].
// Both are matrix products on columns [channel and tap, output position]; fp16 and bf16 compute in float.
#include <algorithm>
#include <cmath>

#include "affine/exact_sum.h"
#include "base/dispatch.h"
#include "base/fail.h"
#include "kernels/gemm/blas.h"
#include "op/prepared.h"
#include "op/shape_rules.h"
#include "ops/conv/channels_last_transpose.h"
#include "ops/conv/convolution.h"

namespace bnrun {
namespace {

/// Output positions per matrix product, which bounds the scratch memory. A constant, so that results do not
/// depend on the machine or on the number of threads.
constexpr std::int64_t kColumns = 1024;

/// Extents of one (de)convolution: `positions` are those of the side that the columns belong to.
struct Extents {
  std::int64_t batch, group, in_channels, out_channels, taps, positions, in_plane, out_plane;
  std::int64_t in_per_group() const { return in_channels / group; }
  std::int64_t out_per_group() const { return out_channels / group; }
};

/// X, W and B have one type, and B one number for each of M output channels.
void check_operands(const InferArgs& args, const Dim& M) {
  for (std::size_t i = 1; i < args.count(); ++i) {
    if (args.present(i) && args.inputs[i].dtype != args.inputs[0].dtype)
      fail(ErrorCode::invalid_model, "X is {} and input {} is {}", name_of(args.inputs[0].dtype), i,
           name_of(args.inputs[i].dtype));
  }
  if (!args.present(2) || !args.inputs[2].ranked()) return;
  const ValueType& B = args.inputs[2];
  if (B.rank() != 1 || ((*B.dims)[0].known() && M.known() && !((*B.dims)[0] == M)))
    fail(ErrorCode::invalid_model, "B is {}, expected one number per output channel", to_string(B));
}

/// Runs compute(X, W, B, Y) on float or double data; narrower types are widened before and rounded after.
template <class F>
void run_widened(const RunArgs& args, F&& compute) {
  dispatch(FloatTypes{}, args.in(0).dtype, [&]<class T>() {
    using C = ComputeType<T>;
    const bool has_B = args.present(2);
    if constexpr (std::is_same_v<T, C>) {
      compute(args.in(0).data<T>(), args.in(1).data<T>(), has_B ? args.in(2).data<T>() : nullptr,
              args.out(0).data<T>());
    } else {
      const ElementsOf<C> X(args.in(0));
      const ElementsOf<C> W(args.in(1));
      const ElementsOf<C> B(has_B ? args.in(2) : TensorView{dtype_of<C>, Shape{0}, nullptr});
      TemporaryVector<C> Y(static_cast<std::size_t>(args.out(0).elements()));
      compute(X.data(), W.data(), has_B ? B.data() : nullptr, Y.data());
      std::ranges::transform(Y, args.out(0).data<T>(), [](C y) { return T(y); });
    }
  });
}

template <class T>
void fill_with_bias(const Extents& e, const T* B, T* Y) {
  for (std::int64_t plane = 0; plane < e.batch * e.out_channels; ++plane) {
    std::fill_n(Y + plane * e.out_plane, e.out_plane, B != nullptr ? B[plane % e.out_channels] : T(0));
  }
}

/// Folds both maps into constant weights laid out [outer, inner, taps], where one of outer and inner counts
/// output channels and the other input channels, the inner one per group:
///   W' = s_out[m] * W * s_in[c],  B'[m] = (B[m] + sum over c, k of t_in[c]*W) * s_out[m] + t_out[m]
OrDeclined<Absorbed> absorb_into_weights(const ChannelAffine& before, const ChannelAffine& after,
                                         const FoldArgs& args, std::int64_t group, bool outer_is_output) {
  const Tensor* W = args.constant(1);
  if (W == nullptr) return Declined{Decline::not_constant, "the weights are not constant"};
  if (args.present(2) && args.constant(2) == nullptr)
    return Declined{Decline::not_constant, "the bias is not constant"};
  for (const ChannelAffine* map : {&before, &after}) {
    if (!map->uniform() && map->axis != 1) return Declined{Decline::axis_unproven, "not on axis 1"};
  }
  const auto outer = static_cast<std::size_t>(W->shape()[0]);
  const auto inner = static_cast<std::size_t>(W->shape()[1]);
  const auto groups = static_cast<std::size_t>(group);
  const std::size_t channels_in = outer_is_output ? inner * groups : outer;
  const std::size_t channels_out = outer_is_output ? outer : inner * groups;
  const ChannelAffine s_in = before.on_axis(1, channels_in);
  const ChannelAffine s_out = after.on_axis(1, channels_out);

  const ScaledTensor scaled_W{*W, outer_is_output ? s_out.scale : s_in.scale,
                              outer_is_output ? s_in.scale : s_out.scale, groups};
  std::vector<double> bias =
      args.present(2) ? read_doubles(args.constant(2)->view()) : std::vector<double>(channels_out, 0.0);
  if (before.has_shift()) {
    std::vector<ExactSum> carried(channels_out);
    for_each_element(scaled_W, [&](std::size_t i, std::size_t j, double w) {
      const auto [m, c] = outer_is_output ? std::pair(i, j) : std::pair(j, i);
      carried[m].add_product(s_in.shift[c], w);
    });
    for (std::size_t m = 0; m < channels_out; ++m) bias[m] += carried[m].value();
  }
  for (std::size_t m = 0; m < channels_out; ++m) bias[m] = bias[m] * s_out.scale[m] + s_out.shift[m];
  Absorbed absorbed;
  absorbed.inputs = {{1, scaled_W}, {2, {Tensor({static_cast<std::int64_t>(channels_out)}, bias)}}};
  return absorbed;
}

class Conv final : public Op {
 public:
  explicit Conv(AttributeReader& node) : convolution_(ConvolutionAttributes::read(node)) {
    check_inputs(node, 2, 3);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType Y{args.inputs[0].dtype, convolution_.infer_dims(args.inputs[0], args.inputs[1])};
    check_operands(args, Y.ranked() ? (*Y.dims)[1] : Dim());
    return {Y};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = inputs_of_one_type(args);
    const ValueType& W = args.inputs[1];
    if (types[0].ranked() || !W.ranked() || W.rank() < 3) return types;
    types[0].dims.emplace(W.rank());
    if (const Dim& c = (*W.dims)[1]; c.known())
      (*types[0].dims)[1] = Dim(checked_extent(c.extent()) * convolution_.group);
    return types;
  }

  DimProduct macs(const FoldArgs& args) const override { return convolution_macs(args, 1); }

  void run(const RunArgs& args) const override {
    const Shape& X = args.in(0).shape;
    const Window window = convolution_.over(X, args.in(1).shape);
    const auto table = window_table(window);
    const std::int64_t outputs = window.output().elements();
    const Extents e{
        X[0],    convolution_.group,        X[1],   args.in(1).shape[0], window.kernel().elements(),
        outputs, window.input().elements(), outputs};
    run_widened(args, [&]<class T>(const T* x, const T* W, const T* B, T* Y) {
      fill_with_bias(e, B, Y);
      compute(e, table, x, W, Y);
    });
  }

  bool linear() const override { return true; }

  OrDeclined<Absorbed> absorb_affine(const ChannelAffine& before, const ChannelAffine& after,
                                     const FoldArgs& args) const override {
    const Tensor* W = args.constant(1);
    if (before.has_shift() && W != nullptr && convolution_.window.may_pad(spatial(W->shape())))
      return Declined{Decline::padding, "padding is not shifted"};
    return absorb_into_weights(before, after, args, convolution_.group, true);
  }

  std::optional<ConvolutionForm> as_convolution(const FoldArgs& args) const override {
    const Tensor* W = args.constant(1);
    if (W == nullptr || (args.present(2) && args.constant(2) == nullptr)) return std::nullopt;
    return ConvolutionForm{*W, args.present(2) ? *args.constant(2) : Tensor(), convolution_.window,
                           convolution_.group};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const bool constant = args.constant(1) != nullptr && (!args.present(2) || args.constant(2) != nullptr);
    if (!constant || !args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
  }

 private:
  template <class T>
  static void compute(const Extents& e, std::span<const std::int64_t> table, const T* X, const T* W, T* Y) {
    const std::int64_t rows = e.in_per_group() * e.taps;
    TemporaryBuffer<T> columns(static_cast<std::size_t>(rows * std::min(kColumns, e.positions)));
    for (std::int64_t i = 0; i < e.batch * e.group; ++i) {
      const T* x = X + i * e.in_per_group() * e.in_plane;
      const T* w = W + i % e.group * e.out_per_group() * rows;
      T* y = Y + i * e.out_per_group() * e.out_plane;
      for (std::int64_t first = 0; first < e.positions; first += kColumns) {
        const std::int64_t count = std::min(kColumns, e.positions - first);
        T* column = columns.data();
        for (std::int64_t row = 0; row < rows; ++row) {
          const T* plane = x + row / e.taps * e.in_plane;
          const std::int64_t* from = table.data() + row % e.taps * e.positions + first;
          for (std::int64_t o = 0; o < count; ++o) *column++ = from[o] == kPadding ? T(0) : plane[from[o]];
        }
        blas_gemm<T>(Transpose::no, Transpose::no, e.out_per_group(), count, rows, T(1), w, rows,
                     columns.data(), count, T(1), y + first, e.out_plane);
      }
    }
  }

  ConvolutionAttributes convolution_;
};

class ConvTranspose final : public Op, public PrefersChannelsLast {
 public:
  explicit ConvTranspose(AttributeReader& node)
      : convolution_(ConvolutionAttributes::read(node)),
        output_padding_(node.get_ints("output_padding").value_or(std::vector<std::int64_t>{})),
        output_shape_(node.get_ints("output_shape")) {
    check_inputs(node, 2, 3);
    for (const std::int64_t extra : output_padding_) {
      if (extra < 0) fail(ErrorCode::invalid_model, "output_padding holds {}", extra);
      checked_extent(extra);
    }
    for (const std::int64_t extent : output_shape_.value_or(std::vector<std::int64_t>{})) {
      if (extent < 0) fail(ErrorCode::invalid_model, "output_shape holds {}", extent);
    }
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    const ValueType& W = args.inputs[1];
    ValueType Y{X.dtype, std::nullopt};
    if (!X.ranked()) return {Y};
    check_spatial(X);
    if (W.ranked() && W.rank() != X.rank())
      fail(ErrorCode::invalid_model, "X is {} and W is {}: their ranks differ", to_string(X), to_string(W));
    const Dim& C = (*X.dims)[1];
    check_groups(C, convolution_.group, "input channels");
    Dim M;
    if (W.ranked()) {
      const Dim& c = (*W.dims)[0];
      if (C.known() && c.known() && !(C == c))
        fail(ErrorCode::invalid_model, "X has {} channels, W takes {}", C.extent(), c.extent());
      if ((*W.dims)[1].known()) M = Dim(checked_extent((*W.dims)[1].extent()) * convolution_.group);
    }
    check_operands(args, M);
    const std::size_t axes = X.rank() - 2;
    check_axes(axes);
    const Dims kernel = convolution_.kernel_dims(W, axes);
    Y.dims = Dims{(*X.dims)[0], M};
    for (std::size_t i = 0; i < axes; ++i) {
      const Dim& extent = (*X.dims)[2 + i];
      if (output_shape_)
        Y.dims->emplace_back((*output_shape_)[i]);
      else if (extent.known() && kernel[i].known())
        Y.dims->emplace_back(axis_over(i, extent.extent(), kernel[i].extent()).input);
      else
        Y.dims->emplace_back();
    }
    return {Y};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = inputs_of_one_type(args);
    const ValueType& W = args.inputs[1];
    if (types[0].ranked() || !W.ranked() || W.rank() < 3) return types;
    types[0].dims.emplace(W.rank());
    (*types[0].dims)[1] = (*W.dims)[0];
    return types;
  }

  /// Every element of X meets those of one filter, W[c].
  DimProduct macs(const FoldArgs& args) const override {
    DimProduct macs = DimProduct::of(args.inputs[0]);
    return macs *= DimProduct::of(args.inputs[1], 1);
  }

  void run(const RunArgs& args) const override {
    const Shape& X = args.in(0).shape;
    const Shape& W = args.in(1).shape;
    Window window;
    window.axes.reserve(X.rank());
    for (std::size_t i = 2; i < X.rank(); ++i) window.axes.push_back(axis_over(i - 2, X[i], W[i]));
    const auto table = window_table(window);
    const std::int64_t inputs = window.output().elements();
    const Extents e{
        X[0],   convolution_.group,       X[1], W[1] * convolution_.group, window.kernel().elements(), inputs,
        inputs, window.input().elements()};
    run_widened(args, [&]<class T>(const T* x, const T* w, const T* B, T* Y) {
      fill_with_bias(e, B, Y);
      compute(e, table, x, w, Y);
    });
  }

  bool linear() const override { return true; }

  OrDeclined<Absorbed> absorb_affine(const ChannelAffine& before, const ChannelAffine& after,
                                     const FoldArgs& args) const override {
    if (before.has_shift()) return Declined{Decline::padding, "fewer taps reach the border"};
    return absorb_into_weights(before, after, args, convolution_.group, false);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const bool constant = args.constant(1) != nullptr && (!args.present(2) || args.constant(2) != nullptr);
    if (!constant || !args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
  }

  bool prefers_channels_last(const FoldArgs& args) const override {
    const Tensor* W = args.constant(1);
    const bool known = W != nullptr && (W->dtype() == DType::float32 || W->dtype() == DType::float64) &&
                       W->shape().rank() >= 3 && W->shape().rank() <= 5 && W->elements() > 0 &&
                       W->shape()[0] % convolution_.group == 0;
    if (!known || !args.inputs[0].ranked() || args.constant(0) != nullptr) return false;
    if (args.present(2) && args.constant(2) == nullptr) return false;
    // The phases multiply zeros beside the image, of which there are none here.
    if (!std::ranges::all_of(read_doubles(*W), [](double w) { return std::isfinite(w); })) return false;
    constexpr std::int64_t kMostPhases = 64;  // each has weights of its own
    std::int64_t phases = 1;
    for (std::size_t i = 0; i + 2 < W->shape().rank(); ++i) {
      const std::int64_t stride = convolution_.window.stride(i);
      if (convolution_.window.dilation(i) != 1 || stride > std::min(W->shape()[i + 2], kMostPhases))
        return false;
      phases *= stride;
    }
    return phases <= kMostPhases;
  }

  std::optional<ChannelsLast> channels_last(const FoldArgs& args) const override {
    if (!prefers_channels_last(args)) return std::nullopt;
    const Tensor& W = *args.constant(1);
    const ConvTranspose geometry = *this;
    const Shape kernel = spatial(W.shape());
    Shape strides;
    for (std::size_t i = 0; i < kernel.rank(); ++i) strides.push_back(convolution_.window.stride(i));
    const Dims& X = *args.inputs[0].dims;
    const Dims extents(X.begin() + 2, X.end());
    ChannelsLast form{make_channels_last_transpose(W, args.constant(2), convolution_.group, strides, extents,
                                                   [geometry, kernel](std::size_t i, std::int64_t extent) {
                                                     return geometry.axis_over(i, extent, kernel[i]);
                                                   })};
    for (std::size_t i = 1; i < args.inputs.size(); ++i) form.constants.emplace_back(i, Tensor());
    return form;
  }

 private:
  void check_axes(std::size_t axes) const {
    if (!output_padding_.empty() && output_padding_.size() != axes)
      fail(ErrorCode::invalid_model, "output_padding has {} numbers, expected {}", output_padding_.size(),
           axes);
    if (output_shape_ && output_shape_->size() != axes)
      fail(ErrorCode::unsupported, "output_shape has {} numbers, the input has {} spatial axes",
           output_shape_->size(), axes);
  }

  /// The axis of the convolution whose adjoint this is: its input is Y, its output is X.
  WindowAxis axis_over(std::size_t i, std::int64_t extent, std::int64_t kernel) const {
    const WindowAttributes& a = convolution_.window;
    WindowAxis axis{0,           checked_extent(extent), checked_extent(kernel),
                    a.stride(i), a.dilation(i),          a.pad_begin(i),
                    a.pad_end(i)};
    const std::int64_t extra = output_padding_.empty() ? 0 : output_padding_[i];
    const std::int64_t natural = axis.stride * (extent - 1) + extra + axis.reach();
    const bool same = a.auto_pad == AutoPad::same_upper || a.auto_pad == AutoPad::same_lower;
    if (!output_shape_ && !same) {
      axis.input = natural - axis.pad_begin - axis.pad_end;
      if (axis.input < 0)
        fail(ErrorCode::invalid_model, "pads {} and {} remove more elements than the output has",
             axis.pad_begin, axis.pad_end);
      return axis;
    }
    axis.input = output_shape_ ? (*output_shape_)[i] : extent * axis.stride;
    const std::int64_t total = std::max<std::int64_t>(0, natural - axis.input);
    axis.pad_begin = a.auto_pad == AutoPad::same_upper ? total / 2 : total - total / 2;
    axis.pad_end = total - axis.pad_begin;
    return axis;
  }

  template <class T>
  static void compute(const Extents& e, std::span<const std::int64_t> table, const T* X, const T* W, T* Y) {
    const std::int64_t rows = e.out_per_group() * e.taps;
    TemporaryBuffer<T> columns(static_cast<std::size_t>(rows * std::min(kColumns, e.positions)));
    for (std::int64_t i = 0; i < e.batch * e.group; ++i) {
      const T* x = X + i * e.in_per_group() * e.in_plane;
      const T* w = W + i % e.group * e.in_per_group() * rows;
      T* y = Y + i * e.out_per_group() * e.out_plane;
      for (std::int64_t first = 0; first < e.positions; first += kColumns) {
        const std::int64_t count = std::min(kColumns, e.positions - first);
        blas_gemm<T>(Transpose::yes, Transpose::no, rows, count, e.in_per_group(), T(1), w, rows, x + first,
                     e.in_plane, T(0), columns.data(), count);
        const T* column = columns.data();
        for (std::int64_t row = 0; row < rows; ++row) {
          T* plane = y + row / e.taps * e.out_plane;
          const std::int64_t* to = table.data() + row % e.taps * e.positions + first;
          for (std::int64_t o = 0; o < count; ++o, ++column) {
            if (to[o] != kPadding) plane[to[o]] += *column;
          }
        }
      }
    }
  }

  ConvolutionAttributes convolution_;
  std::vector<std::int64_t> output_padding_;  ///< empty: all 0
  std::optional<std::vector<std::int64_t>> output_shape_;
};

}  // namespace

std::unique_ptr<const Op> make_conv(AttributeReader& node) {
  return std::make_unique<Conv>(node);
}

std::unique_ptr<const Op> make_conv_transpose(AttributeReader& node) {
  return std::make_unique<ConvTranspose>(node);
}

}  // namespace bnrun
