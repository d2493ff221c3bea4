// y[r,n] = f(scale[n] * (sum over k of X[r,k] * W[k,n]) + shift[n]) for a few n, vectors along k.
#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/narrow.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>
#include <vector>

#include "kernels/gemm/finish-inl.h"
#include "kernels/gemm/narrow.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

/// One result after the other, in the same order of sums.
template <class T>
void multiply(const NarrowColumns<T>& w, const T* X, std::int64_t rows, const Finish<T>& finish, T* Y,
              std::int64_t y_stride) {
  constexpr std::int64_t kPanel = panel_columns<T>();
  const hn::CappedTag<T, 1> d;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t c = 0; c < w.columns; ++c) {
      const T* const column = w.weights.data() + c * padded_columns<T>(w.K);
      T sum[kPanel] = {};
      for (std::int64_t k = 0; k < w.K; ++k) sum[k % kPanel] += X[row * w.K + k] * column[k];
      for (std::int64_t count = kPanel / 2; count > 0; count /= 2) {
        for (std::int64_t i = 0; i < count; ++i) sum[i] = sum[2 * i] + sum[2 * i + 1];
      }
      const Finisher<T, decltype(d)> finisher(d, finish, c, w.columns);
      finisher.template store<1>(
          d, [&](int, int) { return hn::Set(d, sum[0]); }, nullptr, Y + row * y_stride + c, 0);
    }
  }
}

#else

/// Of `count` vectors the sums of each `width` lanes that follow each other, neighbours first: fewer vectors by as much.
template <int count, int width, class D, class V>
HWY_INLINE void add_neighbours(D d, V* v) {
  if constexpr (width > 1) {
    HWY_UNROLL(16)
    for (int i = 0; i < count / 2; ++i) {
      const V low = v[2 * i];
      const V high = v[2 * i + 1];
      v[i] = hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
    }
    add_neighbours<count / 2, width / 2>(d, v);
  }
}

/// A panel's worth of results at once: R rows of C columns, what is left over is nobody's.
template <class T, int C>
void rows_of_columns(const NarrowColumns<T>& w, const T* X, std::int64_t rows, const Finish<T>& finish, T* Y,
                     std::int64_t y_stride) {
  constexpr auto kPanel = static_cast<int>(panel_columns<T>());
  constexpr int R = kPanel / C;
  const hn::CappedTag<T, kPanel> d;
  using Vec = hn::VFromD<decltype(d)>;
  constexpr auto L = static_cast<int>(hn::MaxLanes(d));
  constexpr int kParts = kPanel / L;
  const std::int64_t stride = padded_columns<T>(w.K);
  const std::int64_t whole = w.K / L * L;
  const auto rest = static_cast<std::size_t>(w.K - whole);

  for (std::int64_t row = 0; row < rows; row += R) {
    const std::int64_t there = std::min<std::int64_t>(R, rows - row);
    const T* x[R];
    HWY_UNROLL(16)
    for (int r = 0; r < R; ++r) x[r] = X + (row + std::min<std::int64_t>(r, there - 1)) * w.K;
    Vec sum[kPanel * kParts];
    HWY_UNROLL(16)
    for (int i = 0; i < kPanel * kParts; ++i) sum[i] = hn::Zero(d);
    const auto add = [&](std::int64_t k, int part, auto load) HWY_ATTR {
      Vec column[C];
      HWY_UNROLL(4)
      for (int c = 0; c < C; ++c) column[c] = hn::Load(d, w.weights.data() + c * stride + k);
      HWY_UNROLL(16)
      for (int r = 0; r < R; ++r) {
        const Vec v = load(x[r] + k);
        HWY_UNROLL(4)
        for (int c = 0; c < C; ++c) {
          Vec& to = sum[(r * C + c) * kParts + part];
          to = hn::MulAdd(v, column[c], to);
        }
      }
    };
    std::int64_t k = 0;
    for (; k + kPanel <= whole; k += kPanel) {
      HWY_UNROLL(16)
      for (int part = 0; part < kParts; ++part)
        add(k + part * L, part, [&](const T* from) HWY_ATTR { return hn::LoadU(d, from); });
    }
    for (int part = 0; k < w.K; ++part, k += L) {
      if (k < whole)
        add(k, part, [&](const T* from) HWY_ATTR { return hn::LoadU(d, from); });
      else
        add(k, part, [&](const T* from) HWY_ATTR { return load_first(d, from, rest, T(0)); });
    }
    add_neighbours<kPanel * kParts, kPanel>(d, sum);

    HWY_ALIGN T results[kPanel];
    T* const to = y_stride == C ? Y + row * y_stride : results;
    const std::int64_t count = to == results ? kPanel : there * C;
    HWY_UNROLL(16)
    for (int part = 0; part < kParts; ++part) {
      const Finisher<T, decltype(d)> finisher(d, finish, part * L, count);
      finisher.template store<1>(
          d, [&](int, int) HWY_ATTR { return sum[part]; }, nullptr, to + part * L, 0);
    }
    for (std::int64_t r = 0; r < there && to == results; ++r) {
      HWY_UNROLL(4)
      for (int c = 0; c < C; ++c) Y[(row + r) * y_stride + c] = results[r * C + c];
    }
  }
}

