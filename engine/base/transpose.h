// Matrices turned over in memory.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bnrun {

/// Of the squares in which `transpose` goes, whose lines stay in the first-level cache.
constexpr std::int64_t kTransposeSide = 16;

/// The columns [first, last) of Y[columns, rows] = transposed X[rows, columns], where there are kRows of them.
template <int kRows, class T>
void interleave(const T* X, std::int64_t columns, std::int64_t first, std::int64_t last, T* Y) {
  for (std::int64_t c = first; c < last; ++c) {
    for (int r = 0; r < kRows; ++r) Y[c * kRows + r] = X[r * columns + c];
  }
}

/// The columns [first, last) of Y[columns, rows] = transposed X[rows, columns], which do not overlap.
template <class T>
void transpose(const T* X, std::int64_t rows, std::int64_t columns, std::int64_t first, std::int64_t last,
               T* Y) {
  if (rows == 2) return interleave<2>(X, columns, first, last, Y);
  if (rows == 3) return interleave<3>(X, columns, first, last, Y);
  if (rows == 4) return interleave<4>(X, columns, first, last, Y);
  for (std::int64_t c0 = first; c0 < last; c0 += kTransposeSide) {
    const std::int64_t c1 = std::min(last, c0 + kTransposeSide);
    for (std::int64_t r0 = 0; r0 < rows; r0 += kTransposeSide) {
      const std::int64_t r1 = std::min(rows, r0 + kTransposeSide);
      for (std::int64_t c = c0; c < c1; ++c) {
        for (std::int64_t r = r0; r < r1; ++r) Y[c * rows + r] = X[r * columns + c];
      }
    }
  }
}

}  // namespace bnrun
