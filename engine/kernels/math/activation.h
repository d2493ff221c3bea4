// Elementwise activations, as operators and as the epilogue of a dense layer.
#pragma once

#include <optional>
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
    gelu_tanh,   ///< Gelu with approximate = "tanh"
    gelu_twice,  ///< 2*Gelu, where what follows has the half
    gelu_tanh_twice,
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

/// x * f(x) as an activation of its own, where it has a name.
std::optional<Activation> gated_by(const Activation& f);

/// y[i] = f(x[i]), each element in the same way wherever it stands, whatever the size, and on every vector
/// width (processors without fused multiply-add may differ in the last places). x may be y.
template <class T>
void activate(const Activation& activation, std::span<const T> x, T* y);

template <>
void activate(const Activation&, std::span<const float>, float*);
template <>
void activate(const Activation&, std::span<const double>, double*);

/// values[i] = f(values[i])
template <class T>
void activate(const Activation& activation, std::span<T> values) {
  activate<T>(activation, std::span<const T>(values), values.data());
}

}  // namespace bnrun
