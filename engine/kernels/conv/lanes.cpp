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
constexpr int kSumsAtOnce = BNRUN_MANY_SUMS ? 8 : 1;

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

template <class T, int R, int V, class Vec>
HWY_INLINE void finish_sums(const LaneLine<T>& line, std::int64_t output, std::int64_t channel,
                            const Vec* sum) {
  const LaneTag<T> d;
  const Finisher<T, decltype(d), V> finisher(d, line.p.finish, channel, line.p.M);
  const std::int64_t to = output * line.p.M + channel;
  finisher.template store<R>(
      d, [&](int r, int v) HWY_ATTR { return sum[r * V + v]; },
      line.addend != nullptr ? line.addend + to : nullptr, line.Y + to, line.p.M);
}

/// The sums of R outputs from `output` on, and of V vectors of channels from `channel` on, over the taps [first, last)
/// of every row. kWide: a lane meets several inputs, or shares one with its neighbours; V is 1 then. kWhole: vectors may
/// be read as such.
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
  finish_sums<T, R, V>(line, output, channel, sum);
}

/// All channels from `channel` on of R outputs, V vectors at once, then fewer.
template <class T, int R, int V, bool kWide>
void over_channels(const LaneLine<T>& line, std::int64_t output, std::int64_t channel, std::int64_t first,
                   std::int64_t last) {
  const LanesProduct<T>& p = line.p;
  const std::int64_t L = lanes<T>();
  // The last input that a vector reads belongs to a tensor that goes on behind it, but for the last vectors.
  const auto whole = [&](std::int64_t c) {
    return (kWide ? first_input(p, c) + p.in_per_group - 1 : c) + L <= p.C;
  };
  const std::int64_t end = (p.M + L - 1) / L * L;
  for (; channel + V * L <= end && whole(channel + (V - 1) * L); channel += V * L)
    sums<T, R, V, kWide, true>(line, output, channel, first, last);
  if constexpr (V > 1) {
    over_channels<T, R, V / 2, kWide>(line, output, channel, first, last);
  } else {
    for (; channel < end; channel += L) sums<T, R, 1, kWide, false>(line, output, channel, first, last);
  }
}

/// R outputs of one vector of channels for one input a lane, K taps next to each other and windows S positions apart: the
/// weights of a row stay in registers, and each number of X is read once for all sums that it is part of. kEdge: some taps
/// may be padding, which is zeros here.
template <class T, int R, int K, int S, bool kEdge>
HWY_NOINLINE void slide(const LaneLine<T>& line, std::int64_t output, std::int64_t channel) {
  const LaneTag<T> d;
  using Vec = hn::VFromD<decltype(d)>;
  const LanesProduct<T>& p = line.p;
  const T* weights =
      p.panels + channel / panel_columns<T>() * p.taps * panel_columns<T>() + channel % panel_columns<T>();
  const std::int64_t start = line.axis.position(output, 0);
  alignas(64) static constexpr T zeros[panel_columns<T>()] = {};
  Vec sum[R];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) sum[r] = hn::Zero(d);
  for (const LaneRow<T>& row : line.rows) {
    Vec w[K];
    HWY_UNROLL(5)
    for (int k = 0; k < K; ++k) w[k] = hn::Load(d, weights + (row.tap + k) * panel_columns<T>());
    const T* HWY_RESTRICT X = row.X + start * p.C + channel;
    HWY_UNROLL(20)
    for (int i = 0; i < (R - 1) * S + K; ++i, X += p.C) {
      const T* from = X;
      if constexpr (kEdge) from = start + i >= 0 && start + i < line.axis.input ? X : zeros;
      const Vec x = hn::LoadU(d, from);
      HWY_UNROLL(5)
      for (int k = 0; k < K; ++k) {
        if (i >= k && (i - k) % S == 0 && (i - k) / S < R)
          sum[(i - k) / S] = hn::MulAdd(x, w[k], sum[(i - k) / S]);
      }
    }
  }
  finish_sums<T, R, 1>(line, output, channel, sum);
}

