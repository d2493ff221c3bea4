// Elementwise mathematics of one input: Y = f(X) of the same shape. fp16 and bf16 compute in float.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/dispatch.h"
#include "base/fail.h"
#include "kernels/math/unary.h"
#include "op/formula.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/prepared.h"
#include "op/shape_rules.h"
#include "ops/elementwise/float_map.h"
#include "ops/elementwise/kinds.h"

namespace bnrun {
namespace {

using UnaryRun = void (*)(const TensorView& X, const MutableTensorView& Y);

struct UnaryRow {
  UnaryKind kind;
  UnaryRun run;
  DType result = DType::undefined;  ///< undefined: the type of X
};

/// y = f(x) of the input's own type.
template <class Types, class F>
constexpr UnaryRow same_type(UnaryKind kind, F) {
  return {kind, [](const TensorView& X, const MutableTensorView& Y) {
            dispatch(Types{}, X.dtype, [&]<class T>() {
              T* y = Y.data<T>();
              for (const T& x : X.span<T>()) *y++ = T(F{}(static_cast<ComputeType<T>>(x)));
            });
          }};
}

/// The same through a kernel on whole vectors.
template <UnaryFunction function>
constexpr UnaryRow vectors(UnaryKind kind) {
  return {kind, [](const TensorView& X, const MutableTensorView& Y) {
            map_floats(X, Y, []<class C>(std::span<const C> x, C* y) { evaluate(function, x, y); });
          }};
}

template <class Types, class F>
constexpr UnaryRow predicate(UnaryKind kind, F) {
  return {kind,
          [](const TensorView& X, const MutableTensorView& Y) {
            dispatch(Types{}, X.dtype, [&]<class T>() {
              bool* y = Y.data<bool>();
              for (const T& x : X.span<T>()) *y++ = F{}(static_cast<ComputeType<T>>(x));
            });
          },
          DType::boolean};
}

/// Unsigned, so that the most negative number wraps around instead of overflowing.
template <class T>
T negated(T x) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(std::uint64_t{0} - static_cast<std::uint64_t>(x));
  else
    return -x;
}

using SignedNumberTypes =
    TypeList<float, double, Half, BFloat16, std::int8_t, std::int16_t, std::int32_t, std::int64_t>;

const UnaryRow& row_of(UnaryKind kind) {
  static constexpr UnaryRow kRows[] = {
      same_type<FloatTypes>(UnaryKind::acos, [](auto x) { return std::acos(x); }),
      same_type<FloatTypes>(UnaryKind::acosh, [](auto x) { return std::acosh(x); }),
      same_type<FloatTypes>(UnaryKind::asin, [](auto x) { return std::asin(x); }),
      same_type<FloatTypes>(UnaryKind::asinh, [](auto x) { return std::asinh(x); }),
      same_type<FloatTypes>(UnaryKind::atan, [](auto x) { return std::atan(x); }),
      same_type<FloatTypes>(UnaryKind::atanh, [](auto x) { return std::atanh(x); }),
      same_type<FloatTypes>(UnaryKind::ceil, [](auto x) { return std::ceil(x); }),
      vectors<UnaryFunction::cos>(UnaryKind::cos),
      same_type<FloatTypes>(UnaryKind::cosh, [](auto x) { return std::cosh(x); }),
      vectors<UnaryFunction::exp>(UnaryKind::exp),
      same_type<FloatTypes>(UnaryKind::floor, [](auto x) { return std::floor(x); }),
      vectors<UnaryFunction::log>(UnaryKind::log),
      vectors<UnaryFunction::reciprocal>(UnaryKind::reciprocal),
      // the rounding mode of a process that never changes it: half to even
      same_type<FloatTypes>(UnaryKind::round, [](auto x) { return std::nearbyint(x); }),
      vectors<UnaryFunction::sin>(UnaryKind::sin),
      same_type<FloatTypes>(UnaryKind::sinh, [](auto x) { return std::sinh(x); }),
      vectors<UnaryFunction::sqrt>(UnaryKind::sqrt),
      same_type<FloatTypes>(UnaryKind::tan, [](auto x) { return std::tan(x); }),
      same_type<NumericTypes>(UnaryKind::abs,
                              [](auto x) {
                                if constexpr (std::is_floating_point_v<decltype(x)>)
                                  return std::abs(x);
                                else
                                  return x < 0 ? negated(x) : x;
                              }),
      {UnaryKind::erf,
       [](const TensorView& X, const MutableTensorView& Y) {
         if (is_floating(X.dtype)) return vectors<UnaryFunction::erf>(UnaryKind::erf).run(X, Y);
         dispatch(IntegerTypes{}, X.dtype, [&]<class T>() {
           std::ranges::transform(X.span<T>(), Y.data<T>(),
                                  [](T x) { return static_cast<T>(std::erf(static_cast<double>(x))); });
         });
       }},
      same_type<NumericTypes>(UnaryKind::sign,
                              [](auto x) {
                                using T = decltype(x);
                                if constexpr (std::is_floating_point_v<T>) {
                                  if (std::isnan(x)) return x;
                                }
                                return static_cast<T>((x > T(0) ? 1 : 0) - (x < T(0) ? 1 : 0));
                              }),
      same_type<SignedNumberTypes>(UnaryKind::neg, [](auto x) { return negated(x); }),
      same_type<IntegerTypes>(UnaryKind::bitwise_not, [](auto x) { return static_cast<decltype(x)>(~x); }),
      same_type<TypeList<bool>>(UnaryKind::logical_not, [](bool x) { return !x; }),
      predicate<FloatTypes>(UnaryKind::is_nan, [](auto x) { return std::isnan(x); }),
  };
  static_assert(std::size(kRows) == static_cast<std::size_t>(UnaryKind::is_nan) + 1 && [] {
    for (std::size_t i = 0; i < std::size(kRows); ++i) {
      if (kRows[i].kind != static_cast<UnaryKind>(i)) return false;
    }
    return true;
  }());
  return kRows[static_cast<std::size_t>(kind)];
}

class UnaryMath final : public Op, public WorksInParts, public HasFormula {
 public:
  UnaryMath(UnaryKind kind, AttributeReader& node) : negates_(kind == UnaryKind::neg), row_(row_of(kind)) {
    check_inputs(node, 1, 1);
    if (node.version() < 6) node.ignore("consumed_inputs");
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type = args.inputs[0];
    type.content.reset();
    if (row_.result != DType::undefined) type.dtype = row_.result;
    if (negates_ && args.inputs[0].content) {
      type.content.emplace();
      for (const Content& element : *args.inputs[0].content) {
        type.content->push_back(element.number ? Content::of(negated(*element.number)) : Content{});
      }
    }
    return {type};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    if (row_.result == DType::undefined) return input_like_output(args);
    return {args.inputs.begin(), args.inputs.end()};
  }

