// Y[M,N] = f(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n])
//
// A tile of R rows and V vectors of columns is held in R*V registers while k runs over all of K, or over a piece of it
// where the weights of all would not stay in the second-level cache; sums then lie in Y between pieces. Per k, V
// loads of weights, R broadcasts of X, R*V fused multiply-adds. Fewer rows leave registers for more columns,
// which keeps enough multiply-adds in flight. Where there are few columns, two chains C for each element do.

#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/packed.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "kernels/gemm/finish-inl.h"
#include "kernels/gemm/packed.h"
#include "kernels/gemm/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Registers that a tile may take. Where a library is to be small, tiles in double are: numbers are the same, but fewer of
/// these products are worth room.
template <class T>
constexpr int registers() {
  if (!BNRUN_MANY_SUMS) return 4;
#ifdef BNRUN_FEW_TARGETS
  if (sizeof(T) == 8) return 8;
#endif
  return HWY_MAX_BYTES == 64 || HWY_TARGET == HWY_NEON ? 32 : 16;
}
constexpr int kMostVectors = 8;
/// Weights are asked for so many k before they are wanted: those of the first rows come from afar.
constexpr std::int64_t kAhead = 32;

/// Weights that stay in the second-level cache while all rows go by: where there are more for a few columns, sums are made
/// piece by piece.
constexpr std::int64_t kNearWeights = std::int64_t{1} << 18;

/// Rows of the tallest tile of so many vectors of columns with so many sums for each element: besides the sums, the
/// registers hold either all weights of one k and one number of X or the other way round.
template <class T>
constexpr int most_rows(int vectors, int chains) {
  constexpr int kMost = 14;
  for (int rows = kMost; rows > 1; --rows) {
    if (rows * vectors * chains + std::min(rows, vectors) + 1 <= registers<T>()) return rows;
  }
  return 1;
}

/// What is wanted next, the weights of the next columns or the rows behind the last, which each tile fetches some of:
/// `step` elements for each k.
template <class T>
struct Coming {
  const T* next = nullptr;
  std::int64_t step = 0;
};

/// All of that: slices of so many elements, one in each panel.
template <class T>
struct Ahead {
  const T* first = nullptr;
  std::int64_t slice = 0;
  std::int64_t panel = 0;  ///< from one slice to the next
  std::int64_t step = 0;
  std::int64_t offset = 0;

  /// What a tile of so many k fetches; the next one goes on behind it.
  Coming<T> take(std::int64_t k) {
    const Coming<T> coming{first + offset, step};
    offset += step * k;
    if (offset >= slice && slice > 0) {
      first += offset / slice * panel;
      offset %= slice;
    }
    return coming;
  }
};

/// Some of all k: so many of each of some stretches. Before the first piece sums are 0, and between pieces they lie where
/// Y will be.
struct Piece {
  std::int64_t stretch = 0;
  std::int64_t stretches = 1;
  std::int64_t k = 0;  ///< within a stretch
  std::int64_t length = 0;
  bool first = true;
  bool last = true;

  std::int64_t k_in_all() const { return stretches * length; }
};

/// sum += x * w for one k: columns of neighbouring panels, or both halves of one. Weights further on are asked for where
/// `kAsk` says so.
template <bool kAsk, class T, int R, int V, class D, class Vec>
HWY_INLINE void multiply_add(D d, const T* HWY_RESTRICT weights, std::int64_t panel, const Rows<T, R>& X,
                             Vec (&sum)[R][V]) {
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(D()));
  Vec w[V];
  HWY_UNROLL(8)
  for (int v = 0; v < V; ++v)
    w[v] = hn::Load(d, weights + v * L / panel_columns<T>() * panel + v * L % panel_columns<T>());
  if constexpr (kAsk) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; v += static_cast<int>(panel_columns<T>() / L))
      hwy::Prefetch(weights + v * L / panel_columns<T>() * panel + kAhead * panel_columns<T>());
  }
  multiply_add_rows(d, w, X, sum);
}

/// R rows of so many elements.
template <int R, std::int64_t kElements, class T>
HWY_INLINE void ask_for(const T* row, std::int64_t stride) {
  HWY_UNROLL(14)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8)
    for (std::int64_t i = 0; i < kElements; i += panel_columns<T>()) hwy::Prefetch(row + i);
    row += stride;
  }
}

