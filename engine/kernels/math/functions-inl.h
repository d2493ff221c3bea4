// tanh, erf, Gelu, log and the like on whole vectors; included once per instruction set. The double versions
// serve floats too wherever a float version of their own would not be worth its code.

#if defined(BNRUN_KERNELS_MATH_FUNCTIONS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BNRUN_KERNELS_MATH_FUNCTIONS_INL_H_
#undef BNRUN_KERNELS_MATH_FUNCTIONS_INL_H_
#else
#define BNRUN_KERNELS_MATH_FUNCTIONS_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/math/exp-inl.h"
#include "kernels/math/interval_tables.h"
#include "kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {

template <class D>
inline constexpr bool kIsFloat = std::is_same_v<hn::TFromD<D>, float>;

// ---- functions of floats by intervals

/// The last four bits of each `index` pick from a row of 16.
template <class D, class I>
struct Picker {
  D d;
  I index;

  /// The processor looks at nothing else; builds that check are told so.
  static HWY_INLINE I last_bits(I index) {
#if HWY_IS_DEBUG_BUILD
    return hn::And(index, hn::Set(hn::DFromV<I>(), 15));
#else
    return index;
#endif
  }

  HWY_INLINE hn::Vec<D> operator()(const float* HWY_RESTRICT row) const {
    const hn::RebindToSigned<D> di;
    if constexpr (HWY_MAX_BYTES == 64) {
      return hn::TableLookupLanes(hn::Load(d, row), hn::IndicesFromVec(d, last_bits(index)));
    } else if constexpr (HWY_MAX_BYTES == 32) {
      const auto within = hn::IndicesFromVec(d, hn::And(index, hn::Set(di, 7)));
      const auto upper = hn::RebindMask(d, hn::TestBit(index, hn::Set(di, 8)));
      return hn::IfThenElse(upper, hn::TableLookupLanes(hn::Load(d, row + 8), within),
                            hn::TableLookupLanes(hn::Load(d, row), within));
    } else {
      HWY_ALIGN std::int32_t at[hn::MaxLanes(D())];
      HWY_ALIGN float picked[hn::MaxLanes(D())];
      hn::Store(index, di, at);
      for (std::size_t i = 0; i < hn::MaxLanes(D()); ++i) picked[i] = row[at[i] & 15];
      return hn::Load(d, picked);
    }
  }
};

/// f(a) of a table for a >= 0. `first_is_x` tells what `value` means in the first interval.
template <bool first_is_x, class D, class V, std::size_t N>
HWY_INLINE V by_interval(D d, V a, const IntervalTable<N>& table) {
  const hn::RebindToSigned<D> di;
  const V x = at_most(d, table.end, a);
  const auto half_octave = hn::ShiftRight<22>(hn::BitCast(di, x));
  // 15 in the last interval, whose bits start so
  const auto last = hn::ShiftRight<22>(hn::BitCast(di, hn::Set(d, table.last)));
  const auto from_last = hn::Sub(half_octave, hn::Sub(last, hn::Set(di, 15)));
  // any number for NaN, from which it comes through
  const auto index = hn::Max(from_last, hn::Zero(di));
  const Picker<D, decltype(index)> pick{d, index};
  const V distance = hn::Sub(x, pick(table.center));
  V sum = pick(table.c[N - 1]);
  for (std::size_t i = N - 1; i-- > 0;) sum = hn::MulAdd(sum, distance, pick(table.c[i]));
  V value = pick(table.value);
  if constexpr (first_is_x) value = hn::IfThenElse(hn::RebindMask(d, hn::Eq(index, hn::Zero(di))), x, value);
  return hn::MulAdd(sum, distance, value);
}

// ---- tanh, erf, Gelu

/// x + x^3*P(x^2) for |x| < 0.55
inline constexpr double kTanhP[] = {-0.3333333333333333,   0.13333333333332714,    -0.053968253967434016,
                                    0.021869488493666944,  -0.008863234397814355,  0.003592110378689024,
                                    -0.001455661830100716, 0.0005889360520074056,  -0.00023463474108872324,
                                    8.5113136855776e-05,   -2.0602765376365896e-05};

/// x + x*Q(x^2) for |x| < 1
inline constexpr double kErfQ[] = {0.1283791670955126,      -0.3761263890318375,     0.11283791670954879,
                                   -0.026866170645076792,   0.0052239776248180145,   -0.000854832698083379,
                                   0.0001205533111164271,   -1.4925595266831182e-05, 1.6461000484121368e-06,
                                   -1.6350312701054695e-07, 1.4659775274047431e-08,  -1.1372848856791657e-09,
                                   5.957176147748883e-11};

