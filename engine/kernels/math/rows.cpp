// Sums in double and extremes: a row goes through in blocks of 16 elements, whatever the width of a vector.
#include "kernels/math/rows.h"

#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/math/rows.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

constexpr std::size_t kBlock = 16;
using Doubles = hn::CappedTag<double, 8>;
constexpr std::size_t kLanes = hn::MaxLanes(Doubles());
constexpr std::size_t kVectors = kBlock / kLanes;

HWY_INLINE hn::Vec<Doubles> load_wide(const double* p) {
  return hn::LoadU(Doubles(), p);
}
HWY_INLINE hn::Vec<Doubles> load_wide(const float* p) {
  const Doubles d;
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, Doubles>(), p));
}
HWY_INLINE void store_narrow(hn::Vec<Doubles> v, double* p) {
  hn::StoreU(v, Doubles(), p);
}
HWY_INLINE void store_narrow(hn::Vec<Doubles> v, float* p) {
  const hn::Rebind<float, Doubles> d;
  hn::StoreU(hn::DemoteTo(d, v), d, p);
}

/// block(i) for each whole block of 16 elements from i on, and rest(i, count) for what is left.
template <class Block, class Rest>
HWY_INLINE void for_each_block(std::int64_t count, Block block, Rest rest) {
  const auto size = static_cast<std::size_t>(count);
  std::size_t i = 0;
  for (; i + kBlock <= size; i += kBlock) block(i);
  if (i != size) rest(i, size - i);
}

template <RowSum kind, class V>
HWY_INLINE V plus(V sum, V x) {
  if constexpr (kind == RowSum::plain) return hn::Add(sum, x);
  if constexpr (kind == RowSum::absolute) return hn::Add(sum, hn::Abs(x));
  if constexpr (kind == RowSum::squares) return hn::MulAdd(x, x, sum);
}

template <RowSum kind, class T>
double sum_of(const T* x, std::int64_t count, double center) {
  const Doubles d;
  hn::Vec<Doubles> sums[kVectors];
  for (auto& sum : sums) sum = hn::Zero(d);
  const auto middle = hn::Set(d, center);
  for_each_block(
      count,
      [&](std::size_t i) HWY_ATTR {
        for (std::size_t v = 0; v < kVectors; ++v)
          sums[v] = plus<kind>(sums[v], hn::Sub(load_wide(x + i + v * kLanes), middle));
      },
      [&](std::size_t i, std::size_t left) HWY_ATTR {
        HWY_ALIGN double rest[kBlock] = {};
        for (std::size_t k = 0; k < left; ++k) rest[k] = static_cast<double>(x[i + k]) - center;
        for (std::size_t v = 0; v < kVectors; ++v)
          sums[v] = plus<kind>(sums[v], hn::Load(d, rest + v * kLanes));
      });
  HWY_ALIGN double partial[kBlock];
  for (std::size_t v = 0; v < kVectors; ++v) hn::Store(sums[v], d, partial + v * kLanes);
  for (std::size_t half = kBlock / 2; half != 0; half /= 2) {
    for (std::size_t k = 0; k < half; ++k) partial[k] += partial[k + half];
  }
  return partial[0];
}

template <RowSum kind, class T>
void add_to(const T* x, std::int64_t count, double* sums) {
  const Doubles d;
  for_each_block(
      count,
      [&](std::size_t i) HWY_ATTR {
        for (std::size_t k = i; k < i + kBlock; k += kLanes)
          hn::StoreU(plus<kind>(hn::LoadU(d, sums + k), load_wide(x + k)), d, sums + k);
      },
      [&](std::size_t i, std::size_t left) HWY_ATTR {
        const hn::CappedTag<double, 1> one;
        for (std::size_t k = i; k < i + left; ++k) {
          const auto value = hn::Set(one, static_cast<double>(x[k]));
          hn::StoreU(plus<kind>(hn::LoadU(one, sums + k), value), one, sums + k);
        }
      });
}

template <class T>
HWY_INLINE T better(RowExtreme kind, T best, T x) {
  const bool replaces = kind == RowExtreme::most ? x > best : x < best;
  return best == best && (replaces || x != x) ? x : best;
}

/// The comparisons are such that a NaN in `best` stays and one in `x` comes in.
template <class D, class V>
HWY_INLINE V better(D, RowExtreme kind, V best, V x) {
  const auto replaces = hn::Or(kind == RowExtreme::most ? hn::Gt(x, best) : hn::Lt(x, best), hn::IsNaN(x));
  return hn::IfThenElse(hn::IsNaN(best), best, hn::IfThenElse(replaces, x, best));
}

template <class T>
T extreme_of(RowExtreme kind, const T* x, std::int64_t count) {
  const hn::CappedTag<T, kBlock / (sizeof(T) / 4)> d;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  const T neutral = kind == RowExtreme::most ? -kInfinity : kInfinity;
  HWY_ALIGN T partial[kBlock];
  std::fill(partial, partial + kBlock, neutral);
  hn::Vec<decltype(d)> best[kBlock / kWidth];
  for (auto& v : best) v = hn::Set(d, neutral);
  for_each_block(
      count,
      [&](std::size_t i) HWY_ATTR {
        for (std::size_t v = 0; v < kBlock / kWidth; ++v)
          best[v] = better(d, kind, best[v], hn::LoadU(d, x + i + v * kWidth));
      },
      [&](std::size_t i, std::size_t left) HWY_ATTR {
        std::copy_n(x + i, left, partial);
        for (std::size_t v = 0; v < kBlock / kWidth; ++v)
          best[v] = better(d, kind, best[v], hn::Load(d, partial + v * kWidth));
      });
  for (std::size_t v = 0; v < kBlock / kWidth; ++v) hn::Store(best[v], d, partial + v * kWidth);
  T result = partial[0];
  for (std::size_t k = 1; k < kBlock; ++k) result = better(kind, result, partial[k]);
  if (result == result) return result;
  return *std::find_if(x, x + count, [](T value) { return value != value; });
}