/// C = 2: all of K at once.
template <class T, int R, int V, int C>
void tile(const PackedProduct<T>& p, const LineLayout& layout, const Piece& piece,
          const T* const* HWY_RESTRICT starts, std::int64_t first_row, std::int64_t column, Coming<T> coming,
          const T* addend, T* Y) {
  const hn::CappedTag<T, panel_columns<T>()> d;
  using Vec = hn::VFromD<decltype(d)>;
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(d));

  Vec sum[C][R][V];
  HWY_UNROLL(2)
  for (int c = 0; c < C; ++c) {
    HWY_UNROLL(14)
    for (int r = 0; r < R; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v) sum[c][r][v] = hn::Zero(d);
    }
  }
  const std::int64_t stride = layout.x_stride;
  const std::int64_t panel = panel_columns<T>() * p.K;
  const T* const columns = p.panels + column / panel_columns<T>() * panel + column % panel_columns<T>();
  const auto used = [&](int v) HWY_ATTR {
    return static_cast<std::size_t>(std::clamp(p.N - column - v * L, std::int64_t{0}, L));
  };
  if constexpr (C == 1) {
    if (!piece.first) {
      HWY_UNROLL(14)
      for (int r = 0; r < R; ++r) {
        HWY_UNROLL(8)
        for (int v = 0; v < V; ++v)
          sum[0][r][v] = load_first(d, Y + (first_row + r) * layout.y_stride + column + v * L, used(v), T(0));
      }
    }
    if (addend != nullptr) ask_for<R, V * L>(addend + first_row * layout.y_stride + column, layout.y_stride);
    for (std::int64_t s = piece.stretch; s < piece.stretch + piece.stretches; ++s) {
      const std::int64_t first_k = layout.firsts != nullptr ? layout.firsts[s] : s * layout.length;
      const T* HWY_RESTRICT weights = columns + (first_k + piece.k) * panel_columns<T>();
      Rows<T, R> X(starts[s] + piece.k + first_row * stride, stride);
      for (std::int64_t k = piece.length; k > 0; --k) {
        multiply_add<true>(d, weights, panel, X, sum[0]);
        weights += panel_columns<T>();
        hwy::Prefetch(coming.next);
        coming.next += coming.step;
        X.advance(1);
      }
    }
  } else {
    // So few columns lie in a cache, and reading them is as much work as multiplying: nothing of them is asked for.
    const std::int64_t half = layout.length / C;
    const T* HWY_RESTRICT weights = columns;
    const T* HWY_RESTRICT others = columns + half * panel_columns<T>();
    Rows<T, R> X(starts[0] + first_row * stride, stride);
    Rows<T, R> X_others(starts[0] + first_row * stride + half, stride);
    for (std::int64_t k = half; k > 0; --k) {
      multiply_add<false>(d, weights, panel, X, sum[0]);
      multiply_add<false>(d, others, panel, X_others, sum[1]);
      weights += panel_columns<T>();
      others += panel_columns<T>();
      hwy::Prefetch(coming.next);
      coming.next += C * coming.step;
      X.advance(1);
      X_others.advance(1);
    }
    if (layout.length % C != 0) multiply_add<false>(d, others, panel, X_others, sum[1]);
    HWY_UNROLL(14)
    for (int r = 0; r < R; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v) sum[0][r][v] = hn::Add(sum[0][r][v], sum[1][r][v]);
    }
  }

  if (!piece.last) {
    HWY_UNROLL(14)
    for (int r = 0; r < R; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v)
        store_first(d, sum[0][r][v], Y + (first_row + r) * layout.y_stride + column + v * L, used(v));
    }
    return;
  }
  const Finisher<T, decltype(d), V> finisher(d, p.finish, column, p.N);
  const std::int64_t to = first_row * layout.y_stride + column;
  finisher.template store<R>(
      d, [&](int r, int v) HWY_ATTR { return sum[0][r][v]; }, addend != nullptr ? addend + to : nullptr,
      Y + to, layout.y_stride);
}

template <class T>
using Tile = void (*)(const PackedProduct<T>&, const LineLayout&, const Piece&, const T* const*, std::int64_t,
                      std::int64_t, Coming<T>, const T*, T*);

