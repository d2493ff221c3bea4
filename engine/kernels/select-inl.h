// The greater and the lesser of two vectors with one of them preferred; included once per instruction set.

#if defined(BNRUN_KERNELS_SELECT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BNRUN_KERNELS_SELECT_INL_H_
#undef BNRUN_KERNELS_SELECT_INL_H_
#else
#define BNRUN_KERNELS_SELECT_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// On x86, Max and Min return their second operand where neither is the greater, or one is NaN.

/// x where it is greater than `otherwise`, else `otherwise`: where both are equal or one is NaN as well.
template <class V>
HWY_INLINE V greater_or(V x, V otherwise) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  return hn::Max(x, otherwise);
#else
  return hn::IfThenElse(hn::Gt(x, otherwise), x, otherwise);
#endif
}

/// x where it is less than `otherwise`, likewise.
template <class V>
HWY_INLINE V less_or(V x, V otherwise) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  return hn::Min(x, otherwise);
#else
  return hn::IfThenElse(hn::Lt(x, otherwise), x, otherwise);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#endif
