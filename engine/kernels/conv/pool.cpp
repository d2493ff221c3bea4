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
#include "kernels/select-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Vectors of channels that are pooled at once, which hides how long one waits for the tap before.
constexpr int kAtOnce = 4;

/// What lies under one output of the line.
template <class T>
struct Taps {
  const PoolLine<T>& line;
  std::int64_t start;  ///< of the first tap of each row, in elements
  std::int64_t step;   ///< to the next
  std::int64_t count;  ///< of each row

  /// Calls f(tap) for all of them in order.
  template <class F>
  HWY_INLINE void for_each(F f) const {
    for (const T* row : line.rows) {
      const T* tap = row + start;
      for (std::int64_t k = 0; k < count; ++k, tap += step) f(tap);
    }
  }
};

/// Calls block(taps, output, channel, vectors, whole) for all outputs and vectors of channels.
template <class D, class T, class Block>
HWY_INLINE void for_each_block(D d, const PoolLine<T>& line, Block block) {
  const auto L = static_cast<std::int64_t>(hn::MaxLanes(d));
  const std::int64_t C = line.channels;
  for (std::int64_t o = 0; o < line.axis.output; ++o) {
    const auto [first, last] = line.axis.taps_inside(o);
    const Taps<T> taps{line, line.axis.position(o, first) * C, line.axis.dilation * C, last - first};
    std::int64_t c = 0;
    for (; c + kAtOnce * L <= C; c += kAtOnce * L)
      block(taps, o, c, std::integral_constant<int, kAtOnce>(), std::true_type());
    for (; c + L <= C; c += L) block(taps, o, c, std::integral_constant<int, 1>(), std::true_type());
    if (c < C) block(taps, o, c, std::integral_constant<int, 1>(), std::false_type());
  }
}

template <class T>
HWY_INLINE void max_of(const PoolLine<T>& line) {
  const hn::ScalableTag<T> d;
  const auto L = static_cast<std::int64_t>(hn::MaxLanes(d));
  const auto lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  for_each_block(d, line,
                 [&](const auto& taps, std::int64_t o, std::int64_t c, auto vectors, auto whole) HWY_ATTR {
                   constexpr int V = decltype(vectors)::value;
                   const std::int64_t C = line.channels;
                   const auto load = [&](const T* tap, int v) HWY_ATTR {
                     if constexpr (decltype(whole)::value) return hn::LoadU(d, tap + c + v * L);
                     return load_first(d, tap + c, static_cast<std::size_t>(C - c), T(0));
                   };
                   hn::Vec<decltype(d)> best[V];
                   hn::Vec<decltype(d)> sum[V];  // NaN if there is one, and also where infinities meet
                   for (int v = 0; v < V; ++v) {
                     best[v] = lowest;
                     sum[v] = hn::Zero(d);
                   }
                   taps.for_each([&](const T* tap) HWY_ATTR {
                     HWY_UNROLL(4)
                     for (int v = 0; v < V; ++v) {
                       const auto x = load(tap, v);
                       best[v] = greater_or(x, best[v]);
                       sum[v] = hn::Add(sum[v], x);
                     }
                   });
                   for (int v = 0; v < V; ++v) {
                     if (!hn::AllFalse(d, hn::IsNaN(sum[v]))) {
                       best[v] = lowest;
                       taps.for_each([&](const T* tap) HWY_ATTR {
                         const auto x = load(tap, v);
                         const auto first_nan = hn::And(hn::IsNaN(x), hn::Not(hn::IsNaN(best[v])));
                         best[v] = hn::IfThenElse(hn::Or(hn::Gt(x, best[v]), first_nan), x, best[v]);
                       });
                     }
                     T* to = line.Y + o * C + c + v * L;
                     if constexpr (decltype(whole)::value)
                       hn::StoreU(best[v], d, to);
                     else
                       store_first(d, best[v], to, static_cast<std::size_t>(C - c));
                   }
                 });
}

HWY_INLINE auto in_double(hn::ScalableTag<double> wide,
                          hn::Vec<hn::Rebind<float, hn::ScalableTag<double>>> x) {
  return hn::PromoteTo(wide, x);
}
HWY_INLINE auto in_double(hn::ScalableTag<double>, hn::Vec<hn::ScalableTag<double>> x) {
  return x;
}

template <class T>
HWY_INLINE void mean_of(const PoolLine<T>& line, const double* divisors) {
  const hn::ScalableTag<double> wide;
  const hn::Rebind<T, decltype(wide)> d;
  const auto L = static_cast<std::int64_t>(hn::MaxLanes(wide));
  for_each_block(
      d, line, [&](const auto& taps, std::int64_t o, std::int64_t c, auto vectors, auto whole) HWY_ATTR {
        constexpr int V = decltype(vectors)::value;
        const std::int64_t C = line.channels;
        hn::Vec<decltype(wide)> sum[V];
        for (int v = 0; v < V; ++v) sum[v] = hn::Zero(wide);
        taps.for_each([&](const T* tap) HWY_ATTR {
          HWY_UNROLL(4)
          for (int v = 0; v < V; ++v) {
            if constexpr (decltype(whole)::value)
              sum[v] = hn::Add(sum[v], in_double(wide, hn::LoadU(d, tap + c + v * L)));
            else
              sum[v] = hn::Add(
                  sum[v], in_double(wide, load_first(d, tap + c, static_cast<std::size_t>(C - c), T(0))));
          }
        });
        const auto divisor = hn::Set(wide, divisors[o]);
        for (int v = 0; v < V; ++v) {
          hn::Vec<decltype(d)> mean;
          if constexpr (std::is_same_v<T, float>)
            mean = hn::DemoteTo(d, hn::Div(sum[v], divisor));
          else
            mean = hn::Div(sum[v], divisor);
          T* to = line.Y + o * C + c + v * L;
          if constexpr (decltype(whole)::value)
            hn::StoreU(mean, d, to);
          else
            store_first(d, mean, to, static_cast<std::size_t>(C - c));
        }
      });
}

void max_float(const PoolLine<float>& line) {
  max_of(line);
}
void max_double(const PoolLine<double>& line) {
  max_of(line);
}
void mean_float(const PoolLine<float>& line, const double* divisors) {
  mean_of(line, divisors);
}
void mean_double(const PoolLine<double>& line, const double* divisors) {
  mean_of(line, divisors);
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

void pool_max(const PoolLine<float>& line) {
  HWY_DYNAMIC_DISPATCH(max_float)(line);
}
void pool_max(const PoolLine<double>& line) {
  HWY_DYNAMIC_DISPATCH(max_double)(line);
}
void pool_mean(const PoolLine<float>& line, const double* divisors) {
  HWY_DYNAMIC_DISPATCH(mean_float)(line, divisors);
}
void pool_mean(const PoolLine<double>& line, const double* divisors) {
  HWY_DYNAMIC_DISPATCH(mean_double)(line, divisors);
}

}  // namespace bnrun
#endif
