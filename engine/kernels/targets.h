// Which instruction sets the kernels are compiled for; include before hwy/foreach_target.h.
#pragma once

// Vectors whose length is known only at run time cannot be held in arrays. SSSE3 and the later variants of
// AVX-512 add nothing that the kernels use.
#define HWY_DISABLED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | HWY_AVX3_DL)
