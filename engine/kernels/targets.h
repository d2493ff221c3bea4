// Which instruction sets the kernels are compiled for; include before hwy/foreach_target.h.
#pragma once

// Vectors whose length is known only at run time cannot be held in arrays. SSSE3 and the later variants of
// AVX-512 add nothing that the kernels use, but for those of bytes (byte_targets.h).
#define BNRUN_UNUSED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | HWY_AVX3_DL)
#ifdef BNRUN_FEW_TARGETS
// Each set is some hundred kilobytes; AVX2 is what most processors have and does most of the work.
#define HWY_DISABLED_TARGETS (BNRUN_UNUSED_TARGETS | HWY_SSE4 | HWY_AVX3)
// Whether many sums are made at once; without vectors it is left out as well. The numbers are the same.
#define BNRUN_MANY_SUMS (HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128)
#else
#define HWY_DISABLED_TARGETS BNRUN_UNUSED_TARGETS
#define BNRUN_MANY_SUMS true
#endif
