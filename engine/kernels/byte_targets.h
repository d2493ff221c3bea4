// Which instruction sets kernels of bytes are compiled for, which alone have use for the later variants of AVX-512; include
// before hwy/foreach_target.h, in place of targets.h.
#pragma once

#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif

#include "kernels/targets.h"

#ifndef BNRUN_FEW_TARGETS
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (BNRUN_UNUSED_TARGETS & ~HWY_AVX3_DL)
#endif
