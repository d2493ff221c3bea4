// The last few columns of a product as dot products: a panel would be mostly padding.
#pragma once

#include <cstdint>
#include <span>

#include "base/aligned_buffer.h"
#include "kernels/gemm/finish.h"

namespace bnrun {

/// How many of N columns the last panel has, where it has so few and K is so long that dot products take less time than
/// the panel; else 0.
template <class T>
constexpr std::int64_t narrow_columns(std::int64_t K, std::int64_t N) {
  constexpr std::int64_t kMost = 4;
  constexpr std::int64_t kLeastK = 16;  // for each column
  const std::int64_t last = N % panel_columns<T>();
  return last <= kMost && K >= kLeastK * last ? last : 0;
}

/// The columns of W[K,N] behind all whole panels, padded with zeros along K to a whole number of vectors, and what follows
/// their sums, repeated as often as there are rows in one vector of results.
template <class T>
struct NarrowColumns {
  std::int64_t K = 0;
  std::int64_t columns = 0;  ///< 0 to 4; 0: nothing is done
  AlignedBuffer<T> weights;  ///< [columns, padded_columns(K)]
  AlignedBuffer<T> scale;    ///< these as in Finish
  AlignedBuffer<T> shift;
  AlignedBuffer<T> scale_behind;
  AlignedBuffer<T> shift_behind;

  NarrowColumns() = default;
  /// W is row-major, [K,N]; the last `columns` of it and of what is given for each of N columns, or empty.
  NarrowColumns(std::int64_t K, std::int64_t N, std::int64_t columns, const T* W, std::span<const T> scale,
                std::span<const T> shift, std::span<const T> scale_behind, std::span<const T> shift_behind);

  /// y[r, 0..columns) of `rows` rows at X + r * K, each y at Y + r * y_stride. Of `finish` only the bend is applied.
  /// An element is panel_columns() chains of fused multiply-adds, of the k that leave the same remainder, added up by
  /// neighbours: ((s0 + s1) + (s2 + s3)) + ..., on every vector width and wherever its row stands. Thread-safe.
  void multiply(const T* X, std::int64_t rows, Finish<T> finish, T* Y, std::int64_t y_stride) const;
};

extern template struct NarrowColumns<float>;
extern template struct NarrowColumns<double>;

}  // namespace bnrun
