// Y[M,N] = f(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n])
//
// A tile of R rows and V vectors of columns is held in R*V registers while k runs over all of K: per k, V
// loads of weights, R broadcasts of X, R*V fused multiply-adds. Fewer rows leave registers for more columns,
// which keeps enough multiply-adds in flight.

// Vectors whose length is known only at run time cannot be held in arrays.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/packed.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/gemm/packed.h"

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
  const hn::CappedTag<T, kPanelColumns<T>> d;
  using Vec = hn::VFromD<decltype(d)>;
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(d));

  const T* HWY_RESTRICT weights[V];
  HWY_UNROLL(8)
  for (int v = 0; v < V; ++v) {
    const std::int64_t c = column + v * L;
    weights[v] = p.panels + c / kPanelColumns<T> * kPanelColumns<T> * p.K + c % kPanelColumns<T>;
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
    for (int v = 0; v < V; ++v) w[v] = hn::Load(d, weights[v] + k * kPanelColumns<T>);
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
      if (c + L <= p.N) {
        hn::StoreU(y, d, Y + r * p.N + c);
      } else {
        HWY_ALIGN T last[static_cast<std::size_t>(L)];
        hn::Store(y, d, last);
        std::memcpy(Y + r * p.N + c, last, static_cast<std::size_t>(p.N - c) * sizeof(T));
      }
    }
  }
}

/// All columns from `column` on for `tiles` tiles of R rows, the widest tiles first.
template <class T, int R, int V>
HWY_INLINE void columns(const PackedProduct<T>& p, const T* X, std::int64_t tiles, T* Y,
                        std::int64_t column) {
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(hn::CappedTag<T, kPanelColumns<T>>()));
  const std::int64_t end = (p.N + L - 1) / L * L;
  for (; column + V * L <= end; column += V * L) {
    for (std::int64_t i = 0; i < tiles; ++i) tile<T, R, V>(p, X + i * R * p.K, column, Y + i * R * p.N);
  }
  if constexpr (V > 1) columns<T, R, V / 2>(p, X, tiles, Y, column);
}

template <class T, int R>
HWY_INLINE void rows_of(const PackedProduct<T>& p, const T*& X, std::int64_t& rows, T*& Y) {
  const std::int64_t tiles = rows / R;
  if (tiles == 0) return;
  columns<T, R, vectors_for(R)>(p, X, tiles, Y, 0);
  X += tiles * R * p.K;
  Y += tiles * R * p.N;
  rows -= tiles * R;
}

template <class T>
HWY_INLINE void multiply(const PackedProduct<T>& p, const T* X, std::int64_t rows, T* Y) {
  rows_of<T, kSums / 2>(p, X, rows, Y);
  if constexpr (kSums / 2 > 8) rows_of<T, 8>(p, X, rows, Y);
  rows_of<T, 4>(p, X, rows, Y);
  rows_of<T, 2>(p, X, rows, Y);
  rows_of<T, 1>(p, X, rows, Y);
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
  for (std::int64_t first = 0; first < N; first += kPanelColumns<T>) {
    const std::int64_t used = std::min(kPanelColumns<T>, N - first);
    for (std::int64_t k = 0; k < K; ++k) {
      T* end = std::copy_n(W + k * N + first, used, panels);
      panels += kPanelColumns<T>;
      std::fill(end, panels, T(0));
    }
  }
}

template void pack_panels(std::int64_t, std::int64_t, const float*, float*);
template void pack_panels(std::int64_t, std::int64_t, const double*, double*);

}  // namespace bnrun
#endif
