// Z[i][rows,N] = V[i][rows,K] * U[i][K,N]

#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/winograd_product.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>

#include "base/numbers.h"
#include "kernels/conv/winograd_product.h"
#include "kernels/gemm/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, panel_columns<float>()>;

/// With 32 registers 24 sums leave room for the weights of one k and a number of V; with 16, twelve do.
constexpr int kVectorsAtOnce = !BNRUN_MANY_SUMS ? 1 : HWY_MAX_BYTES == 64 || HWY_TARGET == HWY_NEON ? 4 : 2;
constexpr int rows_at_once(int vectors) {
  return BNRUN_MANY_SUMS ? std::min(static_cast<int>(kProductRows), kVectorsAtOnce * 6 / vectors) : 2;
}
/// Weights are asked for so many k before they are wanted.
constexpr std::int64_t kAhead = 32;
/// Weights of some columns that stay in the first-level cache while all rows go through them.
constexpr std::int64_t kNearBytes = 24 << 10;

HWY_INLINE std::int64_t lanes() {
  return static_cast<std::int64_t>(hn::MaxLanes(Tag()));
}

/// One matrix of each kind, and the rows and columns of one tile of registers.
struct Tile {
  std::int64_t K;
  const float* V;
  std::int64_t v_stride;
  const float* U;
  std::int64_t panel;  ///< from a panel of U to the next
  float* Z;
  std::int64_t z_stride;
  const float* coming;  ///< weights of the next columns, which each tile asks for some of
  std::int64_t step;    ///< so many elements for each k
};

template <int R, int V, bool kFar>
void tile(const Tile& t) {
  const Tag d;
  using Vec = hn::VFromD<Tag>;
  constexpr std::int64_t kPanel = panel_columns<float>();
  Vec sum[R][V];
  HWY_UNROLL(12)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Zero(d);
  }
  const std::int64_t panel = t.panel;
  const float* HWY_RESTRICT U = t.U;
  Rows<float, R> X(t.V, t.v_stride);
  const float* coming = t.coming;
  for (std::int64_t k = t.K; k > 0; --k) {
    Vec u[V];
    HWY_UNROLL(4)
    for (int v = 0; v < V; ++v) {
      const float* from = U + v * lanes() / kPanel * panel + v * lanes() % kPanel;
      u[v] = hn::Load(d, from);
      if (kFar && v * lanes() % kPanel == 0) hwy::Prefetch(from + kAhead * kPanel);
    }
    U += kPanel;
    if constexpr (kFar) {
      hwy::Prefetch(coming);
      coming += t.step;
    }
    multiply_add_rows(d, u, X, sum);
    X.advance(1);
  }
  HWY_UNROLL(12)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < V; ++v) hn::Store(sum[r][v], d, t.Z + r * t.z_stride + v * lanes());
  }
}

template <int V, bool kFar>
void columns(Tile t, std::int64_t rows) {
  constexpr int kRows = rows_at_once(V);
  static_assert(kRows % 2 == 0 && kRows / 2 <= kSpareRows + 1);
  const std::int64_t tiles = ceil_div(rows, std::int64_t{kRows});
  // Behind the last columns are those of the next matrix, or nobody's: asking for these does no harm.
  t.coming = t.U + V * lanes() * t.K;
  t.step = std::min(V * lanes() / tiles + 1, panel_columns<float>());
  for (std::int64_t left = rows; left > 0; left -= kRows) {
    left > kRows / 2 ? tile<kRows, V, kFar>(t) : tile<kRows / 2, V, kFar>(t);
    t.V += kRows * t.v_stride;
    t.Z += kRows * t.z_stride;
    t.coming += t.step * t.K;
  }
}

/// How many vectors of those left come next: the last two tiles share what is left, as a small one waits for its weights.
HWY_INLINE std::int64_t next_vectors(std::int64_t left) {
  if (left <= kVectorsAtOnce) return left;
  return left < 2 * kVectorsAtOnce ? (left + 1) / 2 : kVectorsAtOnce;
}

template <int V>
HWY_INLINE void columns_of(std::int64_t vectors, bool far, const Tile& t, std::int64_t rows) {
  if constexpr (V > 1) {
    if (vectors < V) return columns_of<V - 1>(vectors, far, t, rows);
  }
  far ? columns<V, true>(t, rows) : columns<V, false>(t, rows);
}

void multiply_all(const TileProducts& p) {
  constexpr std::int64_t kPanel = panel_columns<float>();
  const bool far =
      p.large || p.K * kVectorsAtOnce * lanes() * static_cast<std::int64_t>(sizeof(float)) > kNearBytes;
  for (std::int64_t i = 0; i < p.matrices; ++i) {
    for (std::int64_t column = 0; column < p.N;) {
      const std::int64_t vectors = next_vectors((p.N - column) / lanes());
      const Tile t{.K = p.K,
                   .V = p.V.first + i * p.V.matrix,
                   .v_stride = p.V.row,
                   .U = p.U + i * p.K * p.N + column / kPanel * kPanel * p.K + column % kPanel,
                   .panel = kPanel * p.K,
                   .Z = p.Z.first + i * p.Z.matrix + column,
                   .z_stride = p.Z.row,
                   .coming = nullptr,
                   .step = 0};
      columns_of<kVectorsAtOnce>(vectors, far, t, p.rows);
      column += vectors * lanes();
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(multiply_all);

}  // namespace

void multiply_tiles(const TileProducts& products) {
  HWY_DYNAMIC_DISPATCH(multiply_all)(products);
}

}  // namespace bnrun
#endif
