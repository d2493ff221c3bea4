// Y[o,m] = f(sum over rows and taps of X[row, o*stride - pad + k*dilation, channels of m] * W[tap, m])
#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/lanes.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/conv/lanes.h"
#include "kernels/gemm/finish-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// Outputs or vectors whose sums are in the making at once, which hides the latency of a multiply-add.
constexpr int kSumsAtOnce = 8;

/// All that the sums of one line share.
template <class T>
struct LaneLine {
  const LanesProduct<T>& p;
  const WindowAxis& axis;
  std::span<const LaneRow<T>> rows;
  const T* addend;
  T* Y;
};

template <class T>
using LaneTag = hn::CappedTag<T, panel_columns<T>()>;
template <class T>
HWY_INLINE std::int64_t lanes() {
  return static_cast<std::int64_t>(hn::MaxLanes(LaneTag<T>()));
}

template <class T>
HWY_INLINE std::int64_t first_input(const LanesProduct<T>& p, std::int64_t channel) {
  return channel / p.out_per_group * p.in_per_group;
}

/// For each lane, which of the inputs from first_input(channel) on it meets first.
template <class T, class D>
HWY_INLINE auto lane_inputs(D d, const LanesProduct<T>& p, std::int64_t channel) {
  using I = hwy::MakeSigned<T>;
  HWY_ALIGN I index[panel_columns<T>()];
  for (std::int64_t i = 0; i < lanes<T>(); ++i)
    index[i] = static_cast<I>(first_input(p, channel + i) - first_input(p, channel));
  return hn::IndicesFromVec(d, hn::Load(hn::RebindToSigned<D>(), index));
}

/// The sums of R outputs from `output` on, and of V vectors of channels from `channel` on, over the taps [first, last)
/// of every row. One of R and V is 1. kWide: a lane meets several inputs, or shares one with its neighbours. kWhole:
/// vectors may be read as such.
template <class T, int R, int V, bool kWide, bool kWhole>
HWY_INLINE void sums(const LaneLine<T>& line, std::int64_t output, std::int64_t channel, std::int64_t first,
                     std::int64_t last) {
  const LaneTag<T> d;
  using Vec = hn::VFromD<decltype(d)>;
  const LanesProduct<T>& p = line.p;
  const std::int64_t L = lanes<T>();
  const std::int64_t panel = p.taps * p.in_per_group * panel_columns<T>();
  const std::int64_t step = line.axis.stride * p.C;

  const T* weights[V];
  std::int64_t input[V];
  HWY_UNROLL(8)
  for (int v = 0; v < V; ++v) {
    const std::int64_t c = channel + v * L;
    weights[v] = p.panels + c / panel_columns<T>() * panel + c % panel_columns<T>();
    input[v] = kWide ? first_input(p, c) : c;
  }
  Vec sum[R * V];
  HWY_UNROLL(8)
  for (int i = 0; i < R * V; ++i) sum[i] = hn::Zero(d);
  const auto add = [&](const T* HWY_RESTRICT X, std::int64_t at, auto pick) HWY_ATTR {
    HWY_UNROLL(8)
    for (int v = 0; v < V; ++v) {
      const Vec w = hn::Load(d, weights[v] + at);
      HWY_UNROLL(8)
      for (int r = 0; r < R; ++r) {
        const T* from = X + r * step + input[v];
        Vec x;
        if constexpr (kWhole)
          x = hn::LoadU(d, from);
        else
          x = load_first(d, from, static_cast<std::size_t>(std::min(L, p.C - input[v])), T(0));
        sum[r * V + v] = hn::MulAdd(pick(x), w, sum[r * V + v]);
      }
    }
  };
  for (const LaneRow<T>& row : line.rows) {
    const T* X = row.X + line.axis.position(output, first) * p.C;
    std::int64_t at = (row.tap + first) * p.in_per_group * panel_columns<T>();
    for (std::int64_t k = first; k < last; ++k, X += line.axis.dilation * p.C) {
      if constexpr (kWide) {
        const auto index = lane_inputs(d, p, channel);
        for (std::int64_t c = 0; c < p.in_per_group; ++c, at += panel_columns<T>()) {
          input[0] = first_input(p, channel) + c;
          add(X, at, [&](Vec x) HWY_ATTR { return hn::TableLookupLanes(x, index); });
        }
      } else {
        add(X, at, [](Vec x) HWY_ATTR { return x; });
        at += panel_columns<T>();
      }
    }
  }
  HWY_UNROLL(8)
  for (int v = 0; v < V; ++v) {
    const std::int64_t c = channel + v * L;
    const Finisher<T, decltype(d)> finisher(d, p.finish, c, p.M);
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      const std::int64_t to = (output + r) * p.M + c;
      finisher.store(d, sum[r * V + v], line.addend != nullptr ? line.addend + to : nullptr, line.Y + to);
    }
  }
}

