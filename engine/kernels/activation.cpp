#include "kernels/activation.h"

#include <cmath>

namespace bnrun {
namespace {

template <class T, class F>
void map(std::span<T> values, F f) {
  for (T& x : values) x = f(x);
}

}  // namespace

template <class T>
void activate(const Activation& activation, std::span<T> values) {
  const T alpha = static_cast<T>(activation.alpha);
  switch (activation.kind) {
    case Activation::Kind::identity:
      return;
    case Activation::Kind::relu:
      return map(values, [](T x) { return x < T(0) ? T(0) : x; });
    case Activation::Kind::leaky_relu:
      return map(values, [=](T x) { return x < T(0) ? alpha * x : x; });
    case Activation::Kind::elu:
      return map(values, [=](T x) { return x < T(0) ? alpha * std::expm1(x) : x; });
    case Activation::Kind::tanh:
      return map(values, [](T x) { return std::tanh(x); });
    case Activation::Kind::sigmoid:
      // exp of a negative number only, so that nothing overflows
      return map(values, [](T x) {
        const T e = std::exp(-std::abs(x));
        return (x < T(0) ? e : T(1)) / (T(1) + e);
      });
  }
}

template void activate(const Activation&, std::span<float>);
template void activate(const Activation&, std::span<double>);

}  // namespace bnrun
