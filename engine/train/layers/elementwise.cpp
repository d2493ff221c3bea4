#include "train/layers/elementwise.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.h"
#include "kernels/math/softmax.h"

namespace bnrun::train {
namespace {

using Kind = bnrun::Activation::Kind;

// Klambauer et al. 2017, arXiv 1706.02515, section 1.
constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr double kSeluScale = 1.0507009873554804934193349852946;

/// Phi(x) + x * phi(x)
double gelu_slope(double x) {
  const double density = std::exp(-0.5 * x * x) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
  return 0.5 * (1.0 + std::erf(x / std::numbers::sqrt2)) + x * density;
}

}  // namespace

bnrun::Activation kernel_of(Activation kind) {
  switch (kind) {
    case Activation::relu:
      return {Kind::relu};
    case Activation::tanh:
      return {Kind::tanh};
    case Activation::sigmoid:
      return {Kind::sigmoid};
    case Activation::gelu:
      return {Kind::gelu};
    case Activation::selu:
      return {Kind::selu, kSeluAlpha, kSeluScale};
    default:
      return {Kind::identity};
  }
}

template <class T>
void ActivationLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  activate<T>(function_, std::span(x, count_of(rows * this->outputs())), y);
}

template <class T>
void ActivationLayer<T>::backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) {
  if (dx == nullptr) return;
  const std::int64_t elements = rows * this->outputs();
  const auto each = [&](auto slope) {
    for (std::int64_t i = 0; i < elements; ++i) dx[i] = dy[i] * slope(x[i], y[i]);
  };
  const auto alpha = static_cast<T>(function_.alpha);
  const auto beta = static_cast<T>(function_.beta);
  switch (function_.kind) {
    case Kind::relu:
      return each([](T /*x*/, T value) { return value > T(0) ? T(1) : T(0); });
    case Kind::leaky_relu:
      return each([=](T at, T /*y*/) { return at > T(0) ? T(1) : alpha; });
    case Kind::elu:
      return each([=](T at, T value) { return at > T(0) ? T(1) : value + alpha; });
    case Kind::selu:
      return each([=](T at, T value) { return at > T(0) ? beta : value + beta * alpha; });
    case Kind::tanh:
      return each([](T /*x*/, T value) { return T(1) - value * value; });
    case Kind::sigmoid:
      return each([](T /*x*/, T value) { return value * (T(1) - value); });
    case Kind::gelu:
      return each([](T at, T /*y*/) { return static_cast<T>(gelu_slope(static_cast<double>(at))); });
    default:
      return each([](T /*x*/, T /*y*/) { return T(1); });
  }
}

template <class T>
void SoftmaxLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  softmax<T>(SoftmaxResult::probabilities, x, rows, this->outputs(), 1, y);
}

template <class T>
void SoftmaxLayer<T>::backward(std::int64_t rows, const T* /*x*/, const T* y, const T* dy, T* dx) {
  if (dx == nullptr) return;
  const std::int64_t classes = this->outputs();
  for (std::int64_t r = 0; r < rows; ++r, y += classes, dy += classes, dx += classes) {
    T sum = T(0);
    for (std::int64_t c = 0; c < classes; ++c) sum += dy[c] * y[c];
    for (std::int64_t c = 0; c < classes; ++c) dx[c] = y[c] * (dy[c] - sum);
  }
}

template <class T>
DropoutLayer<T>::DropoutLayer(const Dropout& spec, std::int64_t width)
    : Layer<T>(width, width), rate_(spec.rate) {
  if (!(spec.rate >= 0.0 && spec.rate < 1.0))
    fail(ErrorCode::invalid_input, "Dropout with rate {}, expected 0 <= rate < 1", spec.rate);
}

template <class T>
void DropoutLayer<T>::drop(std::int64_t rows, const T* x, T* y) const {
  const std::int64_t elements = rows * this->outputs();
  const auto kept = static_cast<T>(1.0 / (1.0 - rate_));
  const std::uint64_t stream = step_.seed ^ (step_.number * 0xd1b54a32d192ed03);
  for (std::int64_t i = 0; i < elements; ++i)
    y[i] = uniform_at(stream, static_cast<std::uint64_t>(i)) < rate_ ? T(0) : x[i] * kept;
}

template <class T>
void DropoutLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  std::copy_n(x, rows * this->outputs(), y);
}

template <class T>
void DropoutLayer<T>::backward(std::int64_t rows, const T* /*x*/, const T* /*y*/, const T* dy, T* dx) {
  if (dx != nullptr) drop(rows, dy, dx);
}

template <class T>
void PassingLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  std::copy_n(x, rows * this->outputs(), y);
}

template <class T>
void PassingLayer<T>::backward(std::int64_t rows, const T* /*x*/, const T* /*y*/, const T* dy, T* dx) {
  if (dx != nullptr) std::copy_n(dy, rows * this->outputs(), dx);
}

template class ActivationLayer<float>;
template class ActivationLayer<double>;
template class SoftmaxLayer<float>;
template class SoftmaxLayer<double>;
template class DropoutLayer<float>;
template class DropoutLayer<double>;
template class PassingLayer<float>;
template class PassingLayer<double>;

}  // namespace bnrun::train
