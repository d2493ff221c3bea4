// Y[o,j,i] = exp(X[o,j,i] - m) / sum_j exp(X[o,j,i] - m)
//
// Rows that lie together (inner = 1) are taken in blocks of 64 bytes, whatever the vectors' width: lane l of
// a block adds up the elements l, l + B, l + 2B, ... of its row; after kBlocks blocks the lanes are added in
// halves (l + B/2, l + B/4, ...) and their sum goes to a double. Where inner > 1, a vector holds neighbouring
// rows and each is added up in its order.
#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/math/softmax.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/math/functions-inl.h"
#include "kernels/math/softmax.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

/// Blocks, or rows of a strided softmax, that are added up before their sum goes to the total.
constexpr std::int64_t kBlocks = 16;

template <class T>
struct Block {
  using D = hn::CappedTag<T, 64 / sizeof(T)>;
  static constexpr std::size_t kSize = 64 / sizeof(T);
  static constexpr std::size_t kLanes = hn::MaxLanes(D());
  static constexpr std::size_t kVectors = kSize / kLanes;
  hn::Vec<D> v[kVectors];

  static HWY_INLINE Block load(const T* x) {
    Block block;
    for (std::size_t k = 0; k < kVectors; ++k) block.v[k] = hn::LoadU(D(), x + k * kLanes);
    return block;
  }

  /// x[0..count), -inf behind
  static HWY_INLINE Block load_first(const T* x, std::size_t count) {
    constexpr T kFill = -std::numeric_limits<T>::infinity();
    Block block;
    for (std::size_t k = 0; k < kVectors; ++k) {
      const std::size_t begin = k * kLanes;
      block.v[k] = begin < count
                       ? HWY_NAMESPACE::load_first(D(), x + begin, std::min(kLanes, count - begin), kFill)
                       : hn::Set(D(), kFill);
    }
    return block;
  }

  HWY_INLINE void store(T* y) const {
    for (std::size_t k = 0; k < kVectors; ++k) hn::StoreU(v[k], D(), y + k * kLanes);
  }
  HWY_INLINE void store_first(T* y, std::size_t count) const {
    for (std::size_t k = 0; k < kVectors && k * kLanes < count; ++k)
      HWY_NAMESPACE::store_first(D(), v[k], y + k * kLanes, std::min(kLanes, count - k * kLanes));
  }

  template <class F>
  HWY_INLINE Block each(F f) const {
    Block block;
    for (std::size_t k = 0; k < kVectors; ++k) block.v[k] = f(v[k]);
    return block;
  }
  template <class F>
  HWY_INLINE void take(const Block& other, F f) {
    for (std::size_t k = 0; k < kVectors; ++k) v[k] = f(v[k], other.v[k]);
  }
};

/// Of all lanes, l with l + half the lanes, and so on.
template <class D, class V, class F>
HWY_INLINE hn::TFromD<D> reduce_lanes(D, V v, F f) {
#if HWY_TARGET == HWY_SCALAR
  (void)f;
  return hn::GetLane(v);
#else
  if constexpr (hn::MaxLanes(D()) == 1) {
    return hn::GetLane(v);
  } else {
    const hn::Half<D> half;
    return reduce_lanes(half, f(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), f);
  }
#endif
}

template <class T, class F>
HWY_INLINE T reduce(Block<T> block, F f) {
  for (std::size_t n = Block<T>::kVectors / 2; n > 0; n /= 2) {
    for (std::size_t k = 0; k < n; ++k) block.v[k] = f(block.v[k], block.v[k + n]);
  }
  return reduce_lanes(typename Block<T>::D(), block.v[0], f);
}

template <class T>
void softmax_row(SoftmaxResult result, const T* x, std::int64_t extent, T* y) {
  using B = Block<T>;
  const typename B::D d;
  constexpr auto kSize = static_cast<std::int64_t>(B::kSize);
  const std::int64_t whole = extent / kSize * kSize;
  const auto left = static_cast<std::size_t>(extent - whole);
  const auto larger = [](auto a, auto b) HWY_ATTR { return hn::Max(a, b); };
  const auto sum = [](auto a, auto b) HWY_ATTR { return hn::Add(a, b); };

  B last;
  if (left != 0) last = B::load_first(x + whole, left);
  B most = whole != 0 ? B::load(x) : last;
  B more = most;  // two chains are faster than one
  for (std::int64_t i = kSize; i + kSize < whole; i += 2 * kSize) {
    most.take(B::load(x + i), larger);
    more.take(B::load(x + i + kSize), larger);
  }
  if (whole != 0) more.take(B::load(x + whole - kSize), larger);
  if (left != 0) more.take(last, larger);
  most.take(more, larger);
  const auto m = hn::Set(d, reduce(most, larger));
  const auto numerator = [=](auto v) HWY_ATTR { return exp_of_negative(d, hn::Sub(v, m)); };
  const bool keeps = result == SoftmaxResult::probabilities;

  double total = 0.0;
  for (std::int64_t first = 0; first < whole; first += kBlocks * kSize) {
    const std::int64_t end = std::min(first + kBlocks * kSize, whole);
    B lanes = B::load(x + first).each(numerator);
    if (keeps) lanes.store(y + first);
    for (std::int64_t i = first + kSize; i < end; i += kSize) {
      const B e = B::load(x + i).each(numerator);
      if (keeps) e.store(y + i);
      lanes.take(e, sum);
    }
    total += static_cast<double>(reduce(lanes, sum));
  }
  if (left != 0) {
    const B e = last.each(numerator);
    total += static_cast<double>(reduce(e, sum));
    if (keeps) {
      const auto factor = hn::Set(d, static_cast<T>(1.0 / total));
      e.each([=](auto v) HWY_ATTR { return hn::Mul(v, factor); }).store_first(y + whole, left);
    }
  }
  if (keeps) {
    const auto factor = hn::Set(d, static_cast<T>(1.0 / total));
    const auto scaled = [=](auto v) HWY_ATTR { return hn::Mul(v, factor); };
    for (std::int64_t i = 0; i < whole; i += kSize) B::load(y + i).each(scaled).store(y + i);
    return;
  }
  const auto log_sum = hn::Set(d, static_cast<T>(std::log(total)));
  const auto logarithm = [=](auto v) HWY_ATTR { return hn::Sub(hn::Sub(v, m), log_sum); };
  for (std::int64_t i = 0; i < whole; i += kSize) B::load(x + i).each(logarithm).store(y + i);
  if (left != 0) last.each(logarithm).store_first(y + whole, left);
}

