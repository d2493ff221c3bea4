// Elementwise activations, as operators and as the epilogue of a dense layer.
#pragma once

#include <span>

namespace bnrun {

/// f(x) as ONNX defines the operator of that name; NaN stays NaN.
struct Activation {
  enum class Kind { identity, relu, leaky_relu, elu, sigmoid, tanh };
  Kind kind = Kind::identity;
  double alpha = 0.0;  ///< slope of leaky_relu, scale of elu

  friend bool operator==(const Activation&, const Activation&) = default;
};

/// values[i] = f(values[i]), each element in the same way wherever it stands.
template <class T>
void activate(const Activation& activation, std::span<T> values);

extern template void activate(const Activation&, std::span<float>);
extern template void activate(const Activation&, std::span<double>);

}  // namespace bnrun
