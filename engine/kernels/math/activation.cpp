#include "kernels/math/activation.h"

#include <cmath>
#include <numbers>

namespace bnrun {
namespace {

template <class T, class F>
void map(std::span<T> values, F f) {
  for (T& x : values) x = f(x);
}

/// exp of a negative number only, so that nothing overflows.
template <class T>
T sigmoid(T x) {
  const T e = std::exp(-std::abs(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

/// log(1 + exp(x)), likewise.
template <class T>
T softplus(T x) {
  return (x > T(0) ? x : T(0)) + std::log1p(std::exp(-std::abs(x)));
}

/// The comparisons are such that NaN comes through.
template <class T>
T clip(T x, T low, T high) {
  const T raised = x < low ? low : x;
  return raised > high ? high : raised;
}

}  // namespace

template <class T>
void activate(const Activation& activation, std::span<T> values) {
  using Kind = Activation::Kind;
  const T alpha = static_cast<T>(activation.alpha);
  const T beta = static_cast<T>(activation.beta);
  switch (activation.kind) {
    case Kind::identity:
      return;
    case Kind::relu:
      return map(values, [](T x) { return x < T(0) ? T(0) : x; });
    case Kind::leaky_relu:
      return map(values, [=](T x) { return x < T(0) ? alpha * x : x; });
    case Kind::elu:
      return map(values, [=](T x) { return x < T(0) ? alpha * std::expm1(x) : x; });
    case Kind::sigmoid:
      return map(values, sigmoid<T>);
    case Kind::tanh:
      return map(values, [](T x) { return std::tanh(x); });
    case Kind::celu:
      return map(values, [=](T x) { return x < T(0) ? alpha * std::expm1(x / alpha) : x; });
    case Kind::clip:
      return map(values, [=](T x) { return clip(x, alpha, beta); });
    case Kind::gelu:
      // x*(1 + erf(x/sqrt(2)))/2 without the cancellation of 1 + erf
      return map(values, [](T x) { return x / T(2) * std::erfc(-x / std::numbers::sqrt2_v<T>); });
    case Kind::gelu_tanh: {
      const T factor = std::numbers::sqrt2_v<T> * std::numbers::inv_sqrtpi_v<T>;
      return map(values, [=](T x) {
        return x / T(2) * (T(1) + std::tanh(factor * (x + static_cast<T>(0.044715) * x * x * x)));
      });
    }
    case Kind::hard_sigmoid:
      return map(values, [=](T x) { return clip(alpha * x + beta, T(0), T(1)); });
    case Kind::hard_swish:
      return map(values, [](T x) { return x * clip(x / T(6) + T(0.5), T(0), T(1)); });
    case Kind::mish:
      return map(values, [](T x) { return x * std::tanh(softplus(x)); });
    case Kind::selu:
      return map(values, [=](T x) { return beta * (x < T(0) ? alpha * std::expm1(x) : x); });
    case Kind::shrink:
      return map(values, [=](T x) {
        if (x < -alpha) return x + beta;
        if (x > alpha) return x - beta;
        return std::isnan(x) ? x : T(0);
      });
    case Kind::softplus:
      return map(values, softplus<T>);
    case Kind::softsign:
      return map(values, [](T x) { return x / (T(1) + std::abs(x)); });
    case Kind::swish:
      return map(values, [=](T x) { return x * sigmoid(alpha * x); });
    case Kind::thresholded_relu:
      return map(values, [=](T x) { return x <= alpha ? T(0) : x; });
  }
}

template void activate(const Activation&, std::span<float>);
template void activate(const Activation&, std::span<double>);

}  // namespace bnrun
