// Products of bfloat16 on a processor's matrix tiles (AMX).
#pragma once

#include "kernels/gemm/bfloat16.h"
#include "kernels/gemm/tiles.h"

namespace bnrun {

#if BNRUN_HAS_TILES

/// multiply_bfloat16 for up to 32 rows. REQUIRES: has_tiles(TileNumbers::bfloat16). The tiles are left unused.
void multiply_bfloat16_on_tiles(const BFloat16* X, std::int64_t rows, const PackedBfloat16& W,
                                std::int64_t first, std::int64_t last, float* Y, std::int64_t y_stride);

#else

inline void multiply_bfloat16_on_tiles(const BFloat16*, std::int64_t, const PackedBfloat16&, std::int64_t,
                                       std::int64_t, float*, std::int64_t) {}

#endif

}  // namespace bnrun
