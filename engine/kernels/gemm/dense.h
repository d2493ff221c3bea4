// Dense layers with constant weights and everything that follows them element by element.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/workspace.h"
#include "kernels/gemm/finish.h"
#include "kernels/gemm/narrow.h"
#include "kernels/math/activation.h"

namespace bnrun {

/// What multiplies the matrices.
enum class MatrixBackend {
  packed,  ///< the engine's own kernels, weights in panels of one cache line
  blas,
};

/// Y[M,N] = scale_behind[n] * act(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n]) + shift_behind[n].
/// Packed, each sum is one chain of fused multiply-adds with k ascending; where N is at most four panels, that of the first
/// K/2 (rounded down) plus that of the others, so that a single row does not wait for itself. The last narrow_columns()
/// are dot products, in the order of NarrowColumns.
template <class T>
class Dense {
 public:
  struct Epilogue {
    std::vector<T> scale;  ///< [N], or empty: 1
    std::vector<T> shift;  ///< [N], or empty: 0
    Activation activation;
    std::vector<T> scale_behind{};  ///< [N], or empty: nothing is behind. REQUIRES: is_bend(activation)
    std::vector<T> shift_behind{};  ///< as many
  };

  /// W is row-major and copied.
  Dense(std::int64_t K, std::int64_t N, const T* W, const Epilogue& epilogue, MatrixBackend backend);

  std::int64_t K() const { return K_; }
  std::int64_t N() const { return N_; }

  /// X and Y are row-major and do not overlap. Threads of `memory` share the columns where these are worth it.
  /// Thread-safe, allocates nothing.
  void run(const T* X, std::int64_t rows, T* Y, const Workspace& memory = {}) const;

 private:
  /// Columns from `first` on, a multiple of a panel's.
  void run_packed(const T* X, std::int64_t rows, std::int64_t first, std::int64_t columns, T* Y) const;
  Finish<T> finish() const;
  void run_blas(const T* X, std::int64_t rows, T* Y) const;

  std::int64_t K_;
  std::int64_t N_;
  MatrixBackend backend_;
  Activation activation_;
  AlignedBuffer<T> weights_;       ///< panels of all columns but narrow ones, or row-major for BLAS
  NarrowColumns<T> narrow_;        ///< none for BLAS
  AlignedBuffer<T> scale_;         ///< padded to whole panels; empty: 1
  AlignedBuffer<T> shift_;         ///< padded to whole panels; empty: 0
  AlignedBuffer<T> scale_behind_;  ///< padded to whole panels; empty: nothing is behind
  AlignedBuffer<T> shift_behind_;
};

extern template class Dense<float>;
extern template class Dense<double>;

}  // namespace bnrun
