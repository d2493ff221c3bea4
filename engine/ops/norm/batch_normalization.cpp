// BatchNormalization, inference and training, at every opset:
//   Y = scale * (X - mean) / sqrt(var + epsilon) + B  for each channel
// The channels lie on axis 1; a tensor of rank 1 has one channel.
// Training normalises with the batch's mean and population variance and also returns
//   running = old * momentum + batch * (1 - momentum).
#include <array>
#include <cmath>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

class BatchNormalization final : public Op {
 public:
  explicit BatchNormalization(AttributeReader& node)
      : epsilon_(node.get_float("epsilon", static_cast<double>(1e-5F))),
        momentum_(node.get_float("momentum", static_cast<double>(0.9F))) {
    check_inputs(node, 5, 5);
    const auto version = node.version();
    if (const std::size_t most = version < 14 ? 5 : 3; node.outputs() > most)
      fail(ErrorCode::invalid_model, "it has {} outputs at most, the node lists {}", most, node.outputs());
    if (version < 7) {
      node.ignore("consumed_inputs");
      training_ = !node.get_bool("is_test", false);
      at_inference_ = {{"is_test", std::int64_t{1}}};
    } else if (version < 14) {
      training_ = node.outputs() > 1;
    } else {
      training_ = node.get_bool("training_mode", false);
      at_inference_ = {{"training_mode", std::int64_t{0}}};
    }
    one_type_ = version < 14;
    if (version < 9) spatial_ = node.get_bool("spatial", true);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (X.ranked() && X.rank() == 0)
      fail(ErrorCode::invalid_model, "X has rank 0, it needs a batch dimension");
    std::vector<ValueType> types{X};
    types[0].content.reset();
    if (X.ranked() && X.rank() > 1 && spatial_) {
      Dim& channels = (*types[0].dims)[1];
      for (std::size_t i = 1; i < 5; ++i) {
        const ValueType& parameter = args.inputs[i];
        if (!parameter.ranked() || parameter.rank() != 1) continue;
        if (!channels.known() && (*parameter.dims)[0].known()) channels = (*parameter.dims)[0];
        if (channels.known() && (*parameter.dims)[0].known() && !((*parameter.dims)[0] == channels)) {
          fail(ErrorCode::invalid_model, "X has {} channels, input {} has {}", channels.extent(), i,
               (*parameter.dims)[0].extent());
        }
      }
    }
    for (std::size_t i = 1; i < args.outputs; ++i) types.push_back(args.inputs[i % 2 == 1 ? 3 : 4]);
    return types;
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = input_like_output(args);
    // From opset 15 on the parameters may have another type.
    if (one_type_) types[0].dtype = inputs_of_one_type(args)[0].dtype;
    return types;
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const Layout layout = layout_of(X.shape);
    const ElementsOf<double> parameters[] = {ElementsOf<double>(args.in(1)), ElementsOf<double>(args.in(2)),
                                             ElementsOf<double>(args.in(3)), ElementsOf<double>(args.in(4))};
    for (std::size_t i = 0; i < 4; ++i) {
      if (parameters[i].size() != layout.channels) {
        fail(ErrorCode::invalid_model, "X has {} channels, input {} has {} elements", layout.channels, i + 1,
             parameters[i].size());
      }
    }
    const auto& scale = parameters[0];
    const auto& B = parameters[1];
    const auto& mean = parameters[2];
    const auto& var = parameters[3];
    dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
      const T* x = X.data<T>();
      T* y = args.out(0).data<T>();
      for (std::size_t c = 0; c < layout.channels; ++c) {
        const auto each = [&](auto visit) {
          for (std::size_t n = 0; n < layout.rows; ++n) {
            const std::size_t first = (n * layout.channels + c) * layout.inner;
            for (std::size_t i = first; i < first + layout.inner; ++i) visit(i);
          }
        };
        double mean_c = mean[c];
        double var_c = var[c];
        if (training_) {
          const auto count = static_cast<double>(layout.rows * layout.inner);
          double sum = 0.0;
          each([&](std::size_t i) { sum += static_cast<ComputeType<T>>(x[i]); });
          mean_c = sum / count;
          double squares = 0.0;
          each([&](std::size_t i) {
            const double d = static_cast<ComputeType<T>>(x[i]) - mean_c;
            squares += d * d;
          });
          var_c = squares / count;
          write_statistics(args, c, mean[c], var[c], mean_c, var_c);
        }
        const auto map = batch_normalization_channel(scale[c], B[c], mean_c, var_c, epsilon_);
        each([&](std::size_t i) {
          y[i] = T(static_cast<ComputeType<T>>(
              static_cast<double>(static_cast<ComputeType<T>>(x[i])) * map.first + map.second));
        });
      }
    });
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (training_) return Declined{Decline::training_mode, {}};
    for (std::size_t i = 1; i < args.output_used.size(); ++i) {
      if (args.output_used[i]) return Declined{Decline::extra_outputs_used, fmt::format("output {}", i)};
    }
    auto map = map_of(args, [](const Parameters& p, double epsilon) {
      return batch_normalization_affine(p[0], p[1], p[2], p[3], epsilon);
    });
    if (auto* declined = std::get_if<Declined>(&map)) return *declined;
    return AffineForm{0, std::get<ChannelAffine>(std::move(map))};
  }

  bool is_normalisation() const override { return true; }

  std::optional<ChannelAffine> standardisation(const FoldArgs& args) const override {
    auto map = map_of(args, [](const Parameters& p, double epsilon) {
      const std::vector<double> ones(p[2].size(), 1.0);
      const std::vector<double> zeros(p[2].size(), 0.0);
      return batch_normalization_affine(ones, zeros, p[2], p[3], epsilon);
    });
    auto* known = std::get_if<ChannelAffine>(&map);
    return known != nullptr ? std::optional(std::move(*known)) : std::nullopt;
  }

  /// var = 1 and epsilon = 0 make scale the map's. mean = 0 makes B its shift too, which is rounded where it is large
  /// against normalised data, and so is what it cancels: then mean is where the map is 0, but for what rounding it
  /// leaves to B.
  std::optional<Absorbed> as_holder_of(const ChannelAffine& map, const FoldArgs& args) const override {
    if (args.constant(1) == nullptr || (!map.uniform() && map.axis != 1)) return std::nullopt;
    const auto C = static_cast<std::size_t>(args.constant(1)->elements());
    const ChannelAffine held = map.on_axis(1, C);
    Absorbed parameters{.inputs = {}, .attributes = {{"epsilon", 0.0F}}};
    std::vector<double> B = held.shift;
    std::vector<double> mean(C, 0.0);
    for (std::size_t c = 0; c < C; ++c) {
      constexpr double kNormalisedRange = 3.0;
      const double zero = read_doubles(
          convert(Tensor(Shape{}, std::vector<double>{-B[c] / held.scale[c]}), args.inputs[3].dtype))[0];
      if (std::abs(B[c]) <= kNormalisedRange || !std::isfinite(zero)) continue;
      mean[c] = zero;
      B[c] = std::fma(held.scale[c], zero, B[c]);
    }
    const std::vector<double> values[] = {held.scale, B, mean, std::vector(C, 1.0)};
    for (std::size_t i = 0; i < 4; ++i)
      parameters.inputs.emplace_back(i + 1, ScaledTensor{Tensor({static_cast<std::int64_t>(C)}, values[i])});
    return parameters;
  }

  std::optional<InferenceForm> at_inference(const FoldArgs&) const override {
    if (!training_) return std::nullopt;
    return InferenceForm{at_inference_, 5, "normalises with its running mean and variance"};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (training_ || !X.ranked() || X.rank() < 2) return std::nullopt;
    return spatial_ ? AxisMap::identity(X.rank()).without(1) : AxisMap::leading(1, X.rank());
  }

 private:
  using Parameters = std::array<std::vector<double>, 4>;  ///< scale, B, mean, var

  /// What `make` makes of the constant parameters, on the axis of the channels.
  template <class Make>
  OrDeclined<ChannelAffine> map_of(const FoldArgs& args, const Make& make) const {
    const ValueType& X = args.inputs[0].ranked() ? args.inputs[0] : args.outputs[0];
    if (!X.ranked()) return Declined{Decline::axis_unproven, "the rank of X is unknown"};
    Parameters parameters;
    for (std::size_t i = 0; i < 4; ++i) {
      const Tensor* constant = args.constant(i + 1);
      if (constant == nullptr) return Declined{Decline::not_constant, fmt::format("input {}", i + 1)};
      if (constant->shape().rank() != 1)
        return Declined{Decline::spatial, "its parameters are not per channel"};
      parameters[i] = read_doubles(constant->view());
    }
    if (!spatial_ && X.rank() > 2) return Declined{Decline::spatial, "spatial is 0"};
    auto affine = make(parameters, epsilon_);
    auto* map = std::get_if<ChannelAffine>(&affine);
    if (map != nullptr && X.rank() == 1) map->axis = ChannelAffine::kUniform;
    return affine;
  }

  /// X as [rows, channels, inner]. With spatial = 0 every position is a channel of its own.
  struct Layout {
    std::size_t rows, channels, inner;
  };
  Layout layout_of(const Shape& shape) const {
    const auto rows = static_cast<std::size_t>(shape[0]);
    if (shape.rank() == 1) return {rows, 1, 1};
    if (!spatial_) return {rows, static_cast<std::size_t>(shape.elements(1, shape.rank())), 1};
    return {rows, static_cast<std::size_t>(shape[1]),
            static_cast<std::size_t>(shape.elements(2, shape.rank()))};
  }

  /// Outputs 1 and 2: running mean and variance; before opset 14 outputs 3 and 4: those of the batch.
  void write_statistics(const RunArgs& args, std::size_t c, double old_mean, double old_var, double mean,
                        double var) const {
    const double values[] = {old_mean * momentum_ + mean * (1.0 - momentum_),
                             old_var * momentum_ + var * (1.0 - momentum_), mean, var};
    for (std::size_t i = 1; i < args.outputs.size() && i <= 4; ++i) {
      if (!args.out(i).defined()) continue;
      dispatch(FloatTypes{}, args.out(i).dtype,
               [&]<class T>() { args.out(i).data<T>()[c] = T(static_cast<ComputeType<T>>(values[i - 1])); });
    }
  }

  double epsilon_;
  double momentum_;
  bool training_ = false;
  /// The attribute that switches training off. From opset 7 to
  /// 13 there is none: the number of outputs decides.
  Attributes at_inference_;
  bool spatial_ = true;
  bool one_type_;  ///< of X and of all parameters
};

}  // namespace

std::unique_ptr<const Op> make_batch_normalization(AttributeReader& node) {
  return std::make_unique<BatchNormalization>(node);
}

}  // namespace bnrun