/// softmax_row for the probabilities of rows that fit into a block, with the same bits.
template <class T>
void softmax_short_rows(const T* x, std::int64_t rows, std::size_t extent, T* y) {
  using B = Block<T>;
  const typename B::D d;
  for (std::int64_t row = 0; row < rows; ++row, x += extent, y += extent) {
    B e = B::load_first(x, extent);
    const auto m = hn::Set(d, reduce(e, [](auto a, auto b) HWY_ATTR { return hn::Max(a, b); }));
    e = e.each([=](auto v) HWY_ATTR { return exp_of_negative(d, hn::Sub(v, m)); });
    const auto total = static_cast<double>(reduce(e, [](auto a, auto b) HWY_ATTR { return hn::Add(a, b); }));
    const auto factor = hn::Set(d, static_cast<T>(1.0 / total));
    e.each([=](auto v) HWY_ATTR { return hn::Mul(v, factor); }).store_first(y, extent);
  }
}

/// `count` rows side by side, up to a vector of them: the elements of each are `step` apart.
template <class T>
void softmax_columns(SoftmaxResult result, const T* x, std::int64_t extent, std::int64_t step,
                     std::size_t count, T* y) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const bool full = count == hn::MaxLanes(d);
  const auto load = [=](const T* p)
                        HWY_ATTR { return full ? hn::LoadU(d, p) : load_first(d, p, count, T(0)); };
  const auto store = [=](V v, T* p) HWY_ATTR {
    if (full)
      hn::StoreU(v, d, p);
    else
      store_first(d, v, p, count);
  };
  V m = load(x);
  for (std::int64_t j = 1; j < extent; ++j) m = hn::Max(m, load(x + j * step));
  const bool keeps = result == SoftmaxResult::probabilities;
  V total = hn::Zero(d);
  for (std::int64_t first = 0; first < extent; first += kBlocks) {
    const std::int64_t end = std::min(first + kBlocks, extent);
    V sum = hn::Zero(d);
    for (std::int64_t j = first; j < end; ++j) {
      const V e = exp_of_negative(d, hn::Sub(load(x + j * step), m));
      if (keeps) store(e, y + j * step);
      sum = hn::Add(sum, e);
    }
    total = hn::Add(total, sum);
  }
  if (keeps) {
    const V factor = hn::Div(hn::Set(d, T(1)), total);
    for (std::int64_t j = 0; j < extent; ++j) store(hn::Mul(load(y + j * step), factor), y + j * step);
    return;
  }
  const V log_sum = by_double(d, total, [](auto wide, auto v) HWY_ATTR { return log(wide, v); });
  for (std::int64_t j = 0; j < extent; ++j)
    store(hn::Sub(hn::Sub(load(x + j * step), m), log_sum), y + j * step);
}

template <class T>
HWY_INLINE void softmax_all(SoftmaxResult result, const T* x, std::int64_t outer, std::int64_t extent,
                            std::int64_t inner, T* y) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  if (result == SoftmaxResult::probabilities && inner == 1 &&
      extent <= static_cast<std::int64_t>(Block<T>::kSize))
    return softmax_short_rows(x, outer, static_cast<std::size_t>(extent), y);
  for (std::int64_t o = 0; o < outer; ++o, x += extent * inner, y += extent * inner) {
    if (inner == 1) {
      softmax_row(result, x, extent, y);
      continue;
    }
    for (std::int64_t i = 0; i < inner; i += kLanes)
      softmax_columns(result, x + i, extent, inner, static_cast<std::size_t>(std::min(kLanes, inner - i)),
                      y + i);
  }
}

void softmax_float(SoftmaxResult result, const float* x, std::int64_t outer, std::int64_t extent,
                   std::int64_t inner, float* y) {
  softmax_all(result, x, outer, extent, inner, y);
}
void softmax_double(SoftmaxResult result, const double* x, std::int64_t outer, std::int64_t extent,
                    std::int64_t inner, double* y) {
  softmax_all(result, x, outer, extent, inner, y);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(softmax_float);
HWY_EXPORT(softmax_double);

}  // namespace

template <>
void softmax(SoftmaxResult result, const float* x, std::int64_t outer, std::int64_t extent,
             std::int64_t inner, float* y) {
  HWY_DYNAMIC_DISPATCH(softmax_float)(result, x, outer, extent, inner, y);
}

template <>
void softmax(SoftmaxResult result, const double* x, std::int64_t outer, std::int64_t extent,
             std::int64_t inner, double* y) {
  HWY_DYNAMIC_DISPATCH(softmax_double)(result, x, outer, extent, inner, y);
}

}  // namespace bnrun
#endif
