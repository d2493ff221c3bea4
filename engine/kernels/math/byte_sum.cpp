#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/math/byte_sum.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "kernels/math/byte_sum.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// All as unsigned bytes: signed ones count 128 more, and so does their zero point.
struct Term {
  explicit Term(const ByteTerm& term)
      : bytes(term.bytes),
        flip(term.is_signed ? 0x80 : 0),
        zero(static_cast<double>(term.zero) + flip),
        factor(term.factor) {}
  double number(std::size_t i) const { return (static_cast<double>(bytes[i] ^ flip) - zero) * factor; }

  const std::uint8_t* bytes;
  std::uint8_t flip;
  double zero;
  double factor;
};

struct Range {
  explicit Range(const ByteRange& range)
      : flip(range.is_signed ? 0x80 : 0),
        zero(range.zero + flip),
        low(std::clamp<std::int64_t>(std::int64_t{range.low} + flip, 0, 255)),
        high(std::clamp<std::int64_t>(std::int64_t{range.high} + flip, low, 255)) {}
  std::uint8_t flip;
  std::int32_t zero;
  std::int64_t low;
  std::int64_t high;
};

void add_one_by_one(const Term& a, const Term& b, std::size_t first, std::size_t last, const Range& range,
                    std::uint8_t* q) {
  for (std::size_t i = first; i < last; ++i) {
    const double number = std::nearbyint(a.number(i) + b.number(i)) + range.zero;
    const double bounded =
        std::clamp(number, static_cast<double>(range.low), static_cast<double>(range.high));
    q[i] = static_cast<std::uint8_t>(static_cast<std::uint8_t>(bounded) ^ range.flip);
  }
}

using Doubles = hn::CappedTag<double, 8>;

HWY_INLINE hn::VFromD<Doubles> numbers(const Term& term, std::size_t i) {
  const Doubles d;
  const hn::Rebind<std::uint8_t, Doubles> bytes;
  const hn::Rebind<std::int32_t, Doubles> words;
  const auto q = hn::PromoteTo(words, hn::Xor(hn::LoadU(bytes, term.bytes + i), hn::Set(bytes, term.flip)));
  return hn::Mul(hn::Sub(hn::PromoteTo(d, q), hn::Set(d, term.zero)), hn::Set(d, term.factor));
}

/// Whole vectors from `first` on, as many as there are; returns where they end.
HWY_NOINLINE std::size_t add_exactly(const Term& a, const Term& b, std::size_t first, std::size_t last,
                                     const Range& range, std::uint8_t* q) {
  const Doubles d;
  const hn::Rebind<std::uint8_t, Doubles> bytes;
  const hn::Rebind<std::int16_t, Doubles> halves;
  const hn::Rebind<std::int32_t, Doubles> words;
  const auto zero = hn::Set(d, static_cast<double>(range.zero));
  const auto low = hn::Set(d, static_cast<double>(range.low));
  const auto high = hn::Set(d, static_cast<double>(range.high));
  std::size_t i = first;
  for (; i + hn::MaxLanes(d) <= last; i += hn::MaxLanes(d)) {
    const auto number = hn::Add(hn::Round(hn::Add(numbers(a, i), numbers(b, i))), zero);
    const auto bounded = hn::DemoteTo(words, hn::Min(hn::Max(number, low), high));
    const auto result = hn::DemoteTo(bytes, hn::DemoteTo(halves, bounded));
    hn::StoreU(hn::Xor(result, hn::Set(bytes, range.flip)), bytes, q + i);
  }
  return i;
}

void add(const ByteTerm& a_term, const ByteTerm& b_term, std::size_t count, const ByteRange& to,
         std::uint8_t* q) {
  const Term a(a_term);
  const Term b(b_term);
  const Range range(to);
  std::size_t done = 0;
#ifndef BNRUN_FEW_TARGETS  // there is no room for both
  // In floats, unless these might round to another number than doubles do. Factors, their sum with the zero points, the two
  // sums on the way and the result are rounded by 2^-24 each, and no number on the way is larger than 510 (|fa| + |fb|).
  const hn::CappedTag<float, 16> floats;
  const hn::Rebind<std::int32_t, decltype(floats)> words;
  const hn::Rebind<std::int16_t, decltype(floats)> halves;
  const hn::Rebind<std::uint8_t, decltype(floats)> bytes;
  const std::size_t L = hn::Lanes(floats);
  const double sizes = std::abs(a.factor) + std::abs(b.factor);
  const double certain = 0.5 - 0x1p-13 * (1.0 + sizes);
  const auto fa = hn::Set(floats, static_cast<float>(a.factor));
  const auto fb = hn::Set(floats, static_cast<float>(b.factor));
  const auto shift = hn::Set(floats, static_cast<float>(-a.zero * a.factor - b.zero * b.factor));
  const auto most_off = hn::Set(floats, certain > 0.0 ? static_cast<float>(certain) : -1.0F);
  const auto zero = hn::Set(floats, static_cast<float>(range.zero));
  const auto low = hn::Set(floats, static_cast<float>(range.low));
  const auto high = hn::Set(floats, static_cast<float>(range.high));
  const auto number = [&](const Term& term) HWY_ATTR {
    const auto unsigned_bytes = hn::Xor(hn::LoadU(bytes, term.bytes + done), hn::Set(bytes, term.flip));
    return hn::ConvertTo(floats, hn::PromoteTo(words, unsigned_bytes));
  };
  for (; done + L <= count; done += L) {
    const auto sum = hn::MulAdd(number(a), fa, hn::MulAdd(number(b), fb, shift));
    const auto rounded = hn::Round(sum);
    if (!hn::AllTrue(floats, hn::Lt(hn::Abs(hn::Sub(sum, rounded)), most_off))) {
      add_exactly(a, b, done, done + L, range, q);
      continue;
    }
    const auto bounded = hn::Min(hn::Max(hn::Add(rounded, zero), low), high);
    const auto result = hn::DemoteTo(bytes, hn::DemoteTo(halves, hn::ConvertTo(words, bounded)));
    hn::StoreU(hn::Xor(result, hn::Set(bytes, range.flip)), bytes, q + done);
  }
#endif
  done = add_exactly(a, b, done, count, range, q);
  add_one_by_one(a, b, done, count, range, q);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {
HWY_EXPORT(add);
}  // namespace

void add_bytes(const ByteTerm& a, const ByteTerm& b, std::size_t count, const ByteRange& range,
               std::uint8_t* q) {
  HWY_DYNAMIC_DISPATCH(add)(a, b, count, range, q);
}

}  // namespace bnrun
#endif
