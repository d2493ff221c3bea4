// Y[M,N] = f(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n])
//
// A tile of R rows and V vectors of columns is held in R*V registers while k runs over all of K: per k, V
// loads of weights, R broadcasts of X, R*V fused multiply-adds. Fewer rows leave registers for more columns,
// which keeps enough multiply-adds in flight.

#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/packed.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>
#include <span>

#include "kernels/gemm/finish-inl.h"
#include "kernels/gemm/packed.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Vectors of sums that fit in the registers besides weights and X.
constexpr int kSums = HWY_MAX_BYTES == 64 || HWY_TARGET == HWY_NEON ? 24 : 12;
constexpr int kMostRows = kSums / 2;
constexpr int kMostVectors = 8;

template <class T, int R, int V>
void tile(const PackedProduct<T>& p, const LineLayout& layout, const T* const* HWY_RESTRICT starts,
          std::int64_t first_row, std::int64_t column, const T* addend, T* Y) {
  const hn::CappedTag<T, panel_columns<T>()> d;
  using Vec = hn::VFromD<decltype(d)>;
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(d));

  Vec sum[R][V];
  HWY_UNROLL(12)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Zero(d);
  }
  // Columns of neighbouring panels, or both halves of one. A pointer serves three rows, which are addressed from it
  // by one and two strides: there are not enough registers for a pointer to each.
  constexpr int kShared = 3;
  const std::int64_t stride = layout.x_stride;
  const std::int64_t panel = panel_columns<T>() * p.K;
  const T* HWY_RESTRICT weights =
      p.panels + column / panel_columns<T>() * panel + column % panel_columns<T>();
  for (std::int64_t s = 0; s < layout.stretches; ++s) {
    const T* X[(R + kShared - 1) / kShared];
    for (int i = 0; i * kShared < R; ++i) X[i] = starts[s] + (first_row + i * kShared) * stride;
    for (std::int64_t k = layout.length; k > 0; --k) {
      Vec w[V];
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v)
        w[v] = hn::Load(d, weights + v * L / panel_columns<T>() * panel + v * L % panel_columns<T>());
      weights += panel_columns<T>();
      HWY_UNROLL(12)
      for (int r = 0; r < R; ++r) {
        const Vec x = hn::Set(d, X[r / kShared][r % kShared * stride]);
        HWY_UNROLL(8)
        for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(x, w[v], sum[r][v]);
      }
      HWY_UNROLL(4)
      for (int i = 0; i * kShared < R; ++i) {
        ++X[i];
      }
    }
  }

  HWY_UNROLL(8)
  for (int v = 0; v < V; ++v) {
    const std::int64_t c = column + v * L;
    const Finisher<T, decltype(d)> finisher(d, p.finish, c, p.N);
    HWY_UNROLL(12)
    for (int r = 0; r < R; ++r) {
      const std::int64_t to = (first_row + r) * layout.y_stride + c;
      finisher.store(d, sum[r][v], addend != nullptr ? addend + to : nullptr, Y + to);
    }
  }
}

template <class T>
using Tile = void (*)(const PackedProduct<T>&, const LineLayout&, const T* const*, std::int64_t, std::int64_t,
                      const T*, T*);

/// The tile of `rows` rows, at most R, and V vectors.
template <class T, int R, int V>
HWY_INLINE Tile<T> tile_of(std::int64_t rows) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of<T, R - 1, V>(rows);
  }
  return tile<T, R, V>;
}

/// Rows of the next tile when `left` rows are to come: the last two share what is left, since a tile of few rows
/// waits for its weights.
HWY_INLINE std::int64_t next_rows(std::int64_t left, std::int64_t most) {
  if (left <= most) return left;
  return left < 2 * most ? (left + 1) / 2 : most;
}

/// All columns from `column` on in tiles of at most R rows, the widest tiles first.
template <class T, int R, int V>
HWY_INLINE void columns(const PackedProduct<T>& p, const LineLayout& layout,
                        std::span<const PackedLine<T>> lines, std::int64_t column) {
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(hn::CappedTag<T, panel_columns<T>()>()));
  const std::int64_t end = (p.N + L - 1) / L * L;
  for (; column + V * L <= end; column += V * L) {
    for (const PackedLine<T>& line : lines) {
      for (std::int64_t row = 0; row < line.rows;) {
        const std::int64_t rows = next_rows(line.rows - row, R);
        tile_of<T, R, V>(rows)(p, layout, line.starts, row, column, line.addend, line.Y);
        row += rows;
      }
    }
  }
  if constexpr (V > 1) columns<T, R, V / 2>(p, layout, lines, column);
}

template <class T>
HWY_INLINE void multiply(const PackedProduct<T>& p, const LineLayout& layout,
                         std::span<const PackedLine<T>> lines) {
  std::int64_t most = 0;
  for (const PackedLine<T>& line : lines) most = std::max(most, line.rows);
  // Fewer rows leave registers for more columns, which keeps enough multiply-adds in flight.
  if (most <= kSums / kMostVectors)
    columns<T, kSums / kMostVectors, kMostVectors>(p, layout, lines, 0);
  else if (most <= kSums / 4)
    columns<T, kSums / 4, 4>(p, layout, lines, 0);
  else
    columns<T, kMostRows, 2>(p, layout, lines, 0);
  if (p.finish.activation == nullptr) return;
  for (const PackedLine<T>& line : lines) {
    const bool dense = layout.y_stride == p.N;
    for (std::int64_t row = 0; row < (dense ? 1 : line.rows); ++row)
      activate(*p.finish.activation, std::span<T>(line.Y + row * layout.y_stride,
                                                  static_cast<std::size_t>(dense ? line.rows * p.N : p.N)));
  }
}

void multiply_float(const PackedProduct<float>& p, const LineLayout& layout,
                    std::span<const PackedLine<float>> lines) {
  multiply(p, layout, lines);
}
void multiply_double(const PackedProduct<double>& p, const LineLayout& layout,
                     std::span<const PackedLine<double>> lines) {
  multiply(p, layout, lines);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(multiply_float);
HWY_EXPORT(multiply_double);

}  // namespace

template <>
void multiply_packed(const PackedProduct<float>& product, const LineLayout& layout,
                     std::span<const PackedLine<float>> lines) {
  HWY_DYNAMIC_DISPATCH(multiply_float)(product, layout, lines);
}

template <>
void multiply_packed(const PackedProduct<double>& product, const LineLayout& layout,
                     std::span<const PackedLine<double>> lines) {
  HWY_DYNAMIC_DISPATCH(multiply_double)(product, layout, lines);
}

template <class T>
void pack_panels(std::int64_t K, std::int64_t N, const T* W, T* panels) {
  for (std::int64_t first = 0; first < N; first += panel_columns<T>()) {
    const std::int64_t used = std::min(panel_columns<T>(), N - first);
    for (std::int64_t k = 0; k < K; ++k) {
      T* end = std::copy_n(W + k * N + first, used, panels);
      panels += panel_columns<T>();
      std::fill(end, panels, T(0));
    }
  }
}

template void pack_panels(std::int64_t, std::int64_t, const float*, float*);
template void pack_panels(std::int64_t, std::int64_t, const double*, double*);

}  // namespace bnrun
#endif
