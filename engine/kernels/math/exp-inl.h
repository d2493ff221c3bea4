// exp and what is made of it on whole vectors; included once per instruction set.
//
// exp(x) = 2^n * (1 + c),  n = round(x/ln 2),  r = x - n*ln 2,  c = r + r^2*P(r).
// c is rounded once from an argument that grows with x, and so is what is made of it: exp and sigmoid are
// monotone. Only what IEEE defines is used (no estimates of a reciprocal), so that every width gives the same
// bits; multiply-adds are fused, therefore processors without them differ in the last place.

#if defined(BNRUN_KERNELS_MATH_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BNRUN_KERNELS_MATH_EXP_INL_H_
#undef BNRUN_KERNELS_MATH_EXP_INL_H_
#else
#define BNRUN_KERNELS_MATH_EXP_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr float kP[] = {0.5F,           0.16666667F,    0.041666456F,
                                 0.00833331048F, 0.00139345415F, 0.00019891980F};
  static constexpr float kLn2High = 0.693145751953125F;  // 16 bits: n times it is exact
  static constexpr float kLn2Low = 1.428606765330187e-06F;
  static constexpr float kPerLn2 = 1.4426950216293335F;
  static constexpr float kRound = 12582912.0F + 127.0F;  // 1.5*2^23 and the bias of the exponent
  static constexpr int kMantissaBits = 23;
  static constexpr float kLeast = -104.0F;  // exp is 0 below
  static constexpr float kMost = 89.0F;     // and infinite above
  static constexpr float kLeastNormal = -87.0F;
  static constexpr float kMostNormal = 126.0F;  // of the exponents n of which m*2^n is normal
  static constexpr float kVanishes = 150.0F;    // x*exp(-150) is 0 for whatever x it is made of
  static constexpr float kSplit = 100.0F;
  static constexpr float kPlain = 69.0F;  // below: n is less than kSplit
};
template <>
struct ExpConstants<double> {
  static constexpr double kP[] = {0.5,
                                  0.1666666666666667,
                                  0.04166666666666667,
                                  0.008333333333325544,
                                  0.0013888888888883327,
                                  0.00019841269876864356,
                                  2.4801587327007187e-05,
                                  2.755725283351691e-06,
                                  2.75572718102198e-07,
                                  2.5106274733573296e-08,
                                  2.0915442297780116e-09};
  static constexpr double kLn2High = 0.6931471805598903;  // 42 bits
  static constexpr double kLn2Low = 5.497923018708371e-14;
  static constexpr double kPerLn2 = 1.4426950408889634;
  static constexpr double kRound = 6755399441055744.0 + 1023.0;  // 1.5*2^52 and the bias
  static constexpr int kMantissaBits = 52;
  static constexpr double kLeast = -746.0;
  static constexpr double kMost = 710.0;
  static constexpr double kLeastNormal = -708.0;
  static constexpr double kMostNormal = 1022.0;
  static constexpr double kVanishes = 1000.0;
  static constexpr double kSplit = 900.0;
  static constexpr double kPlain = 623.0;
};

/// c[2*i] + c[2*i + 1]*x, or the last c alone
template <std::size_t N, class D, class V>
HWY_INLINE V pair_of(D d, V x, const hn::TFromD<D> (&c)[N], std::size_t i) {
  if (2 * i + 1 == N) return hn::Set(d, c[2 * i]);
  return hn::MulAdd(hn::Set(d, c[2 * i + 1]), x, hn::Set(d, c[2 * i]));
}

template <class D, class V, std::size_t N, std::size_t... I>
HWY_INLINE V polynomial_of_pairs(D d, V x, V square, const hn::TFromD<D> (&c)[N], std::index_sequence<I...>) {
  constexpr std::size_t kLast = sizeof...(I);
  V sum = pair_of(d, x, c, kLast);
  ((sum = hn::MulAdd(sum, square, pair_of(d, x, c, kLast - 1 - I))), ...);
  return sum;
}

/// c[0] + c[1]*x + ..., in pairs, which halves the chain of operations that wait for each other.
template <class D, class V, std::size_t N>
HWY_INLINE V polynomial(D d, V x, V square, const hn::TFromD<D> (&c)[N]) {
  return polynomial_of_pairs(d, x, square, c, std::make_index_sequence<(N + 1) / 2 - 1>());
}
template <class D, class V, std::size_t N>
HWY_INLINE V polynomial(D d, V x, const hn::TFromD<D> (&c)[N]) {
  return polynomial(d, x, hn::Mul(x, x), c);
}

