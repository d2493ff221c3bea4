// Activations of one input: Y = f(X), same type and shape.
#include <map>

#include "graph/dispatch.h"
#include "graph/fail.h"
#include "kernels/activation.h"
#include "ops/common.h"
#include "ops/op.h"

namespace bnrun {
namespace {

class ActivationOp final : public Op {
 public:
  explicit ActivationOp(Activation activation) : activation_(activation) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type = args.inputs[0];
    if (activation_.kind != Activation::Kind::identity) type.content.reset();
    return {type};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    if (activation_.kind == Activation::Kind::identity) {
      return dispatch(AllTypes{}, X.dtype,
                      [&]<class T>() { std::ranges::copy(X.span<T>(), args.out(0).data<T>()); });
    }
    dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
      if constexpr (std::is_same_v<T, ComputeType<T>>) {
        std::ranges::copy(X.span<T>(), args.out(0).data<T>());
        activate(activation_, args.out(0).span<T>());
      } else {
        for (std::int64_t i = 0; i < X.elements(); ++i) {
          auto x = static_cast<ComputeType<T>>(X.data<T>()[i]);
          activate(activation_, std::span(&x, 1));
          args.out(0).data<T>()[i] = T(x);
        }
      }
    });
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs&) const override {
    if (activation_.kind != Activation::Kind::identity) return Declined{Decline::not_affine, {}};
    return AffineForm{0, {}};
  }

  /// Relu and LeakyRelu are positively homogeneous: f(s*x) = s*f(x) for s > 0. A shift does not pass.
  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine& affine, const FoldArgs&) const override {
    if (activation_.kind == Activation::Kind::identity) return affine;
    const bool homogeneous =
        activation_.kind == Activation::Kind::relu || activation_.kind == Activation::Kind::leaky_relu;
    if (!homogeneous || affine.has_shift()) return Declined{Decline::activation_between, {}};
    for (const double s : affine.scale) {
      if (!(s > 0.0)) return Declined{Decline::activation_between, "a scale is not positive"};
    }
    return affine;
  }

  std::optional<Activation> as_activation() const override { return activation_; }
  bool row_wise(const FoldArgs&) const override { return true; }

 private:
  Activation activation_;
};

}  // namespace

std::unique_ptr<const Op> make_activation(AttributeReader& node) {
  using Kind = Activation::Kind;
  check_inputs(node, 1, 1);
  node.ignore("consumed_inputs");
  static const std::map<std::string_view, Kind> kKinds = {
      {"Elu", Kind::elu},   {"Identity", Kind::identity}, {"LeakyRelu", Kind::leaky_relu},
      {"Relu", Kind::relu}, {"Sigmoid", Kind::sigmoid},   {"Tanh", Kind::tanh}};
  Activation activation{kKinds.at(node.op_type())};
  if (activation.kind == Kind::leaky_relu)
    activation.alpha = node.get_float("alpha", static_cast<double>(0.01F));
  if (activation.kind == Kind::elu) activation.alpha = node.get_float("alpha", 1.0);
  return std::make_unique<ActivationOp>(activation);
}

}  // namespace bnrun
