// Products of bfloat16 two at a time, on processors that have them (AVX512-BF16).
#pragma once

#include "kernels/gemm/bfloat16.h"

// The small build has no room for them.
#if defined(__x86_64__) && !defined(BNRUN_FEW_TARGETS)
#define BNRUN_HAS_PAIRS 1
#else
#define BNRUN_HAS_PAIRS 0
#endif

namespace bnrun {

#if BNRUN_HAS_PAIRS

/// Whether the processor and the system have them. Thread-safe.
bool has_pairs();

/// `words` become the rows of X as multiply_pairs reads them: W.panel() / kPanelColumns words each. REQUIRES: has_pairs().
void pack_pairs(const BFloat16* X, std::int64_t rows, std::int64_t K, std::uint32_t* words);

/// multiply_bfloat16 for packed rows. REQUIRES: has_pairs(); W is packed for pairs.
void multiply_pairs(const std::uint32_t* X, std::int64_t rows, const PackedBfloat16& W, std::int64_t first,
                    std::int64_t last, float* Y, std::int64_t y_stride);

#else

inline bool has_pairs() {
  return false;
}
inline void pack_pairs(const BFloat16*, std::int64_t, std::int64_t, std::uint32_t*) {}
inline void multiply_pairs(const std::uint32_t*, std::int64_t, const PackedBfloat16&, std::int64_t,
                           std::int64_t, float*, std::int64_t) {}

#endif

}  // namespace bnrun