  bool has_parts(std::size_t, std::size_t) const override { return true; }

  void run(const RunArgs& args) const override { row_.run(args.in(0), args.out(0)); }

  std::optional<Formula> formula(const FoldArgs& args) const override {
    if (!is_floating(args.inputs[0].dtype)) return std::nullopt;
    switch (row_.kind) {
      case UnaryKind::sqrt:
        return Formula{Formula::Kind::power, 0.5};
      case UnaryKind::reciprocal:
        return Formula{Formula::Kind::power, -1.0};
      case UnaryKind::erf:
        return Formula{Formula::Kind::erf};
      default:
        return std::nullopt;
    }
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (!negates_ || !is_floating(args.inputs[0].dtype)) return Declined{Decline::not_affine, {}};
    return AffineForm{0, {ChannelAffine::kUniform, {-1.0}, {0.0}}};
  }

  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs&) const override {
    if (row_.kind == UnaryKind::abs) return pass_norm(from, affine);
    return Declined{Decline::activation_between, {}};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return elementwise_axes(args); }

 private:
  bool negates_;
  UnaryRow row_;
};

/// IsInf tells the infinities apart on request.
class IsInf final : public Op {
 public:
  explicit IsInf(AttributeReader& node)
      : positive_(node.get_bool("detect_positive", true)), negative_(node.get_bool("detect_negative", true)) {
    check_inputs(node, 1, 1);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    return {ValueType{DType::boolean, args.inputs[0].dims}};
  }

  void run(const RunArgs& args) const override {
    dispatch(FloatTypes{}, args.in(0).dtype, [&]<class T>() {
      bool* y = args.out(0).data<bool>();
      for (const T& element : args.in(0).span<T>()) {
        const auto x = static_cast<ComputeType<T>>(element);
        *y++ = std::isinf(x) && (x > 0 ? positive_ : negative_);
      }
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return elementwise_axes(args); }

 private:
  bool positive_;
  bool negative_;
};

}  // namespace

std::unique_ptr<const Op> make_unary_math(AttributeReader& node, UnaryKind kind) {
  return std::make_unique<UnaryMath>(kind, node);
}

std::unique_ptr<const Op> make_is_inf(AttributeReader& node) {
  return std::make_unique<IsInf>(node);
}

}  // namespace bnrun
