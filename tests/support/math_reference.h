// Functions of one number as the C library computes them, beside the engine's kernels and the error promised.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "kernels/math/activation.h"
#include "kernels/math/unary.h"

namespace bnrun::testing {

template <class T>
struct MathFunction {
  const char* name;
  void (*kernel)(std::span<const T> x, T* y);
  long double (*exact)(long double x);
  double ulp;          ///< largest error promised
  bool rises = false;  ///< x < x' implies f(x) <= f(x')
};

template <class T, Activation::Kind kind>
void activation_kernel(std::span<const T> x, T* y) {
  activate<T>(Activation{kind, kind == Activation::Kind::selu ? 1.6732632423543772 : 1.0,
                         kind == Activation::Kind::selu ? 1.0507009873554805 : 0.0},
              x, y);
}

template <class T, UnaryFunction function>
void unary_kernel(std::span<const T> x, T* y) {
  evaluate<T>(function, x, y);
}

inline long double exact_sigmoid(long double x) {
  return 1 / (1 + std::exp(-x));
}
inline long double exact_softplus(long double x) {
  return std::fmax(x, 0.0L) + std::log1p(std::exp(-std::abs(x)));
}

/// The limits at infinity, where the formula itself is not a number.
template <long double (*f)(long double)>
long double zero_at_minus_infinity(long double x) {
  return std::isinf(x) && x < 0 ? 0.0L : f(x);
}
inline long double gelu_formula(long double x) {
  return x / 2 * std::erfc(-x * 0.707106781186547524400844362104849039L);
}
inline long double gelu_tanh_formula(long double x) {
  return x / (1 + std::exp(-1.595769121605730711759784498104L * (x + 0.044715L * x * x * x)));
}
inline long double mish_formula(long double x) {
  const long double e = std::exp(std::fmin(x, 100.0L));
  const long double n = e * (e + 2);
  return x * (n / (n + 2));
}
inline long double swish_formula(long double x) {
  return x * exact_sigmoid(x);
}

template <class T>
std::span<const MathFunction<T>> math_functions() {
  using K = Activation::Kind;
  using F = UnaryFunction;
  constexpr bool kFloat = std::is_same_v<T, float>;
  // through doubles: rounded once
  constexpr double kOnce = 0.51;
  static const MathFunction<T> rows[] = {
      {"exp", unary_kernel<T, F::exp>, [](long double x) { return std::exp(x); }, 1.1, true},
      {"log", unary_kernel<T, F::log>, [](long double x) { return std::log(x); }, kFloat ? kOnce : 1.5, true},
      {"sin", unary_kernel<T, F::sin>, [](long double x) { return std::sin(x); }, kFloat ? kOnce : 1.0},
      {"cos", unary_kernel<T, F::cos>, [](long double x) { return std::cos(x); }, kFloat ? kOnce : 1.0},
      {"erf", unary_kernel<T, F::erf>, [](long double x) { return std::erf(x); }, kFloat ? 1.0 : 1.5, true},
      {"tanh", activation_kernel<T, K::tanh>, [](long double x) { return std::tanh(x); }, kFloat ? 1.0 : 1.5,
       true},
      {"sigmoid", activation_kernel<T, K::sigmoid>, exact_sigmoid, 2.1, true},
      {"gelu", activation_kernel<T, K::gelu>, zero_at_minus_infinity<gelu_formula>, kFloat ? 2.0 : 5.0},
      {"gelu_tanh", activation_kernel<T, K::gelu_tanh>, zero_at_minus_infinity<gelu_tanh_formula>, 2.1},
      {"swish", activation_kernel<T, K::swish>, zero_at_minus_infinity<swish_formula>, 2.1},
      {"softplus", activation_kernel<T, K::softplus>, exact_softplus, kFloat ? kOnce : 2.0, kFloat},
      {"mish", activation_kernel<T, K::mish>, zero_at_minus_infinity<mish_formula>, kFloat ? kOnce : 4.0},
      {"elu", activation_kernel<T, K::elu>, [](long double x) { return x < 0 ? std::expm1(x) : x; },
       kFloat ? kOnce : 2.0, true},
  };
  return rows;
}

/// |y - exact| in units of the last place that T has at `exact`.
template <class T>
double error_in_ulp(T y, long double exact) {
  if (std::isnan(exact)) return std::isnan(y) ? 0.0 : std::numeric_limits<double>::infinity();
  using Limits = std::numeric_limits<T>;
  const auto rounded = static_cast<T>(exact);
  if (std::isinf(rounded) || std::isinf(y))
    return y == rounded ? 0.0 : std::numeric_limits<double>::infinity();
  const int exponent = exact == 0 ? Limits::min_exponent : std::ilogb(exact) + 1;
  const int last = std::max(exponent, Limits::min_exponent) - Limits::digits;
  return static_cast<double>(std::abs(std::ldexp(static_cast<long double>(y) - exact, -last)));
}

}  // namespace bnrun::testing
