// Elementwise activations, as operators and as the epilogue of a dense layer.
#pragma once

#include <span>

namespace bnrun {

/// f(x) as ONNX defines the operator of that name; NaN stays NaN.
struct Activation {
  enum class Kind {
    identity,
    relu,
    leaky_relu,  ///< alpha*x below 0
    elu,         ///< alpha*(exp(x) - 1) below 0
    sigmoid,
    tanh,
    celu,  ///< alpha*(exp(x/alpha) - 1) below 0
    clip,  ///< to [alpha, beta]; beta where the two cross
    gelu,
    gelu_tanh,     ///< Gelu with approximate = "tanh"
    hard_sigmoid,  ///< alpha*x + beta within [0, 1]
    hard_swish,
    mish,
    selu,    ///< beta*x above 0, beta*alpha*(exp(x) - 1) below
    shrink,  ///< beta nearer to 0, and 0 where |x| <= alpha
    softplus,
    softsign,
    swish,             ///< x*sigmoid(alpha*x)
    thresholded_relu,  ///< 0 up to alpha
  };
  Kind kind = Kind::identity;
  double alpha = 0.0;
  double beta = 0.0;

  friend bool operator==(const Activation&, const Activation&) = default;
};

/// values[i] = f(values[i]), each element in the same way wherever it stands.
template <class T>
void activate(const Activation& activation, std::span<T> values);

extern template void activate(const Activation&, std::span<float>);
extern template void activate(const Activation&, std::span<double>);

}  // namespace bnrun