/// exp(a^2/2)*erfc(a/sqrt(2))/2 = U(t)/(a + 5), t = (a - 5)/(a + 5), 0 <= a <= 40
inline constexpr double kErfcU[] = {
    0.769193049750063,      -0.6653825028900568,    0.495305615969976,       -0.3135331566712881,
    0.16502036617040983,    -0.06911863870685579,   0.020795066799200485,    -0.0029933767622323353,
    -0.0007978693886321235, 0.0005448989960971598,  -5.9375811494585084e-05, -4.976247516686963e-05,
    1.6681654735816092e-05, 3.979875146352331e-06,  -2.7707520210893634e-06, -3.347456433999717e-07,
    4.3632213903968043e-07, 4.0453499469914684e-08, -7.012796329386927e-08,  -8.83395147619223e-09,
    1.0732670653455705e-08, 2.380938735908965e-09,  -1.1003514880321343e-09, -4.215048810150002e-10,
    -1.9750205117389054e-11};

template <class D, class V>
HWY_INLINE V scaled_erfc(D d, V a) {
  const V five = hn::Set(d, 5.0);
  const V q = hn::Div(hn::Set(d, 1.0), hn::Add(a, five));
  return hn::Mul(polynomial(d, hn::Mul(hn::Sub(a, five), q), kErfcU), q);
}

template <class D, class V>
HWY_INLINE V tanh(D d, V x) {
  const V a = hn::Abs(x);
  if constexpr (kIsFloat<D>) {
    return hn::CopySignToAbs(by_interval<true>(d, a, kTanhTable), x);
  } else {
    const V square = hn::Mul(a, a);
    const V small = hn::MulAdd(hn::Mul(a, square), polynomial(d, square, kTanhP), a);
    const V one = hn::Set(d, 1.0);
    const V b = at_most(d, 20.0, a);
    const auto parts = exp_parts(d, hn::Add(b, b));
    const V power = power_of_biased(d, parts.biased);
    const V below = hn::MulAdd(parts.c, power, hn::Add(power, one));
    const V large = hn::Sub(one, hn::Div(hn::Set(d, 2.0), below));
    return hn::CopySignToAbs(hn::IfThenElse(hn::Lt(a, hn::Set(d, 0.55)), small, large), x);
  }
}

template <class D, class V>
HWY_INLINE V erf(D d, V x) {
  const V a = hn::Abs(x);
  if constexpr (kIsFloat<D>) {
    return hn::CopySignToAbs(by_interval<true>(d, a, kErfTable), x);
  } else {
    const V small = hn::MulAdd(a, polynomial(d, hn::Mul(a, a), kErfQ), a);
    const V b = at_most(d, 6.0, a);
    const V square = hn::Mul(b, b);
    const V low = product_error(d, b, b, square);
    const auto parts = exp_parts(d, hn::Neg(square), hn::Neg(low));
    const V tail = hn::Mul(scaled_erfc(d, hn::Mul(b, hn::Set(d, std::numbers::sqrt2))),
                           power_of_2(d, hn::Add(parts.n, hn::Set(d, 1.0))));
    const V large = hn::Sub(hn::Set(d, 1.0), hn::MulAdd(tail, parts.c, tail));
    return hn::CopySignToAbs(hn::IfThenElse(hn::Lt(a, hn::Set(d, 1.0)), small, large), x);
  }
}

/// a*erfc(a/sqrt(2))/2 for a >= 0 (and below 40)
template <class D, class V>
HWY_INLINE V gelu_tail(D d, V a) {
  using T = hn::TFromD<D>;
  const V minus_half = hn::Set(d, T(-0.5));
  const V square = hn::Mul(a, a);
  const V low = product_error(d, a, a, square);
  const auto parts = exp_parts(d, hn::Mul(square, minus_half), hn::Mul(low, minus_half));
  if constexpr (kIsFloat<D>) {
    const V scaled = by_interval<false>(d, a, kGeluTable);
    return scale_by_parts(d, hn::MulAdd(scaled, parts.c, scaled), parts);
  } else {
    const V scaled = hn::Mul(a, scaled_erfc(d, a));
    const V far = scale_by_parts(d, hn::MulAdd(scaled, parts.c, scaled), parts);
    // near 0 erf is more exact: erf(z)/2 = z/2 + z/2*Q(z^2), z = a/sqrt(2)
    const V half_z = hn::Mul(a, hn::Set(d, std::numbers::sqrt2 / 4));
    const V half_erf = hn::MulAdd(half_z, polynomial(d, hn::Mul(square, hn::Set(d, 0.5)), kErfQ), half_z);
    const V near = hn::Mul(a, hn::Sub(hn::Set(d, 0.5), half_erf));
    return hn::IfThenElse(hn::Lt(a, hn::Set(d, 0.9)), near, far);
  }
}