template <class T>
void extreme_with(RowExtreme kind, const T* x, std::int64_t count, T* best) {
  const hn::ScalableTag<T> d;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  const auto size = static_cast<std::size_t>(count);
  std::size_t i = 0;
  for (; i + kWidth <= size; i += kWidth)
    hn::StoreU(better(d, kind, hn::LoadU(d, best + i), hn::LoadU(d, x + i)), d, best + i);
  for (; i < size; ++i) best[i] = better(kind, best[i], x[i]);
}

/// y[i] = f(x[i], i) on vectors of doubles; f is given whole vectors, of which the last may reach beyond the row.
template <class T, class F>
HWY_INLINE void map_wide(const T* x, std::int64_t count, T* y, F f) {
  for_each_block(
      count,
      [&](std::size_t i) HWY_ATTR {
        for (std::size_t k = i; k < i + kBlock; k += kLanes)
          store_narrow(f(load_wide(x + k), k, kLanes), y + k);
      },
      [&](std::size_t i, std::size_t left) HWY_ATTR {
        HWY_ALIGN T values[kBlock] = {};
        std::copy_n(x + i, left, values);
        for (std::size_t v = 0; v < left; v += kLanes) {
          store_narrow(f(load_wide(values + v), i + v, std::min(kLanes, left - v)), values + v);
        }
        std::copy_n(values, left, y + i);
      });
}

/// p[i..i + count), zeros in the other lanes.
template <class T>
HWY_INLINE hn::Vec<Doubles> load_some(const T* p, std::size_t i, std::size_t count) {
  if (count == kLanes) return load_wide(p + i);
  HWY_ALIGN T values[kLanes] = {};
  std::copy_n(p + i, count, values);
  return load_wide(values);
}

template <class T>
void normalise(const T* x, std::int64_t count, double mean, double factor, const T* scale, const T* shift,
               T* y) {
  const Doubles d;
  const auto middle = hn::Set(d, mean);
  const auto times = hn::Set(d, factor);
  map_wide(x, count, y, [&](hn::Vec<Doubles> value, std::size_t i, std::size_t lanes) HWY_ATTR {
    auto result = hn::Mul(hn::Sub(value, middle), times);
    if (scale != nullptr) result = hn::Mul(result, load_some(scale, i, lanes));
    if (shift != nullptr) result = hn::Add(result, load_some(shift, i, lanes));
    return result;
  });
}

template <class T>
void map_all(const T* x, std::int64_t count, const double* scale, const double* shift, T* y) {
  map_wide(x, count, y, [&](hn::Vec<Doubles> value, std::size_t i, std::size_t lanes) HWY_ATTR {
    return hn::Add(hn::Mul(value, load_some(scale, i, lanes)), load_some(shift, i, lanes));
  });
}

template <class T>
void scale_all(const T* x, std::int64_t count, double mean, double scale, double shift, T* y) {
  const Doubles d;
  const auto middle = hn::Set(d, mean);
  const auto s = hn::Set(d, scale);
  const auto t = hn::Set(d, shift);
  map_wide(x, count, y, [&](hn::Vec<Doubles> value, std::size_t, std::size_t) HWY_ATTR {
    return hn::Add(hn::Mul(hn::Sub(value, middle), s), t);
  });
}

template <class T>
double sum_kind(RowSum kind, const T* x, std::int64_t count, double center) {
  switch (kind) {
    case RowSum::plain:
      return sum_of<RowSum::plain>(x, count, center);
    case RowSum::absolute:
      return sum_of<RowSum::absolute>(x, count, center);
    default:
      return sum_of<RowSum::squares>(x, count, center);
  }
}

template <class T>
void add_kind(RowSum kind, const T* x, std::int64_t count, double* sums) {
  switch (kind) {
    case RowSum::plain:
      return add_to<RowSum::plain>(x, count, sums);
    case RowSum::absolute:
      return add_to<RowSum::absolute>(x, count, sums);
    default:
      return add_to<RowSum::squares>(x, count, sums);
  }
}

template <class T>
constexpr RowKernels<T> kKernels = {sum_kind<T>,  add_kind<T>, extreme_of<T>, extreme_with<T>,
                                    normalise<T>, map_all<T>,  scale_all<T>};

const RowKernels<float>* float_kernels() {
  return &kKernels<float>;
}
const RowKernels<double>* double_kernels() {
  return &kKernels<double>;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(float_kernels);
HWY_EXPORT(double_kernels);

}  // namespace

template <>
const RowKernels<float>& row_kernels() {
  return *HWY_DYNAMIC_DISPATCH(float_kernels)();
}
template <>
const RowKernels<double>& row_kernels() {
  return *HWY_DYNAMIC_DISPATCH(double_kernels)();
}

}  // namespace bnrun
#endif
