// Y[M,N] = act(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n])
#include "kernels/gemm/dense.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/numbers.h"
#include "kernels/gemm/blas.h"
#include "kernels/gemm/packed.h"

namespace bnrun {
namespace {

/// Rows whose results stay in the second-level cache until the activation has been applied, and for which it
/// is worth going through all weights.
template <class T>
std::int64_t rows_at_once(std::int64_t columns) {
  constexpr std::int64_t kElements = 65536 / sizeof(T);
  constexpr std::int64_t kLeastRows = 48;
  return std::max(kLeastRows, kElements / std::max(columns, std::int64_t{1}));
}

/// Columns of a task when threads share a product: whole tiles, and no fewer than are worth handing over. What a
/// task takes is estimated from its multiply-adds and from the weights that it reads, whichever is more.
template <class T>
std::int64_t columns_of_task(std::int64_t rows, std::int64_t K, std::int64_t N, int threads) {
  constexpr double kLeastSeconds = 3e-6;
  constexpr double kMultiplyAdds = 3e11 / sizeof(T);  // per second
  constexpr double kBytes = 1e11;                     // likewise
  const std::int64_t step = 2 * panel_columns<T>();
  if (threads < 2 || N <= step) return N;
  const double of_column = static_cast<double>(K) * std::max(static_cast<double>(rows) / kMultiplyAdds,
                                                             static_cast<double>(sizeof(T)) / kBytes);
  const double least = kLeastSeconds / std::max(of_column, 1e-12);
  if (least * 2.0 > static_cast<double>(N)) return N;
  const std::int64_t share = std::max(ceil_div(N, threads), static_cast<std::int64_t>(least));
  return rounded_up(share, step);
}

/// A few columns alone would leave multiply-adds waiting for each other. Told from the layer's widths only, so that an
/// element has the same bits however the layer is run.
template <class T>
int chains_of(std::int64_t N) {
  return N <= 4 * panel_columns<T>() ? 2 : 1;
}

}  // namespace

template <class T>
Dense<T>::Dense(std::int64_t K, std::int64_t N, const T* W, const Epilogue& epilogue, MatrixBackend backend)
    : K_(K),
      N_(N),
      backend_(backend),
      activation_(epilogue.activation),
      scale_(padded_to_panels<T>(epilogue.scale)),
      shift_(padded_to_panels<T>(epilogue.shift)),
      scale_behind_(padded_to_panels<T>(epilogue.scale_behind)),
      shift_behind_(padded_to_panels<T>(epilogue.shift_behind)) {
  if (backend == MatrixBackend::packed) {
    if (const std::int64_t narrow = narrow_columns<T>(K, N); narrow > 0)
      narrow_ = NarrowColumns<T>(K, N, narrow, W, epilogue.scale, epilogue.shift, epilogue.scale_behind,
                                 epilogue.shift_behind);
    weights_ = AlignedBuffer<T>(static_cast<std::size_t>(K * padded_columns<T>(N - narrow_.columns)));
    pack_panels(K, N - narrow_.columns, W, N, weights_.data());
  } else {
    weights_ = AlignedBuffer<T>(static_cast<std::size_t>(K * N));
    std::copy_n(W, K * N, weights_.data());
  }
}

template <class T>
void Dense<T>::run(const T* X, std::int64_t rows, T* Y, const Workspace& memory) const {
  if (backend_ == MatrixBackend::blas) return run_blas(X, rows, Y);
  const std::int64_t columns = columns_of_task<T>(rows, K_, N_, memory.threads());
  if (columns >= N_) return run_packed(X, rows, 0, N_, Y);
  memory.parallel_for(ceil_div(N_, columns), [&](std::int64_t task, std::byte*) {
    const std::int64_t first = task * columns;
    run_packed(X, rows, first, std::min(columns, N_ - first), Y);
  });
}

template <class T>
Finish<T> Dense<T>::finish() const {
  auto finish = Finish<T>::of(scale_.data(), shift_.data(), activation_);
  finish.scale_behind = scale_behind_.data();
  finish.shift_behind = shift_behind_.data();
  return finish;
}

template <class T>
void Dense<T>::run_packed(const T* X, std::int64_t rows, std::int64_t first, std::int64_t columns,
                          T* Y) const {
  Finish<T> finish = this->finish();
  const Activation* const activation = std::exchange(finish.activation, nullptr);
  const std::int64_t narrow = first + columns == N_ ? narrow_.columns : 0;
  const PackedProduct<T> product{K_, columns - narrow, weights_.data() + first * K_,
                                 finish.from_column(first), chains_of<T>(N_)};
  const LineLayout layout{1, K_, K_, N_};
  const std::int64_t block = activation == nullptr ? rows : rows_at_once<T>(columns);
  for (std::int64_t row = 0; row < rows; row += block) {
    const std::int64_t some = std::min(block, rows - row);
    const T* start = X + row * K_;
    T* const to = Y + row * N_ + first;
    const PackedLine<T> line{some, &start, nullptr, to};
    multiply_packed<T>(product, layout, {&line, 1});
    if (narrow > 0) narrow_.multiply(start, some, finish, to + product.N, N_);
    if (activation == nullptr) continue;
    const std::int64_t stretches = columns == N_ ? 1 : some;
    for (std::int64_t i = 0; i < stretches; ++i)
      activate(*activation, std::span<T>(to + i * N_, static_cast<std::size_t>(some * columns / stretches)));
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
  for (std::int64_t m = 0; m < rows && scale_behind_.size() != 0; ++m) {
    T* y = Y + m * N_;
    for (std::int64_t n = 0; n < N_; ++n) y[n] = y[n] * scale_behind_.data()[n] + shift_behind_.data()[n];
  }
}

template class Dense<float>;
template class Dense<double>;

}  // namespace bnrun
