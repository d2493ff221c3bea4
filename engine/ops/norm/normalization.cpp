// Normalisations by statistics of the tensor itself, in double:
//   Y = (X - mean) / sqrt(var + epsilon) * scale + B      population variance
//   LayerNormalization:    over the axes from `axis` on; RMSNormalization: the same without mean and B
//   InstanceNormalization: over the spatial axes of each channel of X[N,C,D1,...]
//   GroupNormalization:    over the channels of a group and the spatial axes
//   LRN: Y = X / (bias + alpha/size * sum of X^2 over `size` neighbouring channels)^beta
#include <algorithm>
#include <cmath>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/dispatch.h"
#include "base/elements.h"
#include "base/fail.h"
#include "kernels/math/rows.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/elementwise/binary_affine.h"
#include "ops/elementwise/broadcast.h"
#include "ops/norm/kinds.h"

namespace bnrun {
namespace {

template <class T>
double widen(T x) {
  return static_cast<double>(static_cast<ComputeType<T>>(x));
}
template <class T>
T narrow(double x) {
  return T(static_cast<ComputeType<T>>(x));
}

/// Calls f(x, y) with the elements as floats or doubles, in which half precision is computed.
template <class F>
void with_wide_elements(const TensorView& X, const MutableTensorView& Y, F f) {
  dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
    using C = ComputeType<T>;
    if constexpr (std::is_same_v<T, C>) {
      f(X.data<T>(), Y.data<T>());
    } else {
      Tensor wide(dtype_of<C>, X.shape);
      const std::span<C> elements = wide.mutable_span<C>();
      std::ranges::transform(X.span<T>(), elements.begin(), [](T x) { return static_cast<C>(x); });
      f(static_cast<const C*>(elements.data()), elements.data());
      std::ranges::transform(elements, Y.data<T>(), [](C y) { return T(y); });
    }
  });
}

/// The constant with one number in place of all.
ScaledTensor filled(const Tensor& like, double value) {
  return {Tensor(like.shape(), std::vector<double>(static_cast<std::size_t>(like.elements()), value))};
}

constexpr double kDefaultEpsilon = static_cast<double>(1e-5F);

class LayerNormalization final : public Op {
 public:
  LayerNormalization(LayerNormalizationKind kind, AttributeReader& node)
      : centred_(kind == LayerNormalizationKind::layer),
        axis_(node.get_int("axis", -1)),
        epsilon_(node.get_float("epsilon", kDefaultEpsilon)),
        stash_type_(node.get_dtype("stash_type", DType::float32)) {
    check_inputs(node, 2, centred_ ? 3 : 2);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    ValueType statistics{stash_type_, std::nullopt};
    if (X.ranked()) {
      const std::size_t axis = normalize_axis(axis_, X.rank());
      statistics.dims = X.dims;
      for (std::size_t i = axis; i < X.rank(); ++i) (*statistics.dims)[i] = Dim(1);
      for (std::size_t i = 1; i < args.count(); ++i) check_parameter(args.inputs[i], X);
    }
    return {{X.dtype, X.dims}, statistics, statistics};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = input_like_output(args);
    if (types[0].dtype == DType::undefined) types[0].dtype = args.inputs[1].dtype;
    return types;
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const std::size_t axis = normalize_axis(axis_, X.shape.rank());
    const std::int64_t rows = X.shape.elements(0, axis);
    const std::int64_t width = X.shape.elements(axis, X.shape.rank());
    with_wide_elements(X, args.out(0), [&]<class C>(const C* x, C* y) {
      const Stretched<C> scale(args.in(1), X.shape, axis);
      const Stretched<C> B(args.present(2) ? args.in(2) : TensorView{}, X.shape, axis);
      for (std::int64_t row = 0; row < rows; ++row) {
        const RowStatistics s = statistics_of(x, width, epsilon_, centred_);
        row_kernels<C>().normalise(x, width, s.mean, s.inverse_deviation, scale.of_row(row, width),
                                   B.of_row(row, width), y);
        x += width;
        y += width;
        write_statistic(args, 1, row, s.mean);
        write_statistic(args, 2, row, s.inverse_deviation);
      }
    });
  }

