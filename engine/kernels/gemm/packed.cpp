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

#include "kernels/gemm/packed.h"
#include "kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Vectors of sums that fit in the registers besides weights and X.
constexpr int kSums = HWY_MAX_BYTES == 64 || HWY_TARGET == HWY_NEON ? 24 : 12;
constexpr int kMostVectors = 8;

constexpr int vectors_for(int rows) {
  int vectors = kMostVectors;
  while (vectors > 1 && vectors * rows > kSums) vectors /= 2;
  return vectors;
}

template <class T, int R, int V>
HWY_INLINE void tile(const PackedProduct<T>& p, const T* HWY_RESTRICT X, std::int64_t column,
                     T* HWY_RESTRICT Y) {
  const hn::CappedTag<T, panel_columns<T>()> d;
  using Vec = hn::VFromD<decltype(d)>;
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(d));

  const T* HWY_RESTRICT weights[V];
  HWY_UNROLL(8)
  for (int v = 0; v < V; ++v) {
    const std::int64_t c = column + v * L;
    weights[v] = p.panels + c / panel_columns<T>() * panel_columns<T>() * p.K + c % panel_columns<T>();
  }
  Vec sum[R][V];
  HWY_UNROLL(12)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Zero(d);
  }
  for (std::int64_t k = 0; k < p.K; ++k) {
    Vec w[V];
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) w[v] = hn::Load(d, weights[v] + k * panel_columns<T>());
    HWY_UNROLL(12)
    for (int r = 0; r < R; ++r) {
      const Vec x = hn::Set(d, X[r * p.K + k]);
      HWY_UNROLL(8)
      for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(x, w[v], sum[r][v]);
    }
  }

  using Bend = typename PackedProduct<T>::Bend;
  const Vec zero = hn::Zero(d);
  HWY_UNROLL(8)
  for (int v = 0; v < V; ++v) {
    const std::int64_t c = column + v * L;
    const Vec scale = p.scale != nullptr ? hn::Load(d, p.scale + c) : hn::Set(d, T(1));
    const Vec shift = p.shift != nullptr ? hn::Load(d, p.shift + c) : zero;
    HWY_UNROLL(12)
    for (int r = 0; r < R; ++r) {
      Vec y = hn::MulAdd(sum[r][v], scale, shift);
      // a comparison with NaN is false, so NaN stays
      if (p.bend == Bend::relu) y = hn::IfThenZeroElse(hn::Lt(y, zero), y);
      if (p.bend == Bend::leaky) y = hn::IfThenElse(hn::Lt(y, zero), hn::Mul(y, hn::Set(d, p.slope)), y);
      if (p.bend == Bend::clip) {
        y = hn::IfThenElse(hn::Lt(y, hn::Set(d, p.low)), hn::Set(d, p.low), y);
        y = hn::IfThenElse(hn::Gt(y, hn::Set(d, p.high)), hn::Set(d, p.high), y);
      }
      if (c + L <= p.N)
        hn::StoreU(y, d, Y + r * p.N + c);
      else
        store_first(d, y, Y + r * p.N + c, static_cast<std::size_t>(p.N - c));
    }
  }
}

/// All columns from `column` on for `tiles` tiles of R rows, the widest tiles first.
template <class T, int R, int V>
HWY_INLINE void columns(const PackedProduct<T>& p, const T* X, std::int64_t tiles, T* Y,
                        std::int64_t column) {
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(hn::CappedTag<T, panel_columns<T>()>()));
  const std::int64_t end = (p.N + L - 1) / L * L;
  for (; column + V * L <= end; column += V * L) {
    for (std::int64_t i = 0; i < tiles; ++i) tile<T, R, V>(p, X + i * R * p.K, column, Y + i * R * p.N);
  }
  if constexpr (V > 1) columns<T, R, V / 2>(p, X, tiles, Y, column);
}

/// Rows whose results stay in the second-level cache until the activation has been applied, and for which it
/// is worth going through all weights.
template <class T>
std::int64_t rows_at_once(const PackedProduct<T>& p, std::int64_t rows) {
  constexpr std::int64_t kElements = 65536 / sizeof(T);
  constexpr std::int64_t kLeastRows = 48;
  return p.activation == nullptr ? rows : std::max(kLeastRows, kElements / std::max(p.N, std::int64_t{1}));
}

template <class T, int R>
void run_tiles(const PackedProduct<T>& p, const T* X, std::int64_t tiles, T* Y) {
  columns<T, R, vectors_for(R)>(p, X, tiles, Y, 0);
  if (p.activation != nullptr)
    activate(*p.activation, std::span<T>(Y, static_cast<std::size_t>(tiles * R * p.N)));
}

/// The last rows in one tile of their number, R or fewer.
template <class T, int R>
HWY_INLINE void run_rest(const PackedProduct<T>& p, const T* X, std::int64_t rows, T* Y) {
  if (rows == R) return run_tiles<T, R>(p, X, 1, Y);
  if constexpr (R > 1) run_rest<T, R - 1>(p, X, rows, Y);
}

template <class T>
HWY_INLINE void multiply(const PackedProduct<T>& p, const T* X, std::int64_t rows, T* Y) {
  constexpr int R = kSums / 2;
  while (rows >= R) {
    const std::int64_t tiles = std::min(rows, rows_at_once(p, rows)) / R;
    run_tiles<T, R>(p, X, tiles, Y);
    X += tiles * R * p.K;
    Y += tiles * R * p.N;
    rows -= tiles * R;
  }
  run_rest<T, R - 1>(p, X, rows, Y);
}

void multiply_float(const PackedProduct<float>& p, const float* X, std::int64_t rows, float* Y) {
  multiply(p, X, rows, Y);
}
void multiply_double(const PackedProduct<double>& p, const double* X, std::int64_t rows, double* Y) {
  multiply(p, X, rows, Y);
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
void multiply_packed(const PackedProduct<float>& product, const float* X, std::int64_t rows, float* Y) {
  HWY_DYNAMIC_DISPATCH(multiply_float)(product, X, rows, Y);
}

template <>
void multiply_packed(const PackedProduct<double>& product, const double* X, std::int64_t rows, double* Y) {
  HWY_DYNAMIC_DISPATCH(multiply_double)(product, X, rows, Y);
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
