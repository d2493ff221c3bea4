// Y[M,N] = act(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n])
#include "kernels/gemm/dense.h"

#include <algorithm>
#include <span>

#include "kernels/gemm/blas.h"
#include "kernels/gemm/packed.h"

namespace bnrun {
namespace {

/// Rows whose results stay in the second-level cache until the activation has been applied, and for which it
/// is worth going through all weights.
template <class T>
std::int64_t rows_at_once(const PackedProduct<T>& p, std::int64_t rows) {
  constexpr std::int64_t kElements = 65536 / sizeof(T);
  constexpr std::int64_t kLeastRows = 48;
  return p.finish.activation == nullptr ? rows
                                        : std::max(kLeastRows, kElements / std::max(p.N, std::int64_t{1}));
}

}  // namespace

template <class T>
Dense<T>::Dense(std::int64_t K, std::int64_t N, const T* W, const Epilogue& epilogue, MatrixBackend backend)
    : K_(K),
      N_(N),
      backend_(backend),
      activation_(epilogue.activation),
      scale_(padded_to_panels<T>(epilogue.scale)),
      shift_(padded_to_panels<T>(epilogue.shift)) {
  if (backend == MatrixBackend::packed) {
    weights_ = AlignedBuffer<T>(static_cast<std::size_t>(K * padded_columns<T>(N)));
    pack_panels(K, N, W, weights_.data());
  } else {
    weights_ = AlignedBuffer<T>(static_cast<std::size_t>(K * N));
    std::copy_n(W, K * N, weights_.data());
  }
}

template <class T>
void Dense<T>::run(const T* X, std::int64_t rows, T* Y) const {
  if (backend_ == MatrixBackend::packed)
    run_packed(X, rows, Y);
  else
    run_blas(X, rows, Y);
}

template <class T>
void Dense<T>::run_packed(const T* X, std::int64_t rows, T* Y) const {
  const PackedProduct<T> product{K_, N_, weights_.data(),
                                 Finish<T>::of(scale_.data(), shift_.data(), activation_)};
  const LineLayout layout{1, K_, K_, N_};
  const std::int64_t block = rows_at_once(product, rows);
  for (std::int64_t first = 0; first < rows; first += block) {
    const T* start = X + first * K_;
    const PackedLine<T> line{std::min(block, rows - first), &start, nullptr, Y + first * N_};
    multiply_packed<T>(product, layout, {&line, 1});
  }
}

template <class T>
void Dense<T>::run_blas(const T* X, std::int64_t rows, T* Y) const {
  blas_gemm<T>(Transpose::no, Transpose::no, rows, N_, K_, T(1), X, K_, weights_.data(), N_, T(0), Y, N_);
  for (std::int64_t m = 0; m < rows; ++m) {
    T* y = Y + m * N_;
    for (std::int64_t n = 0; n < N_ && scale_.size() != 0; ++n) y[n] *= scale_.data()[n];
    for (std::int64_t n = 0; n < N_ && shift_.size() != 0; ++n) y[n] += shift_.data()[n];
  }
  activate(activation_, std::span(Y, static_cast<std::size_t>(rows * N_)));
}

template class Dense<float>;
template class Dense<double>;

}  // namespace bnrun