/// R outputs from `output` on, of all channels.
template <class T, int R, int K, int S>
void slide_some(const LaneLine<T>& line, std::int64_t output) {
  const std::int64_t L = lanes<T>();
  const auto [first, last] = line.axis.inner_outputs();
  // Fewer than the most end a line, where there mostly is padding.
  const bool edge = R < kSumsAtOnce || output < first || output + R > last;
  std::int64_t channel = 0;
  for (; edge && channel + L <= line.p.C; channel += L) slide<T, R, K, S, true>(line, output, channel);
  if constexpr (R == kSumsAtOnce) {
    for (; channel + L <= line.p.C; channel += L) slide<T, R, K, S, false>(line, output, channel);
  }
  for (int r = 0; r < R && channel < line.p.C; ++r) {
    const auto [k0, k1] = line.axis.taps_inside(output + r);
    over_channels<T, 1, 1, false>(line, output + r, channel, k0, k1);
  }
}

/// `count` outputs from `output` on, which are R or fewer.
template <class T, int R, int K, int S>
void slide_rest(const LaneLine<T>& line, std::int64_t output, std::int64_t count) {
  if constexpr (R > 1) {
    if (count < R) return slide_rest<T, R - 1, K, S>(line, output, count);
  }
  slide_some<T, R, K, S>(line, output);
}

/// All outputs, as many as can be at once, then the rest. Where that is more than half of the most, the last ones are made
/// as many, some of them once more: their sums hide more of each other's latency.
template <class T, int K, int S>
void slide_outputs(const LaneLine<T>& line) {
  constexpr int kMost = kSumsAtOnce;
  const std::int64_t end = line.axis.output;
  std::int64_t output = 0;
  for (; output + kMost <= end; output += kMost) slide_some<T, kMost, K, S>(line, output);
  const std::int64_t left = end - output;
  if (left == 0) return;
  if (output > 0 && left > kMost / 2) return slide_some<T, kMost, K, S>(line, end - kMost);
  slide_rest<T, kMost, K, S>(line, output, left);
}

/// The outputs from `output` to `end`, none of whose taps are padding, R at once, then fewer.
template <class T, int R, bool kWide>
HWY_INLINE void inner(const LaneLine<T>& line, std::int64_t output, std::int64_t end) {
  for (; output + R <= end; output += R) over_channels<T, R, 1, kWide>(line, output, 0, 0, line.axis.kernel);
  if constexpr (R > 1) inner<T, R / 2, kWide>(line, output, end);
}

template <class T, bool kWide>
HWY_INLINE void convolve(const LaneLine<T>& line) {
  const auto border = [&](std::int64_t output) HWY_ATTR {
    const auto [k0, k1] = line.axis.taps_inside(output);
    over_channels<T, 1, kWide ? 1 : kSumsAtOnce, kWide>(line, output, 0, k0, k1);
  };
  const auto [first, last] = line.axis.inner_outputs();
  for (std::int64_t output = 0; output < first; ++output) border(output);
  inner<T, kSumsAtOnce, kWide>(line, first, last);
  for (std::int64_t output = last; output < line.axis.output; ++output) border(output);
}

template <class T>
HWY_INLINE void convolve_any(const LaneLine<T>& line) {
  const WindowAxis& axis = line.axis;
  if (line.p.in_per_group != 1 || line.p.out_per_group != 1) return convolve<T, true>(line);
  if (axis.dilation == 1 && axis.kernel == 3 && axis.stride == 1)
    return slide_outputs<T, 3, 1>(line);
  if (axis.dilation == 1 && axis.kernel == 3 && axis.stride == 2)
    return slide_outputs<T, 3, 2>(line);
  if (axis.dilation == 1 && axis.kernel == 5 && axis.stride == 1)
    return slide_outputs<T, 5, 1>(line);
  convolve<T, false>(line);
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