/// The tile of `rows` rows, at most R, and V vectors.
template <class T, int R, int V, int C>
HWY_INLINE Tile<T> tile_of(std::int64_t rows) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of<T, R - 1, V, C>(rows);
  }
  return tile<T, R, V, C>;
}

/// How much of what is left the next tile takes, which may take `most`: the last two share it, since a small tile waits
/// for its weights.
HWY_INLINE std::int64_t next_part(std::int64_t left, std::int64_t most) {
  if (left <= most) return left;
  return left < 2 * most ? (left + 1) / 2 : most;
}

/// V vectors of columns from `column` on, of all rows.
template <class T, int V, int C>
void columns(const PackedProduct<T>& p, const LineLayout& layout, std::span<const PackedLine<T>> lines,
             std::int64_t column) {
  constexpr int kMost = most_rows<T>(V, C);
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(hn::CappedTag<T, panel_columns<T>()>()));
  std::int64_t tiles = 0;
  for (const PackedLine<T>& line : lines) tiles += (line.rows + kMost - 1) / kMost;
  if (tiles == 0) return;
  constexpr std::int64_t kNearK =
      kNearWeights / (V * L * static_cast<std::int64_t>(sizeof(T)));  // of one piece
  const std::int64_t all = layout.stretches * layout.length;
  // Several whole stretches at once, or parts of one of like size, where all at once are too many; no divisions where they
  // are not, as small products feel them.
  const bool at_once = C > 1 || tiles < 2 || all <= 2 * kNearK;
  std::int64_t stretches = std::max<std::int64_t>(1, layout.stretches);
  std::int64_t parts = 1;
  std::int64_t part = layout.length;
  std::int64_t pieces = 1;
  if (!at_once) {
    stretches = std::max<std::int64_t>(1, kNearK / layout.length);
    parts = (layout.length + kNearK - 1) / kNearK;
    part = (layout.length + parts - 1) / parts;
    pieces = (layout.stretches + stretches - 1) / stretches * parts;
  }
  // The first columns are the first to see the rows, which come from memory: each tile fetches those of the next one.
  const bool rows_are_new =
      column == 0 && pieces == 1 && layout.stretches == 1 && layout.x_stride == layout.length;
  const auto piece_at = [&](std::int64_t i) {
    if (pieces == 1) return Piece{0, layout.stretches, 0, layout.length};
    const std::int64_t s = i / parts * stretches;
    const std::int64_t k = i % parts * part;
    return Piece{s,      std::min(stretches, layout.stretches - s),
                 k,      std::min(part, layout.length - k),
                 i == 0, i + 1 == pieces};
  };
  for (std::int64_t i = 0; i < pieces; ++i) {
    const Piece piece = piece_at(i);
    const Piece next = piece_at(piece.last ? 0 : i + 1);
    const std::int64_t next_k =
        layout.firsts != nullptr && all > 0 ? layout.firsts[next.stretch] : next.stretch * layout.length;
    const std::int64_t next_column = piece.last ? column + V * L : column;
    // Those behind the last columns are nobody's, and asking for them does no harm.
    Ahead<T> ahead{p.panels + (next_column / panel_columns<T>() * p.K + next_k + next.k) * panel_columns<T>(),
                   next.stretches * next.length * panel_columns<T>(), p.K * panel_columns<T>(), 0};
    if (tiles * panel_columns<T>() >= V * L) ahead.step = V * L / tiles;  // fewer could ask for a part alone
    if (piece.last && next_column >= p.N && layout.coming != nullptr)
      ahead = {static_cast<const T*>(layout.coming), layout.coming_elements, 0,
               layout.coming_elements / std::max<std::int64_t>(1, tiles * piece.k_in_all()) + 1};
    for (const PackedLine<T>& line : lines) {
      for (std::int64_t row = 0; row < line.rows;) {
        const std::int64_t rows = next_part(line.rows - row, kMost);
        const Coming<T> coming = rows_are_new
                                     ? Coming<T>{line.starts[0] + (row + rows) * layout.x_stride, rows}
                                     : ahead.take(piece.k_in_all());
        tile_of<T, kMost, V, C>(rows)(p, layout, piece, line.starts, row, column, coming, line.addend,
                                      line.Y);
        row += rows;
      }
    }
  }
}