  std::optional<OwnAffine> own_affine(const FoldArgs& args) const override {
    const Tensor* scale = args.constant(1);
    const Tensor* B = args.constant(2);
    if (scale == nullptr || (args.present(2) && B == nullptr)) return std::nullopt;
    const ValueType& X = args.inputs[0];
    auto map = affine_of_constant(
        *scale, X, [](double s) { return std::pair(s, 0.0); }, 0);
    auto* own = std::get_if<AffineForm>(&map);
    if (own == nullptr) return std::nullopt;
    OwnAffine found{std::move(own->affine), {.inputs = {{1, filled(*scale, 1.0)}}, .attributes = {}}};
    if (args.present(2)) {
      auto shift = affine_of_constant(
          *B, X, [](double t) { return std::pair(1.0, t); }, 0);
      if (std::holds_alternative<Declined>(shift)) return std::nullopt;
      auto both = compose(found.affine, std::get<AffineForm>(shift).affine);
      if (std::holds_alternative<Declined>(both)) return std::nullopt;
      found.affine = std::get<ChannelAffine>(std::move(both));
      found.without.inputs.emplace_back(2, filled(*B, 0.0));
    }
    return found.affine.is_identity() ? std::nullopt : std::optional(std::move(found));
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!X.ranked() || args.outputs.size() > 1) return std::nullopt;
    std::size_t leading = normalize_axis(axis_, X.rank());
    for (std::size_t i = 1; i < args.inputs.size(); ++i) {
      if (!args.present(i)) continue;
      if (args.constant(i) == nullptr) return std::nullopt;
      leading = std::min(leading, X.rank() - std::min(X.rank(), args.constant(i)->shape().rank()));
    }
    return AxisMap::leading(leading, X.rank());
  }

 private:
  static void check_parameter(const ValueType& parameter, const ValueType& X) {
    if (!parameter.ranked()) return;
    const Dims pair[] = {*parameter.dims, *X.dims};
    const Dims full = broadcast_dims(pair);
    bool grows = full.size() != X.rank();
    for (std::size_t i = 0; i < X.rank() && !grows; ++i)
      grows = (*X.dims)[i].known() && full[i].known() && !(full[i] == (*X.dims)[i]);
    if (grows)
      fail(ErrorCode::invalid_model, "{} does not broadcast to {}", to_string(parameter), to_string(X));
  }

  /// A parameter over the normalised axes, or over all of X where it varies before them.
  template <class C>
  class Stretched {
   public:
    /// `parameter` may be undefined.
    Stretched(const TensorView& parameter, const Shape& X, std::size_t axis) {
      if (!parameter.defined()) return;
      varies_by_row_ = parameter.shape.rank() > X.rank() - axis;
      const Shape target(std::span(X.begin() + (varies_by_row_ ? 0 : axis), X.end()));
      if (parameter.dtype == dtype_of<C> && parameter.elements() == target.elements()) {
        values_ = parameter.data<C>();
        return;
      }
      const Tensor wide = convert(parameter, dtype_of<C>);
      stretched_ = Tensor(dtype_of<C>, target);
      broadcast_apply<C, C, C>(wide.view(), stretched_.view(), stretched_.mutable_view(),
                               [](C value, C) { return value; });
      values_ = stretched_.template data<C>();
    }

    const C* of_row(std::int64_t row, std::int64_t width) const {
      return varies_by_row_ ? values_ + row * width : values_;
    }

   private:
    bool varies_by_row_ = false;
    const C* values_ = nullptr;
    Tensor stretched_;
  };

  static void write_statistic(const RunArgs& args, std::size_t output, std::int64_t row, double value) {
    if (output >= args.outputs.size() || !args.out(output).defined()) return;
    dispatch(FloatTypes{}, args.out(output).dtype,
             [&]<class T>() { args.out(output).data<T>()[row] = narrow<T>(value); });
  }

  bool centred_;
  std::int64_t axis_;
  double epsilon_;
  DType stash_type_;
};

/// InstanceNormalization is the case of one channel per group.
class GroupNormalization final : public Op {
 public:
  GroupNormalization(GroupNormalizationKind kind, AttributeReader& node)
      : epsilon_(node.get_float("epsilon", kDefaultEpsilon)) {
    check_inputs(node, 3, 3);
    if (kind == GroupNormalizationKind::instance) {
      if (node.version() < 6) node.ignore("consumed_inputs");
      return;
    }
    groups_ = node.require_int("num_groups");
    if (*groups_ < 1) fail(ErrorCode::invalid_model, "num_groups is {}", *groups_);
    per_group_ = node.version() < 21;
    if (!per_group_) node.ignore("stash_type");  // statistics are computed in double anyway
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (X.ranked()) {
      if (X.rank() < 2) fail(ErrorCode::invalid_model, "X is {}, it needs a channel axis", to_string(X));
      const Dim& C = (*X.dims)[1];
      if (groups_ && C.known() && C.extent() % *groups_ != 0)
        fail(ErrorCode::invalid_model, "{} channels do not divide into {} groups", C.extent(), *groups_);
      const Dim expected = per_group_ ? Dim(*groups_) : C;
      for (std::size_t i = 1; i < 3; ++i) {
        const ValueType& parameter = args.inputs[i];
        if (!parameter.ranked()) continue;
        if (parameter.rank() != 1 ||
            (expected.known() && (*parameter.dims)[0].known() && !((*parameter.dims)[0] == expected)))
          fail(ErrorCode::invalid_model, "X is {} and input {} is {}", to_string(X), i, to_string(parameter));
      }
    }
    return {{X.dtype, X.dims}};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = input_like_output(args);
    if (types[0].dtype == DType::undefined) types[0].dtype = args.inputs[1].dtype;
    return types;
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const std::int64_t channels = X.shape[1];
    const std::int64_t groups = groups_.value_or(channels);
    const std::int64_t plane = X.shape.elements(2, X.shape.rank());
    const std::int64_t width = groups == 0 ? 0 : channels / groups * plane;
    const ElementsOf<double> scale(args.in(1));
    const ElementsOf<double> B(args.in(2));
    const std::int64_t run = per_group_ ? width : plane;  // elements of one scale and B
    with_wide_elements(X, args.out(0), [&]<class C>(const C* x, C* y) {
      for (std::int64_t i = 0; i < X.shape[0] * groups && width != 0; ++i) {
        const RowStatistics s = statistics_of(x, width, epsilon_, true);
        auto p = static_cast<std::size_t>(i % groups * (width / run));
        for (std::int64_t j = 0; j < width; j += run, ++p)
          row_kernels<C>().scale(x + j, run, s.mean, s.inverse_deviation * scale[p], B[p], y + j);
        x += width;
        y += width;
      }
    });
  }

