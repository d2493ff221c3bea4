// Pools over the spatial axes of X[N,C,D1,...], window by window; a global pool's window is the whole plane.
//   MaxPool:     the largest element (NaN if one is NaN), optionally with its position in X
//   AveragePool: sum / number of elements, padding counted with count_include_pad
//   LpPool:      (sum |x|^p)^(1/p)
// MaxUnpool puts elements back where MaxPool's Indices say, zeros elsewhere.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/attribute_reader.h"
#include "op/passing.h"
#include "op/shape_rules.h"
#include "op/window.h"
#include "ops/pool/channels_last_pool.h"
#include "ops/pool/kinds.h"

namespace bnrun {
namespace {

using PoolTypes = TypeList<float, double, Half, BFloat16, std::int8_t, std::uint8_t>;

class Pool final : public Op {
 public:
  Pool(Pooling kind, bool global, AttributeReader& node) : kind_(kind), global_(global) {
    check_inputs(node, 1, 1);
    if (!global) {
      window_ = WindowAttributes::read(node);
      window_.ceil_mode = node.get_bool("ceil_mode", false);
      if (!window_.kernel_shape) fail(ErrorCode::invalid_model, "attribute 'kernel_shape' is missing");
      if (kind == Pooling::max) column_major_ = node.get_bool("storage_order", false);
      if (kind == Pooling::average) count_include_pad_ = node.get_bool("count_include_pad", false);
    }
    // p was a float before opset 2.
    if (kind == Pooling::lp)
      p_ = node.version() < 2 ? node.get_float("p", 2.0) : static_cast<double>(node.get_int("p", 2));
  }

  bool copies() const override { return kind_ == Pooling::max; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    ValueType Y{X.dtype, std::nullopt};
    if (X.ranked()) {
      if (global_ ? X.rank() < 2 : X.rank() < 3) check_spatial(X);
      Y.dims = Dims{(*X.dims)[0], (*X.dims)[1]};
      if (global_) {
        Y.dims->resize(X.rank(), Dim(1));
      } else {
        const Dims kernel(window_.kernel_shape->begin(), window_.kernel_shape->end());
        window_.check_axes(X.rank() - 2);
        for (const Dim& dim : window_.output_dims(spatial(*X.dims), kernel)) Y.dims->push_back(dim);
      }
    }
    std::vector<ValueType> types{Y};
    if (args.outputs > 1) types.push_back({DType::int64, Y.dims});
    return types;
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = input_typed_as_output(args);
    const ValueType& Y = args.outputs[0];
    if (types[0].ranked() || (global_ && !Y.ranked())) return types;
    types[0].dims.emplace(Y.ranked() ? Y.rank() : window_.kernel_shape->size() + 2);
    for (std::size_t i = 0; i < 2 && Y.ranked() && i < Y.rank(); ++i) (*types[0].dims)[i] = (*Y.dims)[i];
    return types;
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const Window window = window_over(X.shape);
    const Planes planes{window_table(window), X.shape[0] * X.shape[1], window.input().elements(),
                        window.output().elements(), window.kernel().elements()};
    if (kind_ == Pooling::max) {
      dispatch(PoolTypes{}, X.dtype, [&]<class T>() { run_max<T>(args, planes, window.input()); });
    } else {
      dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
        if (kind_ == Pooling::average)
          run_average<T>(args, planes, window);
        else
          run_lp<T>(args, planes);
      });
    }
  }

