#include "kernels/gemm/tiles.h"

#if BNRUN_HAS_TILES
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>

namespace bnrun {
namespace {

/// LDTILECFG in Intel's manual, volume 2.
struct alignas(64) Shapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

std::atomic<bool> tiles_are_hidden = false;

constexpr unsigned kBfloat16 = 1u << 22;
constexpr unsigned kTiles = 1u << 24;
constexpr unsigned kBytes = 1u << 25;

/// CPUID's bits of those above; 0 where the system does not keep tiles or does not let this process have them.
unsigned ask() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned kSystemKeepsState = 1u << 27;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSystemKeepsState) == 0) return 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kTiles) == 0) return 0;
  unsigned kept = 0;
  unsigned high = 0;
  asm("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
  constexpr unsigned kTileState = 3u << 17;  // shapes and data
  constexpr unsigned kVectorState = 0xE6;    // of AVX-512, with which what surrounds the tiles is compiled
  constexpr unsigned kState = kTileState | kVectorState;
  if ((kept & kState) != kState) return 0;
  // Linux gives them to who asks: Documentation/arch/x86/xstate.rst.
  constexpr long kAskForState = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kAskForState, kTileData) == 0 ? d : 0;
}

}  // namespace

bool has_tiles(TileNumbers numbers) {
  static const unsigned found = ask();
  return !tiles_are_hidden && (found & (numbers == TileNumbers::bytes ? kBytes : kBfloat16)) != 0;
}

BNRUN_TILES static void take_shapes(const Shapes& shapes) {
  asm volatile("ldtilecfg %0" ::"m"(shapes) : "memory");
}

BNRUN_TILES static void release() {
  asm volatile("tilerelease" ::: "memory");
}

void hide_tiles(bool hidden) {
  tiles_are_hidden = hidden;
}

TileShapes::~TileShapes() {
  if (rows_ != 0) release();
}

void TileShapes::set_rows(std::int64_t rows) {
  if (rows == rows_) return;
  rows_ = rows;
  constexpr std::uint16_t kRowBytes = 64;
  Shapes shapes;
  const auto above = static_cast<std::uint8_t>(std::min(rows, kTileRows));
  const auto below = static_cast<std::uint8_t>(rows - above);
  const std::uint8_t of_tile[] = {above, above, below, below, above, below, kTileRows, kTileRows};
  for (std::size_t tile = 0; tile < std::size(of_tile); ++tile) {
    shapes.rows[tile] = of_tile[tile];
    if (of_tile[tile] != 0) shapes.row_bytes[tile] = kRowBytes;
  }
  take_shapes(shapes);
}

}  // namespace bnrun

#endif