  std::optional<OwnAffine> own_affine(const FoldArgs& args) const override {
    const Tensor* scale = args.constant(1);
    const Tensor* B = args.constant(2);
    const ValueType& X = args.inputs[0];
    if (scale == nullptr || B == nullptr || !X.ranked() || X.rank() < 2) return std::nullopt;
    OwnAffine found{{1, read_doubles(scale->view()), read_doubles(B->view())},
                    {.inputs = {{1, filled(*scale, 1.0)}, {2, filled(*B, 0.0)}}, .attributes = {}}};
    if (per_group_) {
      const Dim& C = (*X.dims)[1];
      if (!C.known()) return std::nullopt;
      const std::int64_t width = C.extent() / *groups_;
      for (auto* list : {&found.affine.scale, &found.affine.shift}) {
        std::vector<double> stretched;
        for (const double value : *list)
          stretched.insert(stretched.end(), static_cast<std::size_t>(width), value);
        *list = std::move(stretched);
      }
    }
    return found.affine.is_identity() ? std::nullopt : std::optional(std::move(found));
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (args.constant(1) == nullptr || args.constant(2) == nullptr || !args.inputs[0].ranked())
      return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
  }

 private:
  double epsilon_;
  std::optional<std::int64_t> groups_;  ///< absent: every channel is its own
  /// Whether scale and B have one element per group, as before opset 21, instead of one per channel.
  bool per_group_ = false;
};

class Lrn final : public Op {
 public:
  explicit Lrn(AttributeReader& node)
      : alpha_(node.get_float("alpha", static_cast<double>(1e-4F))),
        beta_(node.get_float("beta", 0.75)),
        bias_(node.get_float("bias", 1.0)),
        size_(node.require_int("size")) {
    check_inputs(node, 1, 1);
    if (size_ < 1) fail(ErrorCode::invalid_model, "size is {}", size_);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (X.ranked() && X.rank() < 2)
      fail(ErrorCode::invalid_model, "X is {}, it needs a channel axis", to_string(X));
    return {{X.dtype, X.dims}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const std::int64_t channels = X.shape[1];
    const std::int64_t plane = X.shape.elements(2, X.shape.rank());
    dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
      for (std::int64_t at = 0; at < X.elements(); ++at) {
        const T* x = X.data<T>() + at;
        const std::int64_t c = at / plane % channels;
        const std::int64_t first = std::max<std::int64_t>(-c, -((size_ - 1) / 2));
        const std::int64_t last = std::min(channels - 1 - c, size_ / 2);
        double squares = 0.0;
        for (std::int64_t d = first; d <= last; ++d) squares += widen(x[d * plane]) * widen(x[d * plane]);
        const double base = bias_ + alpha_ / static_cast<double>(size_) * squares;
        args.out(0).data<T>()[at] = narrow<T>(widen(*x) / std::pow(base, beta_));
      }
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::identity(args.inputs[0].rank()).without(1);
  }

 private:
  double alpha_;
  double beta_;
  double bias_;
  std::int64_t size_;
};

}  // namespace

std::unique_ptr<const Op> make_layer_normalization(AttributeReader& node, LayerNormalizationKind kind) {
  return std::make_unique<LayerNormalization>(kind, node);
}

std::unique_ptr<const Op> make_group_normalization(AttributeReader& node, GroupNormalizationKind kind) {
  return std::make_unique<GroupNormalization>(kind, node);
}

std::unique_ptr<const Op> make_lrn(AttributeReader& node) {
  return std::make_unique<Lrn>(node);
}

}  // namespace bnrun