  /// The largest element or the mean of one.
  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (kind_ != Pooling::lp && pools_nothing(args)) {
      if (args.only_first_output_used()) return AffineForm{0, {}};
      return Declined{Decline::extra_outputs_used, "the indices"};
    }
    return Declined{Decline::not_affine, {}};
  }

  /// max(s*x + t) = s*max(x) + t for s > 0, padding being -inf. A mean lets every scale pass, and a shift
  /// unless padding counts as zeros. (sum |s*x|^p)^(1/p) = |s| * (sum |x|^p)^(1/p).
  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (affine.axis > 1) return Declined{Decline::axis_unproven, "on a pooled axis"};
    if (!is_floating(args.inputs[0].dtype)) return Declined{Decline::type_mismatch, "an integer pool"};
    if (kind_ == Pooling::lp) return pass_norm(from, affine);
    if (kind_ == Pooling::average) {
      const bool zeros_count =
          count_include_pad_ && window_.may_pad(Shape(std::span<const std::int64_t>(*window_.kernel_shape)));
      if (affine.has_shift() && zeros_count) return Declined{Decline::padding, "padding counts as zeros"};
      return affine;
    }
    for (const double s : affine.scale) {
      if (!(s > 0.0)) return Declined{Decline::activation_between, "a scale is not positive"};
    }
    return affine;
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (args.outputs.size() != 1 || !args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(2, args.inputs[0].rank());
  }

  std::optional<ChannelsLast> channels_last(const FoldArgs& args) const override {
    const DType dtype = args.inputs[0].dtype;
    const bool known = dtype == DType::float32 || dtype == DType::float64;
    if (!known || kind_ == Pooling::lp || args.outputs.size() != 1 || !args.inputs[0].ranked() ||
        args.inputs[0].rank() < 3)
      return std::nullopt;
    return ChannelsLast{
        make_channels_last_pool(kind_, global_ ? std::nullopt : std::optional(window_), count_include_pad_)};
  }

 private:
  struct Planes {
    TemporaryVector<std::int64_t> table;
    std::int64_t count, inputs, outputs, taps;

    /// Calls visit(position in the plane) for the elements under output o.
    template <class F>
    void each_tap(std::int64_t o, F visit) const {
      for (std::int64_t k = 0; k < taps; ++k) {
        const std::int64_t at = table[static_cast<std::size_t>(k * outputs + o)];
        if (at != kPadding) visit(at);
      }
    }
  };

  bool pools_nothing(const FoldArgs& args) const {
    if (!args.inputs[0].ranked()) return false;
    if (global_) {
      const Dims planes = spatial(*args.inputs[0].dims);
      return std::all_of(planes.begin(), planes.end(), [](const Dim& dim) { return dim == Dim(1); });
    }
    const auto one = [](std::int64_t number) { return number == 1; };
    return std::all_of(window_.kernel_shape->begin(), window_.kernel_shape->end(), one) &&
           std::all_of(window_.strides.begin(), window_.strides.end(), one) &&
           !window_.may_pad(Shape(std::span<const std::int64_t>(*window_.kernel_shape)));
  }

  Window window_over(const Shape& X) const {
    if (!global_)
      return window_.over(spatial(X), Shape(std::span<const std::int64_t>(*window_.kernel_shape)));
    Window window;
    window.axes.reserve(X.rank());
    for (const std::int64_t extent : spatial(X)) window.axes.push_back({extent, 1, extent});
    return window;
  }

  /// Y[plane, o] = reduce(plane's elements, o)
  template <class T, class F>
  static void reduce(const RunArgs& args, const Planes& planes, F f) {
    for (std::int64_t plane = 0; plane < planes.count; ++plane) {
      const T* x = args.in(0).data<T>() + plane * planes.inputs;
      T* y = args.out(0).data<T>() + plane * planes.outputs;
      for (std::int64_t o = 0; o < planes.outputs; ++o) y[o] = f(plane, x, o);
    }
  }

  template <class T>
  void run_max(const RunArgs& args, const Planes& planes, const Shape& extents) const {
    using C = ComputeType<T>;
    constexpr C kLowest = std::is_integral_v<C> ? std::numeric_limits<C>::lowest()
                                                : static_cast<C>(-std::numeric_limits<float>::infinity());
    std::int64_t* indices =
        args.outputs.size() > 1 && args.out(1).defined() ? args.out(1).data<std::int64_t>() : nullptr;
    reduce<T>(args, planes, [&](std::int64_t plane, const T* x, std::int64_t o) {
      C best = kLowest;
      std::int64_t best_at = -1;
      planes.each_tap(o, [&](std::int64_t at) {
        const auto value = static_cast<C>(x[at]);
        const bool is_first_nan = value != value && best == best;
        if (best_at >= 0 && !(value > best) && !is_first_nan) return;
        best = value;
        best_at = at;
      });
      if (indices != nullptr) {
        const std::int64_t at = column_major_ && best_at >= 0 ? transposed(best_at, extents) : best_at;
        indices[plane * planes.outputs + o] = at < 0 ? -1 : plane * planes.inputs + at;
      }
      return T(best);
    });
  }

  /// The position of row-major element `at` when the first axis runs fastest instead.
  static std::int64_t transposed(std::int64_t at, const Shape& extents) {
    std::int64_t stride = extents.elements();
    std::int64_t result = 0;
    for (std::size_t axis = extents.rank(); axis-- > 0;) {
      stride /= extents[axis];
      result += at % extents[axis] * stride;
      at /= extents[axis];
    }
    return result;
  }

  template <class T>
  void run_average(const RunArgs& args, const Planes& planes, Window window) const {
    TemporaryVector<double> divisors(static_cast<std::size_t>(planes.outputs), 0.0);
    if (count_include_pad_) {
      // Padding counts where it was asked for, not where ceil_mode lets the last window run past it.
      for (WindowAxis& axis : window.axes) {
        axis.input += axis.pad_begin + axis.pad_end;
        axis.pad_begin = axis.pad_end = 0;
      }
    }
    const Planes counted{window_table(window), 1, 0, planes.outputs, planes.taps};
    for (std::int64_t o = 0; o < planes.outputs; ++o) {
      counted.each_tap(o, [&](std::int64_t) { divisors[static_cast<std::size_t>(o)] += 1.0; });
    }
    reduce<T>(args, planes, [&](std::int64_t, const T* x, std::int64_t o) {
      double sum = 0.0;
      planes.each_tap(
          o, [&](std::int64_t at) { sum += static_cast<double>(static_cast<ComputeType<T>>(x[at])); });
      return T(static_cast<ComputeType<T>>(sum / divisors[static_cast<std::size_t>(o)]));
    });
  }

  template <class T>
  void run_lp(const RunArgs& args, const Planes& planes) const {
    reduce<T>(args, planes, [&](std::int64_t, const T* x, std::int64_t o) {
      double sum = 0.0;
      planes.each_tap(o, [&](std::int64_t at) {
        sum += std::pow(std::abs(static_cast<double>(static_cast<ComputeType<T>>(x[at]))), p_);
      });
      return T(static_cast<ComputeType<T>>(std::pow(sum, 1.0 / p_)));
    });
  }

  Pooling kind_;
  bool global_;
  WindowAttributes window_;
  bool column_major_ = false;
  bool count_include_pad_ = false;
  double p_ = 2.0;
};

