// Dropout: Y = X at inference; in training mode Y = X * mask / (1 - ratio), where mask is 0 with probability
// `ratio`. Opsets 1 and 6 have is_test and a mask of X's type, 7 only knows inference, 10 has a boolean mask,
// and since 12 ratio and training_mode are inputs.
#include <random>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

class Dropout final : public Op {
 public:
  explicit Dropout(AttributeReader& node) {
    const auto version = node.version();
    check_inputs(node, 1, version >= 12 ? 3 : 1);
    boolean_mask_ = version >= 10;
    if (version < 12) ratio_ = node.get_float("ratio", 0.5);
    if (version < 6) node.ignore("consumed_inputs");
    if (version < 7) training_ = !node.get_bool("is_test", false);
    if (version >= 12) {
      seed_ = static_cast<std::uint32_t>(node.get_int("seed", 0));
      may_train_ = node.given(2);
    }
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    if (args.present(2) && args.inputs[2].dtype != DType::boolean)
      fail(ErrorCode::invalid_model, "training_mode is not boolean");
    std::vector<ValueType> types{args.inputs[0]};
    types[0].content.reset();
    if (args.outputs > 1)
      types.push_back({boolean_mask_ ? DType::boolean : args.inputs[0].dtype, args.inputs[0].dims});
    return types;
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    return input_like_output(args);
  }

  void run(const RunArgs& args) const override {
    const double ratio = args.present(1) ? scalar(args.in(1)) : ratio_;
    const bool trains =
        training_ || (args.present(2) && args.in(2).elements() == 1 && args.in(2).data<bool>()[0]);
    if (trains && !(ratio >= 0.0 && ratio < 1.0))
      fail(ErrorCode::invalid_input, "the ratio is {}, not in [0,1)", ratio);
    const MutableTensorView mask = args.outputs.size() > 1 ? args.out(1) : MutableTensorView{};
    const TensorView& X = args.in(0);
    std::mt19937 generator(seed_);
    dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
      using C = ComputeType<T>;
      for (std::int64_t i = 0; i < X.elements(); ++i) {
        const bool kept = !trains || uniform(generator) >= ratio;
        const T x = X.data<T>()[i];
        args.out(0).data<T>()[i] =
            trains ? T(static_cast<C>(kept ? static_cast<double>(static_cast<C>(x)) / (1.0 - ratio) : 0.0))
                   : x;
        if (!mask.defined()) continue;
        if (boolean_mask_)
          mask.data<bool>()[i] = kept;
        else
          mask.data<T>()[i] = T(static_cast<C>(kept ? 1 : 0));
      }
    });
  }

  bool deterministic() const override { return !training_ && !may_train_; }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (trains(args)) return Declined{Decline::training_mode, {}};
    if (args.output_used.size() > 1 && args.output_used[1])
      return Declined{Decline::extra_outputs_used, "the mask"};
    return AffineForm{0, {}};
  }

  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (trains(args)) return Declined{Decline::training_mode, {}};
    return affine;
  }

  std::optional<InferenceForm> at_inference(const FoldArgs& args) const override {
    constexpr std::string_view kNow = "returns its input";
    if (training_) return InferenceForm{{{"is_test", std::int64_t{1}}}, 1, kNow};
    if (args.constant(2) == nullptr || !trains(args)) return std::nullopt;
    return InferenceForm{{}, 2, kNow};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    return trains(args) ? std::nullopt : elementwise_axes(args);
  }

 private:
  /// A ratio of 0 drops nothing and scales by 1.
  bool drops(const FoldArgs& args) const {
    if (!args.present(1)) return ratio_ != 0.0;
    const Tensor* ratio = args.constant(1);
    return ratio == nullptr || ratio->elements() != 1 || read_doubles(ratio->view())[0] != 0.0;
  }

  bool trains(const FoldArgs& args) const {
    if (!drops(args)) return false;
    if (!args.present(2)) return training_;
    const Tensor* mode = args.constant(2);
    return mode == nullptr || mode->elements() != 1 || mode->data<bool>()[0];
  }

  static double scalar(const TensorView& tensor) {
    if (tensor.elements() != 1) fail(ErrorCode::invalid_input, "the ratio is not a scalar");
    return first_element<double>(tensor);
  }

  /// In [0,1) from 53 bits, as numpy draws it: the published tests of training mode rely on its sequence.
  static double uniform(std::mt19937& generator) {
    const auto high = static_cast<double>(generator() >> 5);
    const auto low = static_cast<double>(generator() >> 6);
    return (high * 0x1p26 + low) / 0x1p53;
  }

  double ratio_ = 0.5;
  bool training_ = false;
  bool may_train_ = false;
  bool boolean_mask_;
  std::uint32_t seed_ = 0;
};

}  // namespace

std::unique_ptr<const Op> make_dropout(AttributeReader& node) {
  return std::make_unique<Dropout>(node);
}

}  // namespace bnrun
