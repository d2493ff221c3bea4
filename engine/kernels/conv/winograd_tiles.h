// The transforms of Winograd's convolutions, on vectors of channels.
#pragma once

#include <cstdint>

#include "kernels/gemm/finish.h"

namespace bnrun {

/// What tiles of 2x2 or 4x4 outputs look like between their two transforms: one matrix for each of the numbers of a tile
/// of inputs, (tile + 2)^2 of them, each with a row for each tile. Rows are multiples of a cache line.
struct TileMatrices {
  float* first = nullptr;
  std::int64_t row = 0;     ///< from a tile to the next, in elements
  std::int64_t matrix = 0;  ///< from a matrix to the next
};

/// Tiles next to each other: tile t has its first number at position t * tile of a line.
struct TileRun {
  std::int64_t count = 1;
  std::int64_t line = 0;      ///< from a line of the image to the next, in elements
  std::int64_t position = 0;  ///< from a position of a line to the next
  std::int64_t channels = 0;
};

/// V = B^T X B for each tile and channel, X being (tile + 2)^2 numbers of one channel. REQUIRES: tile is 2 or 4; channels
/// are a multiple of 16.
void transform_inputs(std::int64_t tile, const TileRun& run, const float* X, const TileMatrices& V);

/// Y = f(A^T Z A) for each tile and channel, tile^2 numbers, of which the first `lines` and `positions` are stored.
/// `addend` may be null. REQUIRES: tile is 2 or 4; only one tile where some of its numbers are not stored.
void transform_outputs(std::int64_t tile, const TileRun& run, const TileMatrices& Z, std::int64_t lines,
                       std::int64_t positions, const Finish<float>& finish, const float* addend, float* Y);

/// G w G^T for the nine weights `w` of one input and one output channel, (tile + 2)^2 numbers, in double.
void transform_weights(std::int64_t tile, const float* w, double* U);

}  // namespace bnrun
