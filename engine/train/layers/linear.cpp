#include "train/layers/linear.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "kernels/gemm/blas.h"
#include "train/layers/initializer.h"
#include "train/layers/tensor_of.h"

namespace bnrun::train {

template <class T>
LinearLayer<T>::LinearLayer(std::int64_t inputs, std::int64_t outputs, const Kernel& kernel)
    : Layer<T>(inputs, outputs),
      K_(kernel.K),
      N_(kernel.N),
      window_(kernel.window),
      use_bias_(kernel.use_bias),
      initializer_(kernel.initializer),
      initial_scale_(kernel.initial_scale) {
  if (!std::isfinite(initial_scale_))
    fail(ErrorCode::invalid_input, "a {} layer whose first weights are scaled by {}", kernel.name,
         initial_scale_);
}

template <class T>
void LinearLayer<T>::bind(T* weights, T* gradients) {
  W_ = weights;
  dW_ = gradients;
  if (!use_bias_) return;
  b_ = weights + K_ * N_;
  db_ = gradients + K_ * N_;
}

template <class T>
void LinearLayer<T>::initialize(Random& random) {
  std::vector<double> W(count_of(K_ * N_));
  draw_weights(initializer_, K_, N_, random, W, window_);
  std::transform(W.begin(), W.end(), W_, [&](double w) { return static_cast<T>(w * initial_scale_); });
  if (b_ != nullptr) std::fill_n(b_, N_, T(0));
}

template <class T>
void LinearLayer<T>::multiply(const T* W, const T* b, std::int64_t M, const T* P, T* H) const {
  if (b != nullptr) {
    for (std::int64_t m = 0; m < M; ++m) std::copy_n(b, N_, H + m * N_);
  }
  blas_gemm<T>(Transpose::no, Transpose::no, M, N_, K_, T(1), P, K_, W, N_, b != nullptr ? T(1) : T(0), H,
               N_);
}

template <class T>
void LinearLayer<T>::kernel_gradient(std::int64_t M, const T* P, const T* dH, T beta, T* dW) const {
  blas_gemm<T>(Transpose::yes, Transpose::no, K_, N_, M, T(1), P, K_, dH, N_, beta, dW, N_);
}

template <class T>
void LinearLayer<T>::bias_gradient(std::int64_t M, const T* dH, T* db) const {
  std::fill_n(db, N_, T(0));
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < N_; ++n) db[n] += dH[m * N_ + n];
  }
}

template <class T>
void LinearLayer<T>::panel_gradient(std::int64_t M, const T* dH, T* dP) const {
  blas_gemm<T>(Transpose::no, Transpose::yes, M, K_, N_, T(1), dH, N_, W_, N_, T(0), dP, K_);
}

template <class T>
std::vector<std::pair<std::string, Tensor>> LinearLayer<T>::weights() const {
  std::vector<std::pair<std::string, Tensor>> list{{"W", kernel_tensor(W_)}};
  if (b_ != nullptr) list.emplace_back("b", tensor_of({N_}, b_));
  return list;
}

template class LinearLayer<float>;
template class LinearLayer<double>;

}  // namespace bnrun::train
