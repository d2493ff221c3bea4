#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/math/quantise.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "kernels/math/quantise.h"
#include "kernels/partial-inl.h"
#include "kernels/select-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;

/// Calls f(i, lanes used) for all vectors of `count` elements.
template <class F>
HWY_INLINE void for_each_vector(std::size_t count, F f) {
  const std::size_t L = hn::MaxLanes(Floats());
  for (std::size_t i = 0; i < count; i += L) f(i, std::min(L, count - i));
}

template <class D, class T>
HWY_INLINE hn::Vec<D> load(D d, const T* from, std::size_t used) {
  if (used == hn::MaxLanes(d)) return hn::LoadU(d, from);
  HWY_ALIGN T all[hn::MaxLanes(D())] = {};
  for (std::size_t i = 0; i < used; ++i) all[i] = from[i];
  return hn::Load(d, all);
}

template <class D, class T>
HWY_INLINE void store(D d, hn::Vec<D> v, T* to, std::size_t used) {
  if (used == hn::MaxLanes(d)) return hn::StoreU(v, d, to);
  HWY_ALIGN T all[hn::MaxLanes(D())];
  hn::Store(v, d, all);
  for (std::size_t i = 0; i < used; ++i) to[i] = all[i];
}

template <class Q>
HWY_INLINE void to_bytes(std::span<const float> x, const ByteScale& by, Q* q) {
  const Floats d;
  const hn::Rebind<std::int32_t, Floats> words;
  const hn::Rebind<std::int16_t, Floats> halves;
  const hn::Rebind<Q, Floats> bytes;
  const auto scale = hn::Set(d, by.scale);
  const auto zero = hn::Set(d, static_cast<float>(by.zero));
  // What is too large for its sum with the zero point to be exact saturates all the same.
  const auto low = hn::Set(d, static_cast<float>(std::numeric_limits<Q>::lowest()));
  const auto high = hn::Set(d, static_cast<float>(std::numeric_limits<Q>::max()));
  for_each_vector(x.size(), [&](std::size_t i, std::size_t used) HWY_ATTR {
    const auto scaled = hn::Div(load(d, x.data() + i, used), scale);
    const auto shifted = hn::Min(hn::Max(hn::Add(hn::Round(scaled), zero), low), high);
    const auto number = hn::ConvertTo(words, hn::IfThenElse(hn::IsNaN(scaled), zero, shifted));
    store(bytes, hn::DemoteTo(bytes, hn::DemoteTo(halves, number)), q + i, used);
  });
}

template <class Q>
HWY_INLINE void from_bytes(const Q* q, std::size_t count, const ByteScale& by, float* x) {
  const Floats d;
  const hn::Rebind<std::int32_t, Floats> words;
  const hn::Rebind<Q, Floats> bytes;
  const auto scale = hn::Set(d, by.scale);
  const auto zero = hn::Set(words, by.zero);
  for_each_vector(count, [&](std::size_t i, std::size_t used) HWY_ATTR {
    const auto steps = hn::Sub(hn::PromoteTo(words, load(bytes, q + i, used)), zero);
    store(d, hn::Mul(hn::ConvertTo(d, steps), scale), x + i, used);
  });
}

void to_unsigned(std::span<const float> x, const ByteScale& by, std::uint8_t* q) {
  to_bytes(x, by, q);
}
void to_signed(std::span<const float> x, const ByteScale& by, std::uint8_t* q) {
  to_bytes(x, by, reinterpret_cast<std::int8_t*>(q));
}
void from_unsigned(std::span<const std::uint8_t> q, const ByteScale& by, float* x) {
  from_bytes(q.data(), q.size(), by, x);
}
void from_signed(std::span<const std::uint8_t> q, const ByteScale& by, float* x) {
  from_bytes(reinterpret_cast<const std::int8_t*>(q.data()), q.size(), by, x);
}

std::pair<float, float> range(std::span<const float> x) {
  const Floats d;
  auto low = hn::Zero(d);
  auto high = hn::Zero(d);
  for_each_vector(x.size(), [&](std::size_t i, std::size_t used) HWY_ATTR {
    const auto v = load(d, x.data() + i, used);
    low = less_or(v, low);
    high = greater_or(v, high);
  });
  return {hn::GetLane(hn::MinOfLanes(d, low)), hn::GetLane(hn::MaxOfLanes(d, high))};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(to_unsigned);
HWY_EXPORT(to_signed);
HWY_EXPORT(from_unsigned);
HWY_EXPORT(from_signed);
HWY_EXPORT(range);

}  // namespace

void quantise(std::span<const float> x, const ByteScale& by, std::uint8_t* q) {
  if (by.is_signed)
    HWY_DYNAMIC_DISPATCH(to_signed)(x, by, q);
  else
    HWY_DYNAMIC_DISPATCH(to_unsigned)(x, by, q);
}

void dequantise(std::span<const std::uint8_t> q, const ByteScale& by, float* x) {
  if (by.is_signed)
    HWY_DYNAMIC_DISPATCH(from_signed)(q, by, x);
  else
    HWY_DYNAMIC_DISPATCH(from_unsigned)(q, by, x);
}

std::pair<float, float> range_with_zero(std::span<const float> x) {
  return HWY_DYNAMIC_DISPATCH(range)(x);
}

}  // namespace bnrun
#endif
