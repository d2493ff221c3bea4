#include "train/layers/dense.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "kernels/gemm/blas.h"
#include "train/layers/initializer.h"
#include "train/layers/tensor_of.h"

namespace bnrun::train {

template <class T>
DenseLayer<T>::DenseLayer(const Dense& spec, std::int64_t inputs)
    : Layer<T>(inputs, spec.units), spec_(spec) {
  if (spec.units < 1 || spec.units > (std::int64_t{1} << 24))
    fail(ErrorCode::invalid_input, "a dense layer of {} units", spec.units);
  if (!std::isfinite(spec.initial_scale))
    fail(ErrorCode::invalid_input, "a dense layer whose first weights are scaled by {}", spec.initial_scale);
}

template <class T>
void DenseLayer<T>::bind(T* weights, T* gradients) {
  W_ = weights;
  dW_ = gradients;
  if (!spec_.use_bias) return;
  b_ = weights + K() * N();
  db_ = gradients + K() * N();
}

template <class T>
void DenseLayer<T>::initialize(Random& random) {
  std::vector<double> W(count_of(K() * N()));
  draw_weights(spec_.initializer, K(), N(), random, W);
  std::transform(W.begin(), W.end(), W_, [&](double w) { return static_cast<T>(w * spec_.initial_scale); });
  if (b_ != nullptr) std::fill_n(b_, N(), T(0));
}

template <class T>
void DenseLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  if (b_ != nullptr) {
    for (std::int64_t m = 0; m < rows; ++m) std::copy_n(b_, N(), y + m * N());
  }
  blas_gemm<T>(Transpose::no, Transpose::no, rows, N(), K(), T(1), x, K(), W_, N(),
               b_ != nullptr ? T(1) : T(0), y, N());
}

template <class T>
void DenseLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) {
  blas_gemm<T>(Transpose::yes, Transpose::no, K(), N(), rows, T(1), x, K(), dy, N(), T(0), dW_, N());
  if (b_ != nullptr) {
    std::fill_n(db_, N(), T(0));
    for (std::int64_t m = 0; m < rows; ++m) {
      for (std::int64_t n = 0; n < N(); ++n) db_[n] += dy[m * N() + n];
    }
  }
  if (dx != nullptr)
    blas_gemm<T>(Transpose::no, Transpose::yes, rows, K(), N(), T(1), dy, N(), W_, N(), T(0), dx, K());
}

template <class T>
std::vector<std::pair<std::string, Tensor>> DenseLayer<T>::weights() const {
  std::vector<std::pair<std::string, Tensor>> list{{"W", tensor_of({K(), N()}, W_)}};
  if (b_ != nullptr) list.emplace_back("b", tensor_of({N()}, b_));
  return list;
}

template class DenseLayer<float>;
template class DenseLayer<double>;

}  // namespace bnrun::train
