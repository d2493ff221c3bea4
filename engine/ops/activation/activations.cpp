// Activations: Y = f(X), same type and shape; f is what a dense layer fuses too (kernels/math/activation.h).
#include <limits>

#include "base/dispatch.h"
#include "base/fail.h"
#include "kernels/math/activation.h"
#include "op/op.h"
#include "op/prepared.h"
#include "op/shape_rules.h"
#include "ops/activation/kinds.h"
#include "ops/elementwise/broadcast.h"
#include "ops/elementwise/float_map.h"

namespace bnrun {
namespace {

using Kind = Activation::Kind;

void run_activation(const Activation& activation, const TensorView& X, const MutableTensorView& Y) {
  map_floats(X, Y, [&]<class C>(std::span<const C> x, C* y) { activate(activation, x, y); });
}

/// f(s*x) = s*f(x) for s > 0, wherever the scales differ; a shift does not pass.
OrDeclined<ChannelAffine> pass_positive_scale(const ChannelAffine& affine) {
  if (affine.has_shift()) return Declined{Decline::activation_between, "a shift does not pass"};
  for (const double s : affine.scale) {
    if (!(s > 0.0)) return Declined{Decline::activation_between, "a scale is not positive"};
  }
  return affine;
}

class ActivationOp final : public Op, public WorksInParts {
 public:
  explicit ActivationOp(Activation activation) : activation_(activation) {}

  bool copies() const override { return activation_.kind == Kind::relu; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type = args.inputs[0];
    if (activation_.kind != Kind::identity) type.content.reset();
    return {type};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    return input_like_output(args);
  }

  bool has_parts(std::size_t, std::size_t) const override { return true; }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    if (activation_.kind != Kind::identity) return run_activation(activation_, X, args.out(0));
    dispatch(AllTypes{}, X.dtype, [&]<class T>() { std::ranges::copy(X.span<T>(), args.out(0).data<T>()); });
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs&) const override {
    if (activation_.kind != Kind::identity) return Declined{Decline::not_affine, {}};
    return AffineForm{0, {}};
  }

  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine& affine, const FoldArgs&) const override {
    const bool homogeneous = activation_.kind == Kind::relu || activation_.kind == Kind::leaky_relu;
    if (!homogeneous) return Declined{Decline::activation_between, {}};
    return pass_positive_scale(affine);
  }

  std::optional<Activation> as_activation(const FoldArgs&) const override { return activation_; }
  std::optional<AxisMap> axes(const FoldArgs& args) const override { return elementwise_axes(args); }

 private:
  Activation activation_;
};

/// Clip with its bounds as inputs (opset 11): min(max(X, min), max); an absent bound bounds nothing.
class Clip final : public Op, public WorksInParts {
 public:
  std::vector<ValueType> infer(const InferArgs& args) const override {
    for (std::size_t i = 1; i < args.count(); ++i) {
      if (args.present(i) && args.inputs[i].dtype != args.inputs[0].dtype)
        fail(ErrorCode::invalid_model, "input {} has another type than X", i);
    }
    ValueType type = args.inputs[0];
    type.content.reset();
    return {type};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = input_like_output(args);
    types[0].dtype = inputs_of_one_type(args)[0].dtype;
    return types;
  }

  bool has_parts(std::size_t, std::size_t) const override { return true; }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    dispatch(NumericTypes{}, X.dtype, [&]<class T>() {
      using C = ComputeType<T>;
      using Limits = std::numeric_limits<C>;
      const auto bound = [&](std::size_t i, C otherwise) {
        if (!args.present(i)) return otherwise;
        if (args.in(i).elements() != 1) fail(ErrorCode::invalid_input, "input {} is not a scalar", i);
        return static_cast<C>(args.in(i).data<T>()[0]);
      };
      if constexpr (std::is_floating_point_v<C>) {
        const C low = bound(1, -Limits::infinity());
        const C high = bound(2, Limits::infinity());
        run_activation({Kind::clip, static_cast<double>(low), static_cast<double>(high)}, X, args.out(0));
      } else {
        const C low = bound(1, Limits::lowest());
        const C high = bound(2, Limits::max());
        std::ranges::transform(X.span<T>(), args.out(0).data<T>(),
                               [=](T x) { return std::min(std::max(x, low), high); });
      }
    });
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (!args.present(1) && !args.present(2)) return AffineForm{0, {}};
    return Declined{Decline::not_affine, {}};
  }

  std::optional<Activation> as_activation(const FoldArgs& args) const override {
    if (!is_floating(args.inputs[0].dtype) || !bounds_known(args)) return std::nullopt;
    const auto bound = [&](std::size_t i, double otherwise) {
      return args.present(i) ? read_doubles(args.constant(i)->view())[0] : otherwise;
    };
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return Activation{Kind::clip, bound(1, -kInfinity), bound(2, kInfinity)};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    return bounds_known(args) ? elementwise_axes(args) : std::nullopt;
  }

 private:
  static bool bounds_known(const FoldArgs& args) {
    for (std::size_t i = 1; i < args.inputs.size(); ++i) {
      const bool known = args.constant(i) != nullptr && args.constant(i)->elements() == 1;
      if (args.present(i) && !known) return false;
    }
    return true;
  }
};