/// NaN comes through: of two operands the processor's comparison returns the second if one is NaN.
template <class D, class V>
HWY_INLINE V at_most(D d, hn::TFromD<D> bound, V x) {
  return hn::Min(hn::Set(d, bound), x);
}
template <class D, class V>
HWY_INLINE V at_least(D d, hn::TFromD<D> bound, V x) {
  return hn::Max(hn::Set(d, bound), x);
}

template <class V>
struct ExpParts {
  V c;
  V n;       ///< whole numbers
  V biased;  ///< n + kRound, whose last bits are the exponent of 2^n
};

/// exp(x + low) = 2^n * (1 + c) for |x| up to twice what is finite and |low| far below 1; `low` may be
/// nothing.
template <class D, class V, class... Low>
HWY_INLINE ExpParts<V> exp_parts(D d, V x, Low... low) {
  using C = ExpConstants<hn::TFromD<D>>;
  const V round = hn::Set(d, C::kRound);
  const V biased = hn::MulAdd(x, hn::Set(d, C::kPerLn2), round);
  const V n = hn::Sub(biased, round);
  const V high = hn::NegMulAdd(n, hn::Set(d, C::kLn2High), x);
  const V ln2_low = hn::Set(d, C::kLn2Low);
  V r;
  if constexpr (sizeof...(Low) == 0)
    r = hn::NegMulAdd(n, ln2_low, high);
  else
    r = hn::Add(high, hn::NegMulAdd(n, ln2_low, low...));
  const V square = hn::Mul(r, r);
  return {hn::MulAdd(square, polynomial(d, r, square, C::kP), r), n, biased};
}

/// 2^n, of n + kRound, where that is a normal number. NaN gives a number, which times NaN is NaN.
template <class D, class V>
HWY_INLINE V power_of_biased(D d, V biased) {
  const hn::RebindToUnsigned<D> bits;
  return hn::BitCast(d, hn::ShiftLeft<ExpConstants<hn::TFromD<D>>::kMantissaBits>(hn::BitCast(bits, biased)));
}

/// 2^n for whole n whose power is a normal number
template <class D, class V>
HWY_INLINE V power_of_2(D d, V n) {
  return power_of_biased(d, hn::Add(n, hn::Set(d, ExpConstants<hn::TFromD<D>>::kRound)));
}

/// m * 2^n, also where that is denormal or infinite; rounds once.
template <class D, class V>
HWY_INLINE V scale_by_parts(D d, V m, const ExpParts<V>& parts) {
  using T = hn::TFromD<D>;
  // one factor where all lanes allow it, which gives the same bits
  const auto normal = hn::Lt(hn::Abs(parts.n), hn::Set(d, ExpConstants<T>::kMostNormal));
  if (HWY_LIKELY(hn::AllTrue(d, normal))) return hn::Mul(m, power_of_biased(d, parts.biased));
  const V round = hn::Set(d, ExpConstants<T>::kRound);
  const V half = hn::Sub(hn::MulAdd(parts.n, hn::Set(d, T(0.5)), round), round);
  return hn::Mul(hn::Mul(m, power_of_2(d, half)), power_of_2(d, hn::Sub(parts.n, half)));
}

template <class D, class V>
HWY_INLINE V exp(D d, V x) {
  using C = ExpConstants<hn::TFromD<D>>;
  const V one = hn::Set(d, hn::TFromD<D>(1));
  // likewise without bounds
  if (HWY_LIKELY(hn::AllTrue(d, hn::Lt(hn::Abs(x), hn::Set(d, -C::kLeastNormal))))) {
    const auto parts = exp_parts(d, x);
    return hn::Mul(hn::Add(parts.c, one), power_of_biased(d, parts.biased));
  }
  const auto parts = exp_parts(d, at_most(d, C::kMost, at_least(d, C::kLeast, x)));
  return scale_by_parts(d, hn::Add(parts.c, one), parts);
}

/// exp(x) for x <= 0, and 0 where it is not a normal number.
template <class D, class V>
HWY_INLINE V exp_of_negative(D d, V x) {
  using C = ExpConstants<hn::TFromD<D>>;
  const auto parts = exp_parts(d, at_least(d, C::kLeastNormal, x));
  const V y = hn::Mul(hn::Add(parts.c, hn::Set(d, hn::TFromD<D>(1))), power_of_biased(d, parts.biased));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, C::kLeastNormal)), y);
}