/// x*(1 + erf(x/sqrt(2)))/2 = x - g for x > 0 and -g below 0, g = |x|*erfc(|x|/sqrt(2))/2: nothing cancels.
template <class D, class V>
HWY_INLINE V gelu(D d, V x) {
  const V g = gelu_tail(d, at_most(d, hn::TFromD<D>(kIsFloat<D> ? 14.5 : 39.0), hn::Abs(x)));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Neg(g), hn::Sub(x, g));
}

/// x*sigmoid(2*sqrt(2/pi)*(x + 0.044715*x^3)), the inner product to twice the precision.
template <class D, class V>
HWY_INLINE V gelu_tanh(D d, V x) {
  using T = hn::TFromD<D>;
  constexpr long double kOuter =
      2 * std::numbers::sqrt2_v<long double> * std::numbers::inv_sqrtpi_v<long double>;
  constexpr long double kInner = kOuter * 0.044715L;
  // where the result is 0 or x
  const T kEnd = kIsFloat<D> ? T(15) : T(30);
  const V b = at_most(d, kEnd, at_least(d, -kEnd, x));
  const V square = hn::Mul(b, b);
  const V square_low = product_error(d, b, b, square);
  const V c1 = hn::Set(d, static_cast<T>(kOuter));
  const V c1_low = hn::Set(d, static_cast<T>(kOuter - static_cast<T>(kOuter)));
  const V c3 = hn::Set(d, static_cast<T>(kInner));
  const V c3_low = hn::Set(d, static_cast<T>(kInner - static_cast<T>(kInner)));
  // factor = c1 + c3*b^2
  const V cubic = hn::Mul(c3, square);
  const V cubic_low =
      hn::MulAdd(c3, square_low, hn::MulAdd(c3_low, square, product_error(d, c3, square, cubic)));
  const V factor = hn::Add(c1, cubic);
  const V larger = hn::Max(c1, cubic);
  const V smaller = hn::Min(c1, cubic);
  const V factor_low = hn::Add(hn::Sub(smaller, hn::Sub(factor, larger)), hn::Add(c1_low, cubic_low));
  const V u = hn::Mul(b, factor);
  const V u_low = hn::MulAdd(b, factor_low, product_error(d, b, factor, u));
  return times_sigmoid(d, x, u, u_low);
}

/// x*sigmoid(alpha*x)
template <class D, class V>
HWY_INLINE V swish(D d, V x, V alpha) {
  using T = hn::TFromD<D>;
  const V u = hn::Mul(alpha, x);
  const V error = product_error(d, alpha, x, u);
  // an infinite product has no error, and in the far tail none counts
  const V low = hn::IfThenElseZero(hn::Lt(hn::Abs(u), hn::Set(d, T(ExpConstants<T>::kVanishes))), error);
  return times_sigmoid(d, x, u, low);
}

// ---- the rest, for doubles

/// log(1 + f) = f - s*(f - R), s = f/(2 + f), R = s^2*(2/3 + 2/5*s^2 + ...)
inline constexpr double kLogQ[] = {0.666666666666667,   0.3999999999989607, 0.28571428627528794,
                                   0.22222210881932927, 0.1818290749767122, 0.15331112587960125,
                                   0.14623956608212335};

/// x = 2^e * (1 + f), 1 + f within [sqrt(1/2), sqrt(2)), for a normal x > 0
template <class V>
struct LogParts {
  V f;
  V e;
};

template <class D, class V>
HWY_INLINE LogParts<V> log_parts(D d, V x) {
  const hn::RebindToUnsigned<D> bits;
  constexpr std::uint64_t kOne = 0x3FF0000000000000;
  constexpr std::uint64_t kRootOfHalf = 0x3FE6A09E00000000;
  const auto i = hn::Add(hn::BitCast(bits, x), hn::Set(bits, kOne - kRootOfHalf));
  const auto mantissa = hn::And(i, hn::Set(bits, std::uint64_t{0x000FFFFFFFFFFFFF}));
  const V m = hn::BitCast(d, hn::Add(mantissa, hn::Set(bits, kRootOfHalf)));
  // 2^52 and a whole number behind its point
  const auto exponent = hn::Or(hn::ShiftRight<52>(i), hn::Set(bits, std::uint64_t{0x4330000000000000}));
  return {hn::Sub(m, hn::Set(d, 1.0)), hn::Sub(hn::BitCast(d, exponent), hn::Set(d, 0x1p52 + 1023.0))};
}

