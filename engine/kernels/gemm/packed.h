// Products with weights packed into panels, everything behind them applied in registers.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/gemm/finish.h"

namespace bnrun {

/// W[K,N], rows `stride` apart, into K * padded_columns(N) elements: panel after panel, each row-major, padded
/// with zeros.
template <class T>
void pack_panels(std::int64_t K, std::int64_t N, const T* W, std::int64_t stride, T* panels);

template <class T>
struct PackedProduct {
  std::int64_t K = 0;
  std::int64_t N = 0;
  const T* panels = nullptr;
  Finish<T> finish;
  /// Of multiply-adds that wait for each other, for one element. REQUIRES: 1 or 2; 2: LineLayout::stretches is 1.
  int chains = 1;
};

/// Some rows of X and of what becomes of them. A row of X lies in stretches, one behind the other in K: stretch i
/// of row r begins at starts[i] + r * x_stride.
template <class T>
struct PackedLine {
  std::int64_t rows = 0;
  const T* const* starts = nullptr;  ///< one for each stretch
  const T* addend = nullptr;         ///< rows like those of Y; null: 0
  T* Y = nullptr;
};

/// What all lines of one product have in common.
struct LineLayout {
  std::int64_t stretches = 1;  ///< of one row
  std::int64_t length = 0;     ///< of one stretch; K = stretches * length
  std::int64_t x_stride = 0;   ///< from a row of X to the next, in elements
  std::int64_t y_stride = 0;   ///< likewise of Y and of what is added
  /// The k at which each stretch begins, where some of K are left out: X has zeros there. Null: one behind the other.
  const std::int64_t* firsts = nullptr;
  /// What will be read after this product, which is asked for meanwhile: so many elements. May be null.
  const void* coming = nullptr;
  std::int64_t coming_elements = 0;
};

/// Y[M,N] = f(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n] + addend[m,n]) for the rows of all lines. Each element
/// is one chain of fused multiply-adds with k ascending, or the sum of two, of the first K/2 (rounded down) and of the
/// others, on every vector width and wherever its row stands, so that its bits depend on nothing but its row of X and its
/// column of W. (Processors without fused multiply-add round each product as well and differ from those.) Lines are gone
/// through once for each few columns, and for each piece of a long K, between which Y holds sums that are not finished:
/// `addend` does not share memory with Y. Lines of one call should fit into the second-level cache.
template <class T>
void multiply_packed(const PackedProduct<T>& product, const LineLayout& layout,
                     std::span<const PackedLine<T>> lines);

template <>
void multiply_packed(const PackedProduct<float>&, const LineLayout&, std::span<const PackedLine<float>>);
template <>
void multiply_packed(const PackedProduct<double>&, const LineLayout&, std::span<const PackedLine<double>>);
extern template void pack_panels(std::int64_t, std::int64_t, const float*, std::int64_t, float*);
extern template void pack_panels(std::int64_t, std::int64_t, const double*, std::int64_t, double*);

}  // namespace bnrun
