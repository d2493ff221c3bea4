// The products between the two transforms of Winograd's convolutions.
#pragma once

#include <cstdint>

#include "kernels/conv/winograd_tiles.h"

namespace bnrun {

/// Blocks of tiles are best a multiple of so many rows, which are multiplied at once.
inline constexpr std::int64_t kProductRows = 12;
/// Rows behind the last that are read and written as well, since there are tiles of registers of few heights alone. What
/// they hold is nobody's.
inline constexpr std::int64_t kSpareRows = 5;

/// Z[i][rows,N] = V[i][rows,K] * U[i][K,N] for every matrix i.
struct TileProducts {
  std::int64_t matrices = 0;
  std::int64_t rows = 0;
  std::int64_t K = 0;
  std::int64_t N = 0;  ///< a multiple of a panel's columns
  const float* U =
      nullptr;         ///< panels as pack_panels makes them, those of one matrix behind those of another
  bool large = false;  ///< all of U is more than a second-level cache holds beside V and Z
  TileMatrices V;
  TileMatrices Z;
};

/// Each element is one chain of fused multiply-adds with k ascending, as those of multiply_packed are. That one has more
/// to prepare and to finish for each tile of registers than K as small as the channels of an image is worth.
void multiply_tiles(const TileProducts& products);

}  // namespace bnrun
