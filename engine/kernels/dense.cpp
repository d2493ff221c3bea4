// Y[M,N] = act(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n])
#include "kernels/dense.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/blas.h"

namespace bnrun {

template <class T>
Dense<T>::Dense(std::int64_t K, std::int64_t N, const T* W, Epilogue epilogue, MatrixBackend backend)
    : K_(K),
      N_(N),
      epilogue_(std::move(epilogue)),
      backend_(backend),
      weights_(static_cast<std::size_t>(K * N)) {
  std::copy_n(W, K * N, weights_.data());
}

template <class T>
void Dense<T>::run(const T* X, std::int64_t rows, T* Y) const {
  blas_gemm<T>(Transpose::no, Transpose::no, rows, N_, K_, T(1), X, K_, weights_.data(), N_, T(0), Y, N_);
  const auto& [scale, shift, activation] = epilogue_;
  for (std::int64_t m = 0; m < rows; ++m) {
    T* y = Y + m * N_;
    for (std::size_t n = 0; n < scale.size(); ++n) y[n] *= scale[n];
    for (std::size_t n = 0; n < shift.size(); ++n) y[n] += shift[n];
  }
  activate(activation, std::span<T>(Y, static_cast<std::size_t>(rows * N_)));
}

template class Dense<float>;
template class Dense<double>;

}  // namespace bnrun