template <class T>
using Columns = void (*)(const PackedProduct<T>&, const LineLayout&, std::span<const PackedLine<T>>,
                         std::int64_t);

/// Whether a vector is a whole panel, so that any number of them can follow any other.
template <class T>
constexpr bool whole_panels() {
  return hn::MaxLanes(hn::CappedTag<T, panel_columns<T>()>()) == panel_columns<T>();
}

/// Those of `vectors` vectors, at most V.
template <class T, int V, int C>
HWY_INLINE Columns<T> columns_of(std::int64_t vectors) {
  if constexpr (V > 1) {
    if (vectors < V) return columns_of < T, whole_panels<T>() ? V - 1 : V / 2, C > (vectors);
  }
  return columns<T, V, C>;
}

/// Vectors of the next columns when `left` are to come. Parts of panels follow each other in powers of two, so that a
/// tile has whole panels or lies within one.
template <class T>
HWY_INLINE std::int64_t next_vectors(std::int64_t left, std::int64_t most) {
  if constexpr (whole_panels<T>()) return next_part(left, most);
  return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(std::min(left, most))));
}

/// Vectors of the widest tile for lines of so many rows, with C sums for each element: the more, the more multiply-adds are
/// in flight, as long as the rows take no more tiles than the tallest ones.
template <class T, int C>
HWY_INLINE std::int64_t most_vectors(std::int64_t rows) {
  constexpr int kMost = kMostVectors / C;
  constexpr int kLeast = std::min(2, kMost);
  const auto tiles = [&](int most) { return (rows + most - 1) / most; };
  HWY_UNROLL(8)
  for (int v = kMost; v > kLeast; --v) {
    if (tiles(most_rows<T>(v, C)) == tiles(most_rows<T>(kLeast, C))) return v;
  }
  return kLeast;
}

/// All columns of all lines, with C sums for each element.
template <class T, int C>
HWY_INLINE void multiply_all(const PackedProduct<T>& p, const LineLayout& layout,
                             std::span<const PackedLine<T>> lines) {
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(hn::CappedTag<T, panel_columns<T>()>()));
  std::int64_t rows = 0;
  for (const PackedLine<T>& line : lines) rows = std::max(rows, line.rows);
  const std::int64_t most = most_vectors<T, C>(rows);
  const std::int64_t end = (p.N + L - 1) / L;
  for (std::int64_t vector = 0; vector < end;) {
    const std::int64_t vectors = next_vectors<T>(end - vector, most);
    columns_of<T, kMostVectors / C, C>(vectors)(p, layout, lines, vector * L);
    vector += vectors;
  }
}

template <class T>
HWY_INLINE void multiply(const PackedProduct<T>& p, const LineLayout& layout,
                         std::span<const PackedLine<T>> lines) {
  if (p.chains == 2)
    multiply_all<T, 2>(p, layout, lines);
  else
    multiply_all<T, 1>(p, layout, lines);
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
void pack_panels(std::int64_t K, std::int64_t N, const T* W, std::int64_t stride, T* panels) {
  constexpr std::int64_t kColumns = panel_columns<T>();
  constexpr std::int64_t kAtOnce = 8;  // panels: longer stretches of a row are read one after the other
  const std::int64_t whole = N / kColumns;
  for (std::int64_t first = 0; first < whole; first += kAtOnce) {
    const std::int64_t some = std::min(kAtOnce, whole - first);
    const T* row = W + first * kColumns;
    T* to = panels + first * kColumns * K;
    for (std::int64_t k = 0; k < K; ++k, row += stride, to += kColumns) {
      for (std::int64_t p = 0; p < some; ++p)
        std::memcpy(to + p * kColumns * K, row + p * kColumns, sizeof(T) * kColumns);
    }
  }
  const std::int64_t rest = N - whole * kColumns;
  T* to = panels + whole * kColumns * K;
  for (std::int64_t k = 0; k < K && rest > 0; ++k, to += kColumns)
    std::fill(std::copy_n(W + k * stride + whole * kColumns, rest, to), to + kColumns, T(0));
}

template void pack_panels(std::int64_t, std::int64_t, const float*, std::int64_t, float*);
template void pack_panels(std::int64_t, std::int64_t, const double*, std::int64_t, double*);

}  // namespace bnrun
#endif
