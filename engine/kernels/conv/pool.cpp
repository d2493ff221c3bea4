#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/pool.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "kernels/conv/pool.h"
#include "kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Calls f(d, c, lanes used) for all channels, in vectors of at most `D`.
template <class D, class F>
HWY_INLINE void for_each_channel(D d, std::int64_t channels, F f) {
  const auto L = static_cast<std::int64_t>(hn::MaxLanes(d));
  for (std::int64_t c = 0; c < channels; c += L) f(c, std::min(L, channels - c), channels - c >= L);
}

template <class D, class T>
HWY_INLINE hn::Vec<D> load(D d, const T* from, std::int64_t used, bool whole) {
  return whole ? hn::LoadU(d, from) : load_first(d, from, static_cast<std::size_t>(used), T(0));
}

template <class D, class T>
HWY_INLINE void store(D d, hn::Vec<D> v, T* to, std::int64_t used, bool whole) {
  if (whole)
    hn::StoreU(v, d, to);
  else
    store_first(d, v, to, static_cast<std::size_t>(used));
}

template <class T>
HWY_INLINE void max_of(PoolTaps<T> taps, std::int64_t channels, T* Y) {
  const hn::ScalableTag<T> d;
  for_each_channel(d, channels, [&](std::int64_t c, std::int64_t used, bool whole) HWY_ATTR {
    // a comparison with NaN is false: what was found stays, and NaN is taken over what is a number
    auto best = hn::Set(d, -std::numeric_limits<T>::infinity());
    for (const T* tap : taps) {
      const auto x = load(d, tap + c, used, whole);
      const auto better = hn::Or(hn::Gt(x, best), hn::And(hn::IsNaN(x), hn::Eq(best, best)));
      best = hn::IfThenElse(better, x, best);
    }
    store(d, best, Y + c, used, whole);
  });
}

HWY_INLINE void mean_of(PoolTaps<float> taps, std::int64_t channels, double divisor, float* Y) {
  const hn::ScalableTag<double> wide;
  const hn::Rebind<float, decltype(wide)> d;
  for_each_channel(d, channels, [&](std::int64_t c, std::int64_t used, bool whole) HWY_ATTR {
    auto sum = hn::Zero(wide);
    for (const float* tap : taps) sum = hn::Add(sum, hn::PromoteTo(wide, load(d, tap + c, used, whole)));
    store(d, hn::DemoteTo(d, hn::Div(sum, hn::Set(wide, divisor))), Y + c, used, whole);
  });
}

HWY_INLINE void mean_of(PoolTaps<double> taps, std::int64_t channels, double divisor, double* Y) {
  const hn::ScalableTag<double> d;
  for_each_channel(d, channels, [&](std::int64_t c, std::int64_t used, bool whole) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (const double* tap : taps) sum = hn::Add(sum, load(d, tap + c, used, whole));
    store(d, hn::Div(sum, hn::Set(d, divisor)), Y + c, used, whole);
  });
}

void max_float(PoolTaps<float> taps, std::int64_t channels, float* Y) {
  max_of(taps, channels, Y);
}
void max_double(PoolTaps<double> taps, std::int64_t channels, double* Y) {
  max_of(taps, channels, Y);
}
void mean_float(PoolTaps<float> taps, std::int64_t channels, double divisor, float* Y) {
  mean_of(taps, channels, divisor, Y);
}
void mean_double(PoolTaps<double> taps, std::int64_t channels, double divisor, double* Y) {
  mean_of(taps, channels, divisor, Y);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(max_float);
HWY_EXPORT(max_double);
HWY_EXPORT(mean_float);
HWY_EXPORT(mean_double);

}  // namespace

void pool_max(PoolTaps<float> taps, std::int64_t channels, float* Y) {
  HWY_DYNAMIC_DISPATCH(max_float)(taps, channels, Y);
}
void pool_max(PoolTaps<double> taps, std::int64_t channels, double* Y) {
  HWY_DYNAMIC_DISPATCH(max_double)(taps, channels, Y);
}
void pool_mean(PoolTaps<float> taps, std::int64_t channels, double divisor, float* Y) {
  HWY_DYNAMIC_DISPATCH(mean_float)(taps, channels, divisor, Y);
}
void pool_mean(PoolTaps<double> taps, std::int64_t channels, double divisor, double* Y) {
  HWY_DYNAMIC_DISPATCH(mean_double)(taps, channels, divisor, Y);
}

}  // namespace bnrun
#endif
