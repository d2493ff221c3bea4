#include "train/layers/dense.h"

#include <algorithm>

#include "base/fail.h"
#include "train/layers/tensor_of.h"

namespace bnrun::train {
namespace {

std::int64_t checked_units(std::int64_t units) {
  if (units < 1 || units > (std::int64_t{1} << 24))
    fail(ErrorCode::invalid_input, "a dense layer of {} units", units);
  return units;
}

}  // namespace

template <class T>
DenseLayer<T>::DenseLayer(const Dense& spec, std::int64_t inputs)
    : LinearLayer<T>(inputs, checked_units(spec.units),
                     {.K = inputs,
                      .N = spec.units,
                      .use_bias = spec.use_bias,
                      .initializer = spec.initializer,
                      .initial_scale = spec.initial_scale,
                      .name = "dense"}) {}

template <class T>
void DenseLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) {
  this->kernel_gradient(rows, x, dy, T(0), this->dW());
  this->bias_gradient(rows, dy);
  if (dx != nullptr) this->panel_gradient(rows, dy, dx);
}

template <class T>
void DenseLayer<T>::gather(std::int64_t rows, const T* x, T* panels) const {
  std::copy_n(x, rows * this->K(), panels);
}

template <class T>
void DenseLayer<T>::scatter(std::int64_t rows, const T* dpanels, T* dx) const {
  std::copy_n(dpanels, rows * this->K(), dx);
}

template <class T>
Tensor DenseLayer<T>::kernel_tensor(const T* W) const {
  return tensor_of({this->K(), this->N()}, W);
}

template class DenseLayer<float>;
template class DenseLayer<double>;

}  // namespace bnrun::train
