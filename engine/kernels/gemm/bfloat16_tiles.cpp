// As with bytes (int8_tiles.cpp): a tile of X is up to 16 rows of 32 numbers as they lie, one of W 16 pairs of k of 16
// columns.
#include "kernels/gemm/bfloat16_tiles.h"

#if BNRUN_HAS_TILES

#include <algorithm>

#include "base/numbers.h"

namespace bnrun {
namespace {

constexpr std::int64_t kColumnsOfTile = 16;
constexpr std::int64_t kDepthOfTile = 32;
constexpr std::int64_t kMostRows = 2 * kTileRows;

struct PairProduct {
  template <int kSum, int kX, int kW>
  static BNRUN_TILES void add() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kX), "i"(kW));
  }
};

/// `rest`: of each row the last K % 32 numbers and zeros, 32 in all.
template <int R, int V>
BNRUN_TILES void add_panels(const BFloat16* X, const BFloat16* rest, const PackedBfloat16& W,
                            std::int64_t column, float* Y, std::int64_t y_stride) {
  clear_tile<0>();
  clear_tile<1>();
  if constexpr (R == 2) {
    clear_tile<2>();
    clear_tile<3>();
  }
  constexpr auto kNumber = static_cast<std::int64_t>(sizeof(BFloat16));
  const auto* x = reinterpret_cast<const std::byte*>(X);
  const std::int64_t panel = W.panel() * static_cast<std::int64_t>(sizeof(std::uint32_t));
  const auto* w = reinterpret_cast<const std::byte*>(W.panels()) + column / kColumnsOfTile * panel;
  const std::int64_t whole = W.K() / kDepthOfTile;
  for (std::int64_t k = 0; k < whole; ++k, x += kDepthOfTile * kNumber, w += kTileBytes)
    add_tiles<PairProduct, R, V>(x, W.K() * kNumber, w, panel);
  if (W.K() % kDepthOfTile != 0)
    add_tiles<PairProduct, R, V>(reinterpret_cast<const std::byte*>(rest), kDepthOfTile * kNumber, w, panel);
  const std::int64_t stride = y_stride * static_cast<std::int64_t>(sizeof(float));
  store_tile<0>(Y, stride);
  if constexpr (V == 2) store_tile<1>(Y + kColumnsOfTile, stride);
  if constexpr (R == 2) store_tile<2>(Y + kTileRows * y_stride, stride);
  if constexpr (R == 2 && V == 2) store_tile<3>(Y + kTileRows * y_stride + kColumnsOfTile, stride);
}

template <int R>
void add_all_panels(const BFloat16* X, const BFloat16* rest, const PackedBfloat16& W, std::int64_t first,
                    std::int64_t last, float* Y, std::int64_t y_stride) {
  std::int64_t column = first;
  for (; column + kColumnsOfTile < last; column += 2 * kColumnsOfTile)
    add_panels<R, 2>(X, rest, W, column, Y + (column - first), y_stride);
  if (column < last) add_panels<R, 1>(X, rest, W, column, Y + (column - first), y_stride);
}

}  // namespace

void multiply_bfloat16_on_tiles(const BFloat16* X, std::int64_t rows, const PackedBfloat16& W,
                                std::int64_t first, std::int64_t last, float* Y, std::int64_t y_stride) {
  alignas(64) BFloat16 rest[kMostRows * kDepthOfTile] = {};
  const std::int64_t used = W.K() % kDepthOfTile;
  for (std::int64_t r = 0; r < rows && used != 0; ++r)
    std::copy_n(X + (r + 1) * W.K() - used, used, rest + r * kDepthOfTile);
  TileShapes held;
  held.set_rows(rows);
  if (rows > kTileRows)
    add_all_panels<2>(X, rest, W, first, last, Y, y_stride);
  else
    add_all_panels<1>(X, rest, W, first, last, Y, y_stride);
}

}  // namespace bnrun

#endif
