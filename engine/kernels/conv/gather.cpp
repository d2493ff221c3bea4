#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/gather.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include "kernels/conv/gather.h"
#include "kernels/partial-inl.h"
#include "kernels/select-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
HWY_INLINE void gather(const ChannelSource<T>& source, std::int64_t first, std::int64_t positions, T* Y) {
  const hn::ScalableTag<T> d;
  const auto L = static_cast<std::int64_t>(hn::MaxLanes(d));
  const Prologue<T>& prologue = *source.prologue;
  const auto low = hn::Set(d, prologue.low);
  const auto high = hn::Set(d, prologue.high);
  const auto f = [&](auto x, auto shift)
                     HWY_ATTR { return less_or(high, greater_or(low, hn::Add(x, shift))); };
  const auto width = static_cast<std::int64_t>(prologue.shift.size());
  const T* shift = prologue.shift.data();
  for (const auto& [X, channels] : source.parts) {
    const std::int64_t whole = channels - channels % L;
    const auto left = static_cast<std::size_t>(channels - whole);
    const T* x = X + first * channels;
    T* y = Y;
    for (std::int64_t i = 0; i < positions; ++i, x += channels, y += width) {
      for (std::int64_t c = 0; c < whole; c += L)
        hn::StoreU(f(hn::LoadU(d, x + c), hn::LoadU(d, shift + c)), d, y + c);
      if (left > 0) {
        const auto v = f(load_first(d, x + whole, left, T(0)), load_first(d, shift + whole, left, T(0)));
        store_first(d, v, y + whole, left);
      }
    }
    Y += channels;
    shift += channels;
  }
}

void gather_float(const ChannelSource<float>& source, std::int64_t first, std::int64_t positions, float* Y) {
  gather(source, first, positions, Y);
}
void gather_double(const ChannelSource<double>& source, std::int64_t first, std::int64_t positions,
                   double* Y) {
  gather(source, first, positions, Y);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(gather_float);
HWY_EXPORT(gather_double);

}  // namespace

template <>
void gather_channels(const ChannelSource<float>& source, std::int64_t first, std::int64_t positions,
                     float* Y) {
  HWY_DYNAMIC_DISPATCH(gather_float)(source, first, positions, Y);
}
template <>
void gather_channels(const ChannelSource<double>& source, std::int64_t first, std::int64_t positions,
                     double* Y) {
  HWY_DYNAMIC_DISPATCH(gather_double)(source, first, positions, Y);
}

}  // namespace bnrun
#endif
