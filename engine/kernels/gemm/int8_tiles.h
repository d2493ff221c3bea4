// Exact products of bytes on a processor's matrix tiles (AMX): sixteen times the multiplications of its vectors.
#pragma once

#include <cstdint>

#include "kernels/gemm/int8.h"
#include "kernels/gemm/tiles.h"

namespace bnrun {

/// Fewer products than these are made faster by vectors: to set the tiles up takes some 50 ns.
constexpr std::int64_t kLeastTileProducts = 1 << 17;

/// Rows of one block of tiles.
constexpr std::int64_t kTileBlockRows = 32;

#if BNRUN_HAS_TILES

/// Y = A * B less `corrections`, modulo 2^32, for the columns in [first, last), which are whole panels. Bytes of A are
/// taken as they are, so that `corrections.shift` was made for them and not for their unsigned likes.
/// REQUIRES: has_tiles(TileNumbers::bytes). The tiles are left as they were found: unused.
void multiply_on_tiles(const ByteRows& A, const PackedBytes& B, const ByteCorrections& corrections,
                       std::int64_t first, std::int64_t last, std::int32_t* Y, std::int64_t y_stride);

#else

inline void multiply_on_tiles(const ByteRows&, const PackedBytes&, const ByteCorrections&, std::int64_t,
                              std::int64_t, std::int32_t*, std::int64_t) {}

#endif

}  // namespace bnrun