class MaxUnpool final : public Op {
 public:
  explicit MaxUnpool(AttributeReader& node) : window_(WindowAttributes::read(node)) {
    check_inputs(node, 2, 3);
    if (!window_.kernel_shape) fail(ErrorCode::invalid_model, "attribute 'kernel_shape' is missing");
    if (window_.auto_pad != AutoPad::notset || !window_.dilations.empty())
      fail(ErrorCode::unsupported, "auto_pad and dilations mean nothing here");
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    ValueType Y{X.dtype, std::nullopt};
    if (X.ranked()) Y.dims = pooled_from(X);
    if (args.present(2)) {
      const auto shape = known_ints(args, 2);
      if (Y.ranked()) Y.dims = Dims(X.rank());
      if (shape) Y.dims = Dims(shape->begin(), shape->end());
    }
    return {Y};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const Shape pooled = pooled_from(X.shape);
    const MutableTensorView& Y = args.out(0);
    if (Y.shape.rank() != pooled.rank())
      fail(ErrorCode::invalid_model, "output_shape has {} extents, X has rank {}", Y.shape.rank(),
           pooled.rank());
    const Shape strides = strides_of(Y.shape);
    const auto indices = args.in(1).span<std::int64_t>();
    if (static_cast<std::int64_t>(indices.size()) != X.elements())
      fail(ErrorCode::invalid_input, "I has {} elements, X has {}", indices.size(), X.elements());
    dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
      std::ranges::fill(Y.span<T>(), T{});
      for (std::size_t i = 0; i < indices.size(); ++i) {
        std::int64_t rest = indices[i];
        std::int64_t target = 0;
        bool inside = rest >= 0;
        for (std::size_t axis = pooled.rank(); axis-- > 0 && inside;) {
          const std::int64_t at = axis == 0 ? rest : rest % pooled[axis];
          rest /= std::max<std::int64_t>(1, pooled[axis]);
          inside = at < Y.shape[axis];
          target += at * strides[axis];
        }
        if (!inside)
          fail(ErrorCode::invalid_input, "index {} lies outside {}", indices[i], to_string(Y.shape));
        Y.data<T>()[target] = X.data<T>()[i];
      }
    });
  }

  /// Zeros lie between the elements.
  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine& affine, const FoldArgs&) const override {
    if (affine.has_shift()) return Declined{Decline::padding, "its zeros are not shifted"};
    if (affine.axis < 2) return affine;
    return Declined{Decline::axis_unproven, "on a pooled axis"};
  }

 private:
  /// The smallest shape that MaxPool would pool to X's; Indices count in it, whatever output_shape asks for.
  Dims pooled_from(const ValueType& X) const {
    check_spatial(X);
    window_.check_axes(X.rank() - 2);
    Dims dims{(*X.dims)[0], (*X.dims)[1]};
    for (std::size_t i = 0; i < X.rank() - 2; ++i) {
      const Dim& extent = (*X.dims)[2 + i];
      dims.push_back(extent.known() ? Dim(pooled_extent(i, extent.extent())) : Dim());
    }
    return dims;
  }
  /// The same of a shape that has passed it.
  Shape pooled_from(Shape X) const {
    for (std::size_t i = 0; i + 2 < X.rank(); ++i) X[2 + i] = pooled_extent(i, X[2 + i]);
    return X;
  }
  std::int64_t pooled_extent(std::size_t i, std::int64_t extent) const {
    return std::max<std::int64_t>(0, (checked_extent(extent) - 1) * window_.stride(i) +
                                         (*window_.kernel_shape)[i] - window_.pad_begin(i) -
                                         window_.pad_end(i));
  }

  WindowAttributes window_;
};

}  // namespace

std::unique_ptr<const Op> make_pool(AttributeReader& node, Pooling kind) {
  return std::make_unique<Pool>(kind, false, node);
}

std::unique_ptr<const Op> make_global_pool(AttributeReader& node, Pooling kind) {
  return std::make_unique<Pool>(kind, true, node);
}

std::unique_ptr<const Op> make_max_unpool(AttributeReader& node) {
  return std::make_unique<MaxUnpool>(node);
}

}  // namespace bnrun