template <class T>
void multiply(const NarrowColumns<T>& w, const T* X, std::int64_t rows, const Finish<T>& finish, T* Y,
              std::int64_t y_stride) {
  constexpr decltype(&rows_of_columns<T, 1>) kByColumns[] = {rows_of_columns<T, 1>, rows_of_columns<T, 2>,
                                                             rows_of_columns<T, 3>, rows_of_columns<T, 4>};
  kByColumns[w.columns - 1](w, X, rows, finish, Y, y_stride);
}

#endif

void multiply_float(const NarrowColumns<float>& w, const float* X, std::int64_t rows,
                    const Finish<float>& finish, float* Y, std::int64_t y_stride) {
  multiply(w, X, rows, finish, Y, y_stride);
}
void multiply_double(const NarrowColumns<double>& w, const double* X, std::int64_t rows,
                     const Finish<double>& finish, double* Y, std::int64_t y_stride) {
  multiply(w, X, rows, finish, Y, y_stride);
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

/// The last `columns` of `values`, as often as they fit into a panel.
template <class T>
AlignedBuffer<T> repeated(std::span<const T> values, std::int64_t columns) {
  if (values.empty()) return {};
  const auto last = values.last(static_cast<std::size_t>(columns));
  std::vector<T> all;
  while (static_cast<std::int64_t>(all.size()) + columns <= panel_columns<T>())
    all.insert(all.end(), last.begin(), last.end());
  return padded_to_panels<T>(all);
}

}  // namespace

template <class T>
NarrowColumns<T>::NarrowColumns(std::int64_t k, std::int64_t N, std::int64_t count, const T* W,
                                std::span<const T> scales, std::span<const T> shifts,
                                std::span<const T> scales_behind, std::span<const T> shifts_behind)
    : K(k),
      columns(count),
      weights(static_cast<std::size_t>(count * padded_columns<T>(k))),
      scale(repeated(scales, count)),
      shift(repeated(shifts, count)),
      scale_behind(repeated(scales_behind, count)),
      shift_behind(repeated(shifts_behind, count)) {
  std::fill_n(weights.data(), weights.size(), T(0));
  for (std::int64_t c = 0; c < count; ++c) {
    T* const column = weights.data() + c * padded_columns<T>(K);
    for (std::int64_t i = 0; i < K; ++i) column[i] = W[i * N + N - count + c];
  }
}

template <class T>
void NarrowColumns<T>::multiply(const T* X, std::int64_t rows, Finish<T> finish, T* Y,
                                std::int64_t y_stride) const {
  if (columns == 0) return;
  finish.scale = scale.data();
  finish.shift = shift.data();
  finish.scale_behind = scale_behind.data();
  finish.shift_behind = shift_behind.data();
  if constexpr (std::is_same_v<T, float>)
    HWY_DYNAMIC_DISPATCH(multiply_float)(*this, X, rows, finish, Y, y_stride);
  else
    HWY_DYNAMIC_DISPATCH(multiply_double)(*this, X, rows, finish, Y, y_stride);
}

template struct NarrowColumns<float>;
template struct NarrowColumns<double>;

}  // namespace bnrun
#endif
