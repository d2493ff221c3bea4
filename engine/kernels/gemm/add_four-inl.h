// Four products of bytes in each word; included once per instruction set.

#if defined(BNRUN_KERNELS_GEMM_ADD_FOUR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BNRUN_KERNELS_GEMM_ADD_FOUR_INL_H_
#undef BNRUN_KERNELS_GEMM_ADD_FOUR_INL_H_
#else
#define BNRUN_KERNELS_GEMM_ADD_FOUR_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Words = hn::CappedTag<std::int32_t, 16>;

/// sum + a0*b0 + a1*b1 + a2*b2 + a3*b3, of the bytes of each lane: unsigned ones of a, signed ones of b.
template <class V>
HWY_INLINE V add_four(V sum, V a, V b) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL
  // Highway 1.0.3 compiles this target without the feature that the compiler's own function wants.
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
  return sum;
#elif HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  // as pairs of 16 bits, whose products are added by pairs
  const Words words;
  const hn::Repartition<std::int16_t, Words> halves;
  const auto low = hn::Set(halves, std::int16_t{0xFF});
  const auto a16 = hn::BitCast(halves, a);
  const auto b16 = hn::BitCast(halves, b);
  V unused = hn::Zero(words);
  sum = hn::ReorderWidenMulAccumulate(words, hn::And(a16, low), hn::ShiftRight<8>(hn::ShiftLeft<8>(b16)), sum,
                                      unused);
  const auto a_high =
      hn::BitCast(halves, hn::ShiftRight<8>(hn::BitCast(hn::RebindToUnsigned<decltype(halves)>(), a16)));
  return hn::ReorderWidenMulAccumulate(words, a_high, hn::ShiftRight<8>(b16), sum, unused);
#else
  const auto byte = hn::Set(Words(), 0xFF);
  sum = hn::Add(sum, hn::Mul(hn::And(a, byte), hn::ShiftRight<24>(hn::ShiftLeft<24>(b))));
  sum = hn::Add(sum, hn::Mul(hn::And(hn::ShiftRight<8>(a), byte), hn::ShiftRight<24>(hn::ShiftLeft<16>(b))));
  sum = hn::Add(sum, hn::Mul(hn::And(hn::ShiftRight<16>(a), byte), hn::ShiftRight<24>(hn::ShiftLeft<8>(b))));
  return hn::Add(sum, hn::Mul(hn::And(hn::ShiftRight<24>(a), byte), hn::ShiftRight<24>(b)));
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#endif
