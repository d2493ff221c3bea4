// Pow: Z = X^Y under broadcasting, of the type of X; Y may have another. Integers to integers wrap around as
// products do; a float result that becomes an integer truncates and saturates.
#include <cmath>
#include <limits>

#include "base/dispatch.h"
#include "base/fail.h"
#include "kernels/math/unary.h"
#include "op/formula.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/elementwise/broadcast.h"
#include "ops/elementwise/float_map.h"

namespace bnrun {
namespace {

template <class T>
T integer_power(T base, std::int64_t exponent) {
  if (exponent < 0) {
    // 1/base^n, truncated
    if (base == T(1)) return T(1);
    if (base == T(-1)) return exponent % 2 == 0 ? T(1) : T(-1);
    return T(0);
  }
  std::uint64_t result = 1;
  for (auto square = static_cast<std::uint64_t>(base); exponent != 0; exponent >>= 1, square *= square) {
    if ((exponent & 1) != 0) result *= square;
  }
  return static_cast<T>(result);
}

template <class T>
T saturated(double x) {
  if (std::isnan(x)) return T(0);
  if (x <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  if (x >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  return static_cast<T>(x);
}

/// x^2, x^3, sqrt(x) and so on, which are exact to a rounding without the general function; false: no such.
bool run_simple_power(double exponent, const TensorView& X, const MutableTensorView& Y) {
  const auto run = [&](auto power) {
    map_floats(X, Y, [=]<class C>(std::span<const C> x, C* y) {
      for (std::size_t i = 0; i < x.size(); ++i) y[i] = power(x[i]);
    });
    return true;
  };
  if (exponent == 1.0) return run([](auto x) { return x; });
  if (exponent == 2.0) return run([](auto x) { return x * x; });
  if (exponent == 3.0) {
    return run([](auto x) {
      const auto wide = static_cast<double>(x);
      return static_cast<decltype(x)>(wide * wide * wide);
    });
  }
  if (exponent == -1.0) return run([](auto x) { return decltype(x)(1) / x; });
  if (exponent == 0.5) {
    map_floats(X, Y, []<class C>(std::span<const C> x, C* y) {
      constexpr C kInf = std::numeric_limits<C>::infinity();
      // unlike sqrt: pow(-0, 0.5) = 0 and pow(-inf, 0.5) = inf
      for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] == -kInf ? kInf : x[i] + C(0);
      evaluate(UnaryFunction::sqrt, std::span<const C>(y, x.size()), y);
    });
    return true;
  }
  return false;
}

class Pow final : public Op, public HasFormula {
 public:
  explicit Pow(LegacyBroadcast legacy) : legacy_(legacy) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType operands[] = {args.inputs[0], args.inputs[1]};
    operands[1].dtype = operands[0].dtype;
    return {infer_broadcast({.inputs = operands, .values = {}}, legacy_)};
  }

  void run(const RunArgs& args) const override {
    const TensorView Y = legacy_.align(args.in(1), args.in(0).shape.rank());
    if (is_floating(args.in(0).dtype) && Y.elements() == 1 && args.out(0).shape == args.in(0).shape &&
        run_simple_power(first_element<double>(Y), args.in(0), args.out(0)))
      return;
    if (is_integer(args.in(0).dtype) && is_integer(Y.dtype)) {
      run_as<std::int64_t>(TypeList<std::int32_t, std::int64_t>{}, args, Y,
                           []<class C>(C x, std::int64_t y) { return integer_power(x, y); });
    } else {
      const auto power_of = []<class C>(C x, auto y) {
        const double power = std::pow(static_cast<double>(x), static_cast<double>(y));
        if constexpr (std::is_integral_v<C>)
          return saturated<C>(power);
        else
          return static_cast<C>(power);
      };
      using Bases = TypeList<float, double, Half, BFloat16, std::int32_t, std::int64_t>;
      if (Y.dtype == DType::float32)
        run_as<float>(Bases{}, args, Y, power_of);
      else
        run_as<double>(Bases{}, args, Y, power_of);
    }
  }

  std::optional<Formula> formula(const FoldArgs& args) const override {
    const Tensor* exponent = args.constant(1);
    const bool of_each = exponent != nullptr && exponent->elements() == 1 &&
                         is_floating(args.inputs[0].dtype) && args.inputs[0].ranked() &&
                         exponent->shape().rank() <= args.inputs[0].rank();
    if (!of_each) return std::nullopt;
    return Formula{Formula::Kind::power, read_doubles(exponent->view())[0]};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return broadcast_axes(args, legacy_); }
  bool keeps_rows(const FoldArgs& args) const override { return broadcast_keeps_rows(args, legacy_); }

 private:
  /// out = f(x, y) with y as E, into which exponents of another type are copied.
  template <class E, class Bases, class F>
  static void run_as(Bases bases, const RunArgs& args, const TensorView& Y, F f) {
    TemporaryVector<E> copied;
    TensorView exponents = Y;
    if (Y.dtype != dtype_of<E>) {
      copied.resize(static_cast<std::size_t>(Y.elements()));
      const MutableTensorView copy{dtype_of<E>, Y.shape, copied.data()};
      convert(Y, copy);
      exponents = copy;
    }
    dispatch(bases, args.in(0).dtype, [&]<class T>() {
      broadcast_apply<T, E, T>(args.in(0), exponents, args.out(0),
                               [f](T x, E y) { return T(f(static_cast<ComputeType<T>>(x), y)); });
    });
  }

  LegacyBroadcast legacy_;
};

}  // namespace

std::unique_ptr<const Op> make_pow(AttributeReader& node) {
  check_inputs(node, 2, 2);
  return std::make_unique<Pow>(LegacyBroadcast::read(node));
}

}  // namespace bnrun
