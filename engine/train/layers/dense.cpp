#include "train/layers/dense.h"

#include <algorithm>

#include "base/fail.h"
#include "kernels/gemm/blas.h"
#include "train/layers/tensor_of.h"
#include "train/parts.h"

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
void DenseLayer<T>::forward(std::int64_t rows, const T* x, T* y) {
  each_part(pool_, rows, parts_of(rows, rows * this->K() * this->N()),
            [&](std::int64_t /*part*/, std::int64_t first, std::int64_t count, int /*worker*/) {
              this->multiply(count, x + first * this->K(), y + first * this->N());
            });
}

/// Threads share the rows of dW and those of dx: there is nothing to add up.
template <class T>
void DenseLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) {
  const std::int64_t K = this->K();
  const std::int64_t N = this->N();
  each_part(pool_, K, parts_of(K, rows * K * N),
            [&](std::int64_t /*part*/, std::int64_t first, std::int64_t count, int /*worker*/) {
              blas_gemm<T>(Transpose::yes, Transpose::no, count, N, rows, T(1), x + first, K, dy, N, T(0),
                           this->dW() + first * N, N);
            });
  if (this->db() != nullptr) this->bias_gradient(rows, dy, this->db());
  if (dx == nullptr) return;
  each_part(pool_, rows, parts_of(rows, rows * K * N),
            [&](std::int64_t /*part*/, std::int64_t first, std::int64_t count, int /*worker*/) {
              this->panel_gradient(count, dy + first * N, dx + first * K);
            });
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
