// Max, Min, Sum, Mean of any number of tensors, element by element, under broadcasting. NaN wins.
#include <algorithm>
#include <cmath>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/op.h"
#include "op/prepared.h"
#include "op/shape_rules.h"
#include "ops/elementwise/binary_affine.h"
#include "ops/elementwise/broadcast.h"
#include "ops/elementwise/kinds.h"

namespace bnrun {
namespace {

class Variadic final : public Op, public WorksInParts {
 public:
  explicit Variadic(VariadicKind kind) : kind_(kind) {}

  bool copies() const override { return kind_ == VariadicKind::max || kind_ == VariadicKind::min; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type{args.inputs[0].dtype, std::nullopt};
    std::vector<Dims> dims;
    for (const ValueType& input : args.inputs) {
      if (input.dtype != type.dtype) {
        fail(ErrorCode::invalid_model, "its inputs have different element types, {} and {}",
             name_of(type.dtype), name_of(input.dtype));
      }
      if (input.ranked()) dims.push_back(*input.dims);
    }
    if (dims.size() == args.count()) type.dims = broadcast_dims(dims);
    type.content = infer_content(args);
    return {type};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    return inputs_of_one_type(args);
  }

  bool has_parts(std::size_t, std::size_t) const override { return true; }
  bool keeps_rows(const FoldArgs& args) const override { return broadcast_keeps_rows(args); }

  void run(const RunArgs& args) const override {
    if (adds())
      dispatch(FloatTypes{}, args.in(0).dtype, [&]<class T>() { add<T>(args); });
    else
      dispatch(NumericTypes{}, args.in(0).dtype, [&]<class T>() {
        using C = ComputeType<T>;
        combine<T>(args, [this](T a, T b) { return T(more_extreme(static_cast<C>(a), static_cast<C>(b))); });
      });
  }

  /// x alone, and x + c or (x + c)/2 for a constant c.
  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (args.inputs.size() == 1) return AffineForm{0, {}};
    if (!adds() || args.inputs.size() != 2) return Declined{Decline::not_affine, {}};
    const std::size_t constant = args.constant(1) != nullptr ? 1 : 0;
    if (args.constant(constant) == nullptr) return Declined{Decline::not_affine, {}};
    const double weight = kind_ == VariadicKind::mean ? 0.5 : 1.0;
    return affine_of_constant(
        *args.constant(constant), args.inputs[1 - constant],
        [=](double c) { return std::pair(weight, weight * c); }, 1 - constant);
  }

  /// max(s*x + t, s*y + t) = s*max(x, y) + t for s > 0; sums and means as pass_sum says.
  OrDeclined<std::vector<ChannelAffine>> pass_affines(Side from, std::span<const ChannelAffine> maps,
                                                      const FoldArgs& args) const override {
    const std::size_t count = args.inputs.size();
    if (adds()) {
      const double weight = kind_ == VariadicKind::mean ? 1.0 / static_cast<double>(count) : 1.0;
      return pass_sum(from, maps, std::vector(count, weight), args);
    }
    const ChannelAffine& map = maps[0];
    const bool grows = std::all_of(map.scale.begin(), map.scale.end(), [](double s) { return s > 0.0; });
    const bool equal = std::all_of(maps.begin(), maps.end(), [&](const auto& other) { return other == map; });
    if (!grows || !equal) return Declined{Decline::activation_between, {}};
    if (!has_channels_of(map, args.inputs, args.outputs[0]))
      return Declined{Decline::axis_unproven, "its operands are not proven to have the same channels"};
    return std::vector(from == Side::output ? count : 1, map);
  }

 private:
  /// out = f(f(in 0, in 1), in 2) ...
  template <class T, class F>
  static void combine(const RunArgs& args, F f) {
    const MutableTensorView& out = args.out(0);
    const TensorView so_far{out.dtype, out.shape, out.bytes};
    if (args.count() == 1) return copy_elements(args.in(0), out);
    broadcast_apply<T, T, T>(args.in(0), args.in(1), out, f);
    for (std::size_t k = 2; k < args.count(); ++k) broadcast_apply<T, T, T>(so_far, args.in(k), out, f);
  }

  /// The sum in double, rounded once. Of two numbers the type's own sum is that already.
  template <class T>
  void add(const RunArgs& args) const {
    using C = ComputeType<T>;
    const double divisor = kind_ == VariadicKind::mean ? static_cast<double>(args.count()) : 1.0;
    if (divisor == 1.0 && args.count() <= 2)
      return combine<T>(args, [](T a, T b) { return T(static_cast<C>(a) + static_cast<C>(b)); });
    const Shape& shape = args.out(0).shape;
    TemporaryVector<double> sums(static_cast<std::size_t>(shape.elements()), 0.0);
    for (const TensorView& input : args.inputs) {
      broadcast_apply<double, T, double>(
          {DType::float64, shape, sums.data()}, input, {DType::float64, shape, sums.data()},
          [](double sum, T x) { return sum + static_cast<double>(static_cast<C>(x)); });
    }
    std::ranges::transform(sums, args.out(0).data<T>(),
                           [&](double sum) { return T(static_cast<C>(sum / divisor)); });
  }

  bool adds() const { return kind_ == VariadicKind::sum || kind_ == VariadicKind::mean; }

  /// NaN wins, the first one. Without branches, so that it becomes vectors.
  template <class C>
  C more_extreme(C a, C b) const {
    const bool less = kind_ == VariadicKind::max ? a < b : b < a;
    if constexpr (std::is_floating_point_v<C>) {
      const bool a_is_number = a == a;
      const bool b_is_nan = b != b;
      return (less || b_is_nan) && a_is_number ? b : a;
    } else {
      return less ? b : a;
    }
  }

  std::optional<std::vector<Content>> infer_content(const InferArgs& args) const {
    if (kind_ != VariadicKind::max && kind_ != VariadicKind::min) return std::nullopt;
    std::size_t elements = 1;
    for (const ValueType& input : args.inputs) {
      if (!input.content || !input.ranked()) return std::nullopt;
      if (input.content->size() != 1) elements = input.content->size();
    }
    std::vector<Content> content(elements);
    for (std::size_t i = 0; i < elements; ++i) {
      for (const ValueType& input : args.inputs) {
        const auto& values = *input.content;
        const Content& element = values[values.size() == 1 ? 0 : i];
        if (&input == &args.inputs.front())
          content[i] = element;
        else if (element.number && content[i].number)
          content[i] = Content::of(more_extreme(*content[i].number, *element.number));
        else
          content[i] = {};
      }
    }
    return content;
  }

  VariadicKind kind_;
};

}  // namespace

std::unique_ptr<const Op> make_variadic(AttributeReader& node, VariadicKind kind) {
  check_inputs(node, std::max<std::size_t>(1, node.inputs()), node.inputs());
  if (node.version() < 6) node.ignore("consumed_inputs");
  return std::make_unique<Variadic>(kind);
}

}  // namespace bnrun