template <class T, int R, bool kWide, bool kWhole>
HWY_INLINE void rest(const LaneLine<T>& line, std::int64_t output, std::int64_t count, std::int64_t channel) {
  if (count == R) return sums<T, R, 1, kWide, kWhole>(line, output, channel, 0, line.axis.kernel);
  if constexpr (R > 1) rest<T, R - 1, kWide, kWhole>(line, output, count, channel);
}

/// Outputs none of whose taps are padding.
template <class T, bool kWide, bool kWhole>
HWY_INLINE void inner(const LaneLine<T>& line, std::int64_t output, std::int64_t end, std::int64_t channel) {
  for (; output + kSumsAtOnce <= end; output += kSumsAtOnce)
    sums<T, kSumsAtOnce, 1, kWide, kWhole>(line, output, channel, 0, line.axis.kernel);
  if (output < end) rest<T, kSumsAtOnce - 1, kWide, kWhole>(line, output, end - output, channel);
}

template <class T, bool kWide>
HWY_INLINE void convolve(const LaneLine<T>& line) {
  const LanesProduct<T>& p = line.p;
  const std::int64_t L = lanes<T>();
  const std::int64_t end = (p.M + L - 1) / L * L;
  // The last input that a vector reads belongs to a tensor that goes on behind it, but for the last vectors.
  const auto whole = [&](std::int64_t channel) {
    return (kWide ? first_input(p, channel) + p.in_per_group - 1 : channel) + L <= p.C;
  };
  const auto [first, last] = line.axis.inner_outputs();
  for (std::int64_t channel = 0; channel < end; channel += L) {
    if (whole(channel))
      inner<T, kWide, true>(line, first, last, channel);
    else
      inner<T, kWide, false>(line, first, last, channel);
  }
  const auto border = [&](std::int64_t output) HWY_ATTR {
    const auto [k0, k1] = line.axis.taps_inside(output);
    std::int64_t channel = 0;
    if constexpr (!kWide) {
      for (; channel + kSumsAtOnce * L <= p.C; channel += kSumsAtOnce * L)
        sums<T, 1, kSumsAtOnce, kWide, true>(line, output, channel, k0, k1);
    }
    for (; channel < end && whole(channel); channel += L)
      sums<T, 1, 1, kWide, true>(line, output, channel, k0, k1);
    for (; channel < end; channel += L) sums<T, 1, 1, kWide, false>(line, output, channel, k0, k1);
  };
  for (std::int64_t output = 0; output < first; ++output) border(output);
  for (std::int64_t output = last; output < line.axis.output; ++output) border(output);
}

template <class T>
HWY_INLINE void convolve_any(const LaneLine<T>& line) {
  if (line.p.in_per_group == 1 && line.p.out_per_group == 1)
    convolve<T, false>(line);
  else
    convolve<T, true>(line);
}

void convolve_lanes_float(const LanesProduct<float>& p, const WindowAxis& axis,
                          std::span<const LaneRow<float>> rows, const float* addend, float* Y) {
  convolve_any<float>({p, axis, rows, addend, Y});
}
void convolve_lanes_double(const LanesProduct<double>& p, const WindowAxis& axis,
                           std::span<const LaneRow<double>> rows, const double* addend, double* Y) {
  convolve_any<double>({p, axis, rows, addend, Y});
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(convolve_lanes_float);
HWY_EXPORT(convolve_lanes_double);

}  // namespace

template <>
void convolve_lanes(const LanesProduct<float>& product, const WindowAxis& axis,
                    std::span<const LaneRow<float>> rows, const float* addend, float* Y) {
  HWY_DYNAMIC_DISPATCH(convolve_lanes_float)(product, axis, rows, addend, Y);
}

template <>
void convolve_lanes(const LanesProduct<double>& product, const WindowAxis& axis,
                    std::span<const LaneRow<double>> rows, const double* addend, double* Y) {
  HWY_DYNAMIC_DISPATCH(convolve_lanes_double)(product, axis, rows, addend, Y);
}

}  // namespace bnrun
#endif