/// Y = X, where negative slope*X. The slope is stretched to X; before opset 7 a vector lies along axis 1.
class PRelu final : public Op {
 public:
  explicit PRelu(AttributeReader& node) {
    check_inputs(node, 2, 2);
    if (node.version() < 6) node.ignore("consumed_inputs");
    if (node.version() < 7) slope_.enabled = true;
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType type = infer_broadcast(args, slope_for(args.inputs[0], args.inputs[1]));
    const ValueType& X = args.inputs[0];
    if (type.ranked()) {
      const bool grows =
          type.rank() > X.rank() || (X.static_shape() && type.static_shape() && !(X.shape() == type.shape()));
      if (grows)
        fail(ErrorCode::invalid_model, "the slope {} does not fit X {}", to_string(args.inputs[1]),
             to_string(X));
    }
    return {ValueType{X.dtype, X.dims}};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = input_like_output(args);
    types[0].dtype = inputs_of_one_type(args)[0].dtype;
    return types;
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const Shape& shape = args.in(1).shape;
    const auto slope =
        slope_for(X.shape.rank(), shape.rank() == 1 && shape[0] != 1).align(args.in(1), X.shape.rank());
    dispatch(NumericTypes{}, X.dtype, [&]<class T>() {
      using C = ComputeType<T>;
      broadcast_apply<T, T, T>(X, slope, args.out(0), [](T x, T s) {
        const auto wide = static_cast<C>(x);
        return wide < C(0) ? T(static_cast<C>(wide * static_cast<C>(s))) : x;
      });
    });
  }

  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine& affine, const FoldArgs&) const override {
    return pass_positive_scale(affine);
  }

  /// One slope for all is LeakyRelu.
  std::optional<Activation> as_activation(const FoldArgs& args) const override {
    const Tensor* slope = args.constant(1);
    if (slope == nullptr || slope->elements() != 1 || !is_floating(slope->dtype())) return std::nullopt;
    return Activation{Kind::leaky_relu, read_doubles(slope->view())[0]};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return broadcast_axes(args, slope_); }

 private:
  LegacyBroadcast slope_for(const ValueType& X, const ValueType& slope) const {
    return slope_for(X.ranked() ? X.rank() : 0,
                     slope.ranked() && slope.rank() == 1 && !(slope.dims->front() == Dim(1)));
  }
  LegacyBroadcast slope_for(std::size_t rank_of_X, bool one_for_each_channel) const {
    LegacyBroadcast rule = slope_;
    if (rule.enabled && rank_of_X > 1 && one_for_each_channel) rule.axis = 1;
    return rule;
  }

  LegacyBroadcast slope_;
};

/// Under which names a node gives Activation::alpha and ::beta, nullptr when it does not, and their defaults.
struct ActivationAttributes {
  const char* alpha = nullptr;
  float alpha_default = 0.0F;
  const char* beta = nullptr;
  float beta_default = 0.0F;
};

ActivationAttributes attributes_of(Kind kind) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  switch (kind) {
    case Kind::celu:
    case Kind::elu:
    case Kind::swish:
    case Kind::thresholded_relu:
      return {"alpha", 1.0F};
    case Kind::leaky_relu:
      return {"alpha", 0.01F};
    case Kind::hard_sigmoid:
      return {"alpha", 0.2F, "beta", 0.5F};
    case Kind::selu:
      return {"alpha", 1.67326319217681884765625F, "gamma", 1.05070102214813232421875F};
    case Kind::shrink:
      return {"lambd", 0.5F, "bias", 0.0F};
    case Kind::clip:
      return {"min", -kInfinity, "max", kInfinity};
    case Kind::gelu:
    case Kind::gelu_tanh:
    case Kind::gelu_twice:
    case Kind::gelu_tanh_twice:
    case Kind::hard_swish:
    case Kind::identity:
    case Kind::mish:
    case Kind::relu:
    case Kind::sigmoid:
    case Kind::softplus:
    case Kind::softsign:
    case Kind::tanh:
      return {};
  }
  fail(ErrorCode::internal, "unknown kind of activation {}", static_cast<int>(kind));
}

}  // namespace

std::unique_ptr<const Op> make_activation(AttributeReader& node, Kind kind) {
  check_inputs(node, 1, 1);
  if (node.version() < 6) node.ignore("consumed_inputs");
  const ActivationAttributes attributes = attributes_of(kind);
  Activation activation{kind};
  if (attributes.alpha != nullptr)
    activation.alpha = node.get_float(attributes.alpha, static_cast<double>(attributes.alpha_default));
  if (attributes.beta != nullptr)
    activation.beta = node.get_float(attributes.beta, static_cast<double>(attributes.beta_default));
  if (kind == Kind::selu && node.version() < 6) {
    activation.alpha = node.get_float("alpha", static_cast<double>(1.6732F));
    activation.beta = node.get_float("gamma", static_cast<double>(1.0507F));
  }
  if (kind == Kind::gelu) {
    const auto approximate = node.get_string("approximate", "none");
    if (approximate == "tanh")
      activation.kind = Kind::gelu_tanh;
    else if (approximate != "none")
      fail(ErrorCode::invalid_model, "approximate is '{}', not none or tanh", approximate);
  }
  return std::make_unique<ActivationOp>(activation);
}

std::unique_ptr<const Op> make_clip(AttributeReader& node) {
  if (node.version() < 11) return make_activation(node, Kind::clip);
  check_inputs(node, 1, 3);
  return std::make_unique<Clip>();
}

std::unique_ptr<const Op> make_prelu(AttributeReader& node) {
  return std::make_unique<PRelu>(node);
}

}  // namespace bnrun
