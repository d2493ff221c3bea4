// Products with weights packed into panels, everything behind them applied in registers.
#pragma once

#include <cstdint>

#include "kernels/math/activation.h"

namespace bnrun {

/// Columns of one panel: a cache line, which is also the widest vector.
template <class T>
constexpr std::int64_t panel_columns() {
  return 64 / sizeof(T);
}

/// Columns of all panels: N rounded up.
template <class T>
constexpr std::int64_t padded_columns(std::int64_t N) {
  return (N + panel_columns<T>() - 1) / panel_columns<T>() * panel_columns<T>();
}

/// W[K,N], row-major, into K * padded_columns(N) elements: panel after panel, each row-major, padded with
/// zeros.
template <class T>
void pack_panels(std::int64_t K, std::int64_t N, const T* W, T* panels);

template <class T>
struct PackedProduct {
  std::int64_t K = 0;
  std::int64_t N = 0;
  const T* panels = nullptr;
  const T* scale = nullptr;  ///< padded like the panels; null: 1
  const T* shift = nullptr;  ///< padded like the panels; null: 0
  /// What is applied to the sums in registers: nothing, relu, `slope` times what is below 0, or [low, high].
  enum class Bend { none, relu, leaky, clip } bend = Bend::none;
  T slope = T(0);
  T low = T(0);
  T high = T(0);
  const Activation* activation = nullptr;  ///< applied to rows just written; null: none
};

/// Y[M,N] = f(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n]). Each element is one chain of fused multiply-adds
/// with k ascending, on every vector width and wherever its row stands, so that its bits depend on nothing
/// but its row of X and its column of W. (Processors without fused multiply-add round each product as well
/// and differ from those.)
template <class T>
void multiply_packed(const PackedProduct<T>& product, const T* X, std::int64_t rows, T* Y);

template <>
void multiply_packed(const PackedProduct<float>&, const float*, std::int64_t, float*);
template <>
void multiply_packed(const PackedProduct<double>&, const double*, std::int64_t, double*);
extern template void pack_panels(std::int64_t, std::int64_t, const float*, float*);
extern template void pack_panels(std::int64_t, std::int64_t, const double*, double*);

}  // namespace bnrun