/// numerator/(1 + exp), where exp is a normal number far from overflow
template <class D, class V>
HWY_INLINE V over_one_plus_normal_exp(D d, V numerator, V c, V power) {
  // 1 + power + c*power, the largest part last
  const V one = hn::Set(d, hn::TFromD<D>(1));
  return hn::Div(numerator, hn::Add(hn::MulAdd(c, power, hn::Min(power, one)), hn::Max(power, one)));
}

template <class D, class V>
HWY_INLINE V over_one_plus_exp(D d, V numerator, const ExpParts<V>& parts) {
  using C = ExpConstants<hn::TFromD<D>>;
  // 2^n2 keeps the quotient from becoming denormal before the end
  const V n1 = at_most(d, C::kRound + C::kSplit, parts.biased);
  const V n2 = hn::Sub(n1, parts.biased);
  return hn::Mul(over_one_plus_normal_exp(d, numerator, parts.c, power_of_biased(d, n1)), power_of_2(d, n2));
}

/// 1/(1 + exp(-x))
template <class D, class V>
HWY_INLINE V sigmoid(D d, V x) {
  using C = ExpConstants<hn::TFromD<D>>;
  const V one = hn::Set(d, hn::TFromD<D>(1));
  const V z = hn::Neg(x);
  // likewise without bounds, whose factor is 1
  if (HWY_LIKELY(hn::AllTrue(d, hn::Lt(hn::Abs(x), hn::Set(d, C::kPlain))))) {
    const auto parts = exp_parts(d, z);
    return over_one_plus_normal_exp(d, one, parts.c, power_of_biased(d, parts.biased));
  }
  return over_one_plus_exp(d, one, exp_parts(d, at_most(d, C::kVanishes, at_least(d, C::kLeastNormal, z))));
}

/// x/(1 + exp(-(u + low))); 0 for u below -kVanishes, also where x is infinite.
template <class D, class V>
HWY_INLINE V times_sigmoid(D d, V x, V u, V low) {
  using C = ExpConstants<hn::TFromD<D>>;
  const V z = hn::Neg(u);
  if (HWY_LIKELY(hn::AllTrue(d, hn::Lt(hn::Abs(u), hn::Set(d, C::kPlain))))) {
    const auto parts = exp_parts(d, z, hn::Neg(low));
    return over_one_plus_normal_exp(d, x, parts.c, power_of_biased(d, parts.biased));
  }
  const V numerator = hn::IfThenZeroElse(hn::Gt(z, hn::Set(d, C::kVanishes)), x);
  const V inside = at_most(d, C::kVanishes, at_least(d, C::kLeastNormal, z));
  return over_one_plus_exp(d, numerator, exp_parts(d, inside, hn::Neg(low)));
}

#if HWY_ARCH_X86
inline constexpr bool kFusesMultiplyAdd = HWY_TARGET <= HWY_AVX2;
#else
inline constexpr bool kFusesMultiplyAdd = HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128;
#endif

/// a*b - product exactly, where product = a*b rounded.
template <class D, class V>
HWY_INLINE V product_error(D d, V a, V b, V product) {
  if constexpr (kFusesMultiplyAdd) return hn::MulSub(a, b, product);
  // the upper halves of a and b have so few bits that their product is exact
  constexpr int kHalf = ExpConstants<hn::TFromD<D>>::kMantissaBits == 23 ? 12 : 27;
  const hn::RebindToUnsigned<D> bits;
  using U = hn::TFromD<decltype(bits)>;
  const auto mask = hn::Set(bits, static_cast<U>(~U{0} << kHalf));
  const V a_high = hn::BitCast(d, hn::And(hn::BitCast(bits, a), mask));
  const V b_high = hn::BitCast(d, hn::And(hn::BitCast(bits, b), mask));
  const V a_low = hn::Sub(a, a_high);
  const V b_low = hn::Sub(b, b_high);
  const V rest = hn::Add(hn::Sub(hn::Mul(a_high, b_high), product), hn::Mul(a_high, b_low));
  return hn::Add(hn::Add(rest, hn::Mul(a_low, b_high)), hn::Mul(a_low, b_low));
}

}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#endif