template <class D, class V>
HWY_INLINE V log_of_parts(D d, V f, V e) {
  using C = ExpConstants<double>;
  const V s = hn::Div(f, hn::Add(f, hn::Set(d, 2.0)));
  const V square = hn::Mul(s, s);
  const V rest = hn::Mul(square, polynomial(d, square, kLogQ));
  const V low = hn::MulAdd(e, hn::Set(d, C::kLn2Low), hn::Mul(s, hn::Sub(rest, f)));
  return hn::MulAdd(e, hn::Set(d, C::kLn2High), hn::Add(f, low));
}

template <class D, class V>
HWY_INLINE V log(D d, V x) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto denormal = hn::Lt(x, hn::Set(d, std::numeric_limits<double>::min()));
  const V normal = hn::IfThenElse(denormal, hn::Mul(x, hn::Set(d, 0x1p54)), x);
  const auto parts = log_parts(d, normal);
  const V e = hn::Sub(parts.e, hn::IfThenElseZero(denormal, hn::Set(d, 54.0)));
  V y = log_of_parts(d, parts.f, e);
  // x itself where it is infinite or NaN
  y = hn::IfThenElse(hn::Lt(x, hn::Set(d, kInf)), y, x);
  const V at_zero = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Set(d, -kInf),
                                   hn::Set(d, std::numeric_limits<double>::quiet_NaN()));
  return hn::IfThenElse(hn::Le(x, hn::Zero(d)), at_zero, y);
}

/// log(1 + x) for x >= 0 (finite)
template <class D, class V>
HWY_INLINE V log1p_of_positive(D d, V x) {
  const V one = hn::Set(d, 1.0);
  const V u = hn::Add(x, one);
  // what the sum lost: x = (u - 1) + lost
  const V lost = hn::IfThenElse(hn::Lt(x, one), hn::Sub(x, hn::Sub(u, one)), hn::Sub(one, hn::Sub(u, x)));
  const auto parts = log_parts(d, u);
  const V f = hn::MulAdd(lost, power_of_2(d, hn::Neg(parts.e)), parts.f);
  return log_of_parts(d, f, parts.e);
}

/// exp(x) - 1; half of it first, so that no power of 2 overflows before the end
template <class D, class V>
HWY_INLINE V expm1(D d, V x) {
  const auto parts = exp_parts(d, at_most(d, 710.0, at_least(d, -60.0, x)));
  const V power = power_of_2(d, hn::Sub(parts.n, hn::Set(d, 1.0)));
  const V half = hn::MulAdd(parts.c, power, hn::Sub(power, hn::Set(d, 0.5)));
  return hn::Add(half, half);
}

/// log(1 + exp(x))
template <class D, class V>
HWY_INLINE V softplus(D d, V x) {
  return hn::Add(at_least(d, 0.0, x), log1p_of_positive(d, exp(d, hn::Neg(hn::Abs(x)))));
}

/// x*tanh(softplus(x)) = x*n/(n + 2), n = e*(e + 2), e = exp(x); 0 at -inf
template <class D, class V>
HWY_INLINE V mish(D d, V x) {
  const V one = hn::Set(d, 1.0);
  const V two = hn::Set(d, 2.0);
  const V b = at_least(d, -800.0, x);
  const auto parts = exp_parts(d, at_most(d, 40.0, b));
  // far out the result is denormal before e is, so the last powers of 2 come at the end
  const V n1 = at_least(d, -900.0, parts.n);
  const V e = hn::Mul(hn::Add(parts.c, one), power_of_2(d, n1));
  const V n = hn::Mul(e, hn::Add(e, two));
  const V y = hn::Mul(b, hn::Div(n, hn::Add(n, two)));
  return hn::Mul(y, power_of_2(d, hn::Sub(parts.n, n1)));
}

inline constexpr double kSinS[] = {-0.16666666666666666,  0.008333333333333331,    -0.0001984126984126457,
                                   2.755731921895673e-06, -2.5052106100926675e-08, 1.605851097953535e-10,
                                   -7.585492507821142e-13};
inline constexpr double kCosC[] = {0.041666666666666664,    -0.0013888888888887241, 2.4801587298533453e-05,
                                   -2.7557317152466887e-07, 2.0876121658846515e-09, -1.1380876946745423e-11};

