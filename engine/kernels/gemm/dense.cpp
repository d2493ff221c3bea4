// Y[M,N] = act(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n])
#include "kernels/gemm/dense.h"

#include <algorithm>
#include <span>

#include "kernels/gemm/blas.h"
#include "kernels/gemm/packed.h"

namespace bnrun {
namespace {

template <class T>
AlignedBuffer<T> padded(const std::vector<T>& values) {
  if (values.empty()) return {};
  const auto size = padded_columns<T>(static_cast<std::int64_t>(values.size()));
  AlignedBuffer<T> buffer(static_cast<std::size_t>(size));
  std::fill(std::ranges::copy(values, buffer.data()).out, buffer.data() + size, T(0));
  return buffer;
}

}  // namespace

template <class T>
Dense<T>::Dense(std::int64_t K, std::int64_t N, const T* W, const Epilogue& epilogue, MatrixBackend backend)
    : K_(K),
      N_(N),
      backend_(backend),
      activation_(epilogue.activation),
      scale_(padded(epilogue.scale)),
      shift_(padded(epilogue.shift)) {
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
  using Bend = typename PackedProduct<T>::Bend;
  PackedProduct<T> product{K_, N_, weights_.data(), scale_.data(), shift_.data()};
  const T alpha = static_cast<T>(activation_.alpha);
  switch (activation_.kind) {
    case Activation::Kind::identity:
      break;
    case Activation::Kind::relu:
      product.bend = Bend::relu;
      break;
    case Activation::Kind::leaky_relu:
      product.bend = Bend::leaky;
      product.slope = alpha;
      break;
    case Activation::Kind::clip:
      product.bend = Bend::clip;
      product.low = alpha;
      product.high = static_cast<T>(activation_.beta);
      break;
    default:
      product.activation = &activation_;
  }
  multiply_packed(product, X, rows, Y);
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
