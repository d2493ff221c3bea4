// Arithmetic of two tensors under broadcasting: C = A op B.
#include <algorithm>
#include <array>
#include <functional>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/formula.h"
#include "op/op.h"
#include "op/prepared.h"
#include "op/shape_rules.h"
#include "ops/elementwise/binary_affine.h"
#include "ops/elementwise/broadcast.h"
#include "ops/elementwise/kinds.h"

namespace bnrun {
namespace {

template <class T>
T divide(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    // ONNX does not define x / 0 and lowest / -1, and in C++ both are undefined
    // behaviour. Here the first is 0 and the second wraps around.
    if (b == T(0)) return T(0);
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return static_cast<T>(T(0) - static_cast<std::make_unsigned_t<T>>(a));
    }
    return static_cast<T>(a / b);
  } else {
    return a / b;
  }
}

/// Integers wrap around; computing them unsigned keeps that defined.
template <class T, class F>
T wrapping(T a, T b, F f) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::uint64_t;
    return static_cast<T>(f(static_cast<U>(a), static_cast<U>(b)));
  } else {
    return static_cast<T>(f(a, b));
  }
}

class BinaryOp final : public Op, public WorksInParts, public HasFormula {
 public:
  BinaryOp(Arithmetic kind, LegacyBroadcast legacy) : kind_(kind), legacy_(legacy) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type = infer_broadcast(args, legacy_);
    type.content = infer_content(args);
    return {type};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = inputs_of_one_type(args);
    // Only the longer operand decides the rank, and where the shorter has 1 or nothing, the extents.
    const ValueType& Y = args.outputs[0];
    for (std::size_t i = 0; i < 2 && Y.ranked() && !legacy_.enabled; ++i) {
      const ValueType& other = types[1 - i];
      if (types[i].ranked() || !other.ranked() || other.rank() >= Y.rank()) continue;
      types[i].dims = Y.dims;
      for (std::size_t k = 0; k < other.rank(); ++k) {
        if (!(other.dims->rbegin()[static_cast<std::ptrdiff_t>(k)] == Dim(1)))
          types[i].dims->rbegin()[static_cast<std::ptrdiff_t>(k)] = Dim();
      }
    }
    return types;
  }

  bool has_parts(std::size_t, std::size_t) const override { return !legacy_.enabled; }

  void run(const RunArgs& args) const override {
    dispatch(NumericTypes{}, args.in(0).dtype, [&]<class T>() {
      using C = ComputeType<T>;
      const auto apply = [&](auto f) {
        broadcast_apply<T, T, T>(args.in(0), legacy_.align(args.in(1), args.in(0).shape.rank()), args.out(0),
                                 [f](T a, T b) { return T(f(static_cast<C>(a), static_cast<C>(b))); });
      };
      switch (kind_) {
        case Arithmetic::add:
          return apply([](C a, C b) { return wrapping(a, b, std::plus<>()); });
        case Arithmetic::sub:
          return apply([](C a, C b) { return wrapping(a, b, std::minus<>()); });
        case Arithmetic::mul:
          return apply([](C a, C b) { return wrapping(a, b, std::multiplies<>()); });
        case Arithmetic::div:
          return apply([](C a, C b) { return divide(a, b); });
      }
    });
  }

  /// x op c and c op x for a constant c; c / x is not affine.
  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    const std::size_t constant_input = args.constant(1) != nullptr ? 1 : 0;
    const std::size_t data_input = 1 - constant_input;
    if (args.constant(constant_input) == nullptr) return Declined{Decline::not_affine, {}};
    if (!is_floating(args.inputs[data_input].dtype)) return Declined{Decline::not_affine, "integers"};
    if (kind_ == Arithmetic::div && constant_input == 0)
      return Declined{Decline::not_affine, "a constant divided by x"};
    Tensor constant = *args.constant(constant_input);
    if (legacy_.enabled && !args.inputs[0].ranked())
      return Declined{Decline::axis_unproven, "the rank of its input is unknown"};
    if (legacy_.enabled)
      constant = constant.reshaped(legacy_.align(constant.view(), args.inputs[0].rank()).shape);
    return affine_of_constant(
        constant, args.inputs[data_input],
        [&](double c) -> std::pair<double, double> {
          switch (kind_) {
            case Arithmetic::add:
              return {1.0, c};
            case Arithmetic::sub:
              return constant_input == 1 ? std::pair(1.0, -c) : std::pair(-1.0, c);
            case Arithmetic::mul:
              return {c, 0.0};
            case Arithmetic::div:
              return {1.0 / c, 0.0};
          }
          return {1.0, 0.0};
        },
        data_input);
  }

  OrDeclined<std::vector<ChannelAffine>> pass_affines(Side from, std::span<const ChannelAffine> maps,
                                                      const FoldArgs& args) const override {
    if (legacy_.enabled) return Declined{Decline::activation_between, {}};
    if (kind_ == Arithmetic::mul || kind_ == Arithmetic::div)
      return pass_product(from, maps, kind_ == Arithmetic::div, args);
    return pass_sum(from, maps, std::array{1.0, kind_ == Arithmetic::add ? 1.0 : -1.0}, args);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return broadcast_axes(args, legacy_); }
  bool keeps_rows(const FoldArgs& args) const override { return broadcast_keeps_rows(args, legacy_); }

  std::optional<Formula> formula(const FoldArgs& args) const override {
    if (legacy_.enabled || !is_floating(args.inputs[0].dtype)) return std::nullopt;
    switch (kind_) {
      case Arithmetic::add:
        return Formula{Formula::Kind::sum};
      case Arithmetic::sub:
        return Formula{Formula::Kind::difference};
      case Arithmetic::mul:
        return Formula{Formula::Kind::product};
      case Arithmetic::div:
        return Formula{Formula::Kind::quotient};
    }
    return std::nullopt;
  }

  std::optional<ChannelsLast> channels_last(const FoldArgs& args) const override {
    if (legacy_.enabled) return std::nullopt;
    return broadcast_channels_last(args);
  }

 private:
  std::optional<std::vector<Content>> infer_content(const InferArgs& args) const {
    const auto& a = args.inputs[0].content;
    const auto& b = args.inputs[1].content;
    if (!a || !b || legacy_.enabled || (a->size() != b->size() && a->size() != 1 && b->size() != 1))
      return std::nullopt;
    std::vector<Content> content;
    for (std::size_t i = 0; i < std::max(a->size(), b->size()); ++i) {
      content.push_back(combine((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]));
    }
    return content;
  }

  Content combine(const Content& a, const Content& b) const {
    if (a.number && b.number) {
      switch (kind_) {
        case Arithmetic::add:
          return Content::of(wrapping(*a.number, *b.number, std::plus<>()));
        case Arithmetic::sub:
          return Content::of(wrapping(*a.number, *b.number, std::minus<>()));
        case Arithmetic::mul:
          return Content::of(wrapping(*a.number, *b.number, std::multiplies<>()));
        case Arithmetic::div:
          return Content::of(divide(*a.number, *b.number));
      }
    }
    const bool neutral = kind_ == Arithmetic::mul || kind_ == Arithmetic::div ? b.number == 1 : b.number == 0;
    return neutral ? a : Content{};
  }

  Arithmetic kind_;
  LegacyBroadcast legacy_;
};

}  // namespace

std::unique_ptr<const Op> make_binary(AttributeReader& node, Arithmetic kind) {
  check_inputs(node, 2, 2);
  const auto legacy = LegacyBroadcast::read(node);
  node.ignore("consumed_inputs");
  return std::make_unique<BinaryOp>(kind, legacy);
}

}  // namespace bnrun