/// sin(x), or cos(x) with quarter = 1: |x| is reduced to [-pi/4, pi/4] by multiples of pi/2 in three parts,
/// which is exact enough up to kLargestAngle; the C library does what lies beyond.
inline constexpr double kLargestAngle = 0x1p20;

template <int quarter, class D, class V>
HWY_INLINE V sin_of_quarter(D d, V x) {
  const hn::RebindToUnsigned<D> bits;
  const V round = hn::Set(d, 6755399441055744.0);  // 1.5*2^52: the last bits of a sum are a whole number
  const auto large = hn::Gt(hn::Abs(x), hn::Set(d, kLargestAngle));
  const V inside = hn::IfThenZeroElse(large, x);
  const V sum = hn::MulAdd(inside, hn::Set(d, 0.6366197723675814), round);
  const V n = hn::Sub(sum, round);
  const V first = hn::NegMulAdd(n, hn::Set(d, 1.5707963267341256), inside);
  const V second = hn::Mul(n, hn::Set(d, 6.077100506303966e-11));
  const V two = hn::Sub(first, second);
  const V rest_of_two = hn::Sub(hn::Sub(first, two), second);
  const V third = hn::NegMulAdd(n, hn::Set(d, 2.0222662487959506e-21), rest_of_two);
  const V r = hn::Add(two, third);
  const V low = hn::Add(hn::Sub(two, r), third);
  const V square = hn::Mul(r, r);
  const V sine = hn::Add(r, hn::MulAdd(hn::Mul(r, square), polynomial(d, square, kSinS), low));
  const V half = hn::Mul(square, hn::Set(d, 0.5));
  const V one = hn::Set(d, 1.0);
  const V head = hn::Sub(one, half);
  const V rest = hn::Sub(hn::Sub(one, head), half);
  const V tail =
      hn::MulAdd(hn::Mul(square, square), polynomial(d, square, kCosC), hn::NegMulAdd(r, low, rest));
  const V cosine = hn::Add(head, tail);
  const auto turns = hn::Add(hn::BitCast(bits, sum), hn::Set(bits, std::uint64_t{quarter}));
  const auto odd = hn::RebindMask(d, hn::TestBit(turns, hn::Set(bits, std::uint64_t{1})));
  const V sign = hn::BitCast(d, hn::ShiftLeft<62>(hn::And(turns, hn::Set(bits, std::uint64_t{2}))));
  V y = hn::Xor(hn::IfThenElse(odd, cosine, sine), sign);
  // the sum above loses the sign of -0
  if constexpr (quarter == 0) y = hn::IfThenElse(hn::Eq(inside, hn::Zero(d)), inside, y);
  if (HWY_UNLIKELY(!hn::AllFalse(d, large))) {
    HWY_ALIGN double in[hn::MaxLanes(D())];
    HWY_ALIGN double out[hn::MaxLanes(D())];
    hn::Store(x, d, in);
    hn::Store(y, d, out);
    for (std::size_t i = 0; i < hn::MaxLanes(D()); ++i) {
      if (std::abs(in[i]) > kLargestAngle) out[i] = quarter == 0 ? std::sin(in[i]) : std::cos(in[i]);
    }
    y = hn::Load(d, out);
  }
  return y;
}

// ---- over arrays

/// f of a vector of floats by way of doubles.
template <class D, class V, class F>
HWY_INLINE V by_double(D d, V x, F f) {
  if constexpr (!kIsFloat<D>) {
    return f(d, x);
  } else {
#if HWY_TARGET == HWY_SCALAR
    const hn::Rebind<double, D> wide;
    return hn::DemoteTo(d, f(wide, hn::PromoteTo(wide, x)));
#else
    const hn::Half<D> half;
    const hn::Rebind<double, decltype(half)> wide;
    const auto low = hn::DemoteTo(half, f(wide, hn::PromoteTo(wide, hn::LowerHalf(half, x))));
    const auto high = hn::DemoteTo(half, f(wide, hn::PromoteTo(wide, hn::UpperHalf(half, x))));
    return hn::Combine(d, high, low);
#endif
  }
}

/// y[i] = f(x[i]). A last vector that is not full is worked out like any other. x may be y.
template <class T, class F>
HWY_INLINE void for_each_vector(const T* x, std::size_t size, T* y, F f) {
  const hn::ScalableTag<T> d;
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) hn::StoreU(f(d, hn::LoadU(d, x + i)), d, y + i);
  if (i != size) store_first(d, f(d, load_first(d, x + i, size - i, T(0))), y + i, size - i);
}

}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#endif
