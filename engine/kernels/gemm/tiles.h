// A processor's matrix tiles (AMX): whether there are any, their shapes, and getting them in and out of memory.
#pragma once

#include <cstddef>
#include <cstdint>

// The small build has no room for them.
#if defined(__x86_64__) && defined(__linux__) && !defined(BNRUN_FEW_TARGETS)
#define BNRUN_HAS_TILES 1
#else
#define BNRUN_HAS_TILES 0
#endif

namespace bnrun {

enum class TileNumbers : std::uint8_t { bytes, bfloat16 };

#if BNRUN_HAS_TILES

/// Of a function that uses tiles, or vectors of the processors that have them.
#define BNRUN_TILES \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,amx-tile,amx-int8,amx-bf16"))) inline

constexpr std::int64_t kTileRows = 16;
constexpr std::int64_t kTileBytes = 1024;

/// Whether the processor has tiles of such numbers and the system lets this process use them. The first call asks for
/// that on behalf of the whole process, whose signal frames grow by 8 KB when the system agrees: it does not where an
/// alternative stack for signals is too small for them. Thread-safe.
bool has_tiles(TileNumbers numbers);

/// Makes has_tiles() false from now on, or what it is: so that tests see what other processors do.
void hide_tiles(bool hidden);

/// This thread's tiles: 0 and 1 are sums of the first 16 rows of a block, 2 and 3 of the others; 4 and 5 the two parts of
/// its left side; 6 and 7 those of the right side, of 16 rows always. They are given back in the end, so that the system
/// need not keep them when it takes the processor away.
class TileShapes {
 public:
  TileShapes() = default;
  ~TileShapes();
  TileShapes(const TileShapes&) = delete;
  TileShapes& operator=(const TileShapes&) = delete;

  /// Of a block, at most 32. What the tiles held is lost where they were others.
  void set_rows(std::int64_t rows);

 private:
  std::int64_t rows_ = 0;
};

/// Row r from `data` + r * `stride`, in bytes.
template <int kTile>
BNRUN_TILES void load_tile(const void* data, std::int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(data), "r"(stride), "i"(kTile) : "memory");
}

template <int kTile>
BNRUN_TILES void store_tile(void* data, std::int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(data), "r"(stride), "i"(kTile) : "memory");
}

template <int kTile>
BNRUN_TILES void clear_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}

/// Adds to the sums of 16 R rows and V panels what one tile of k makes, so that each tile that is read is used twice:
/// Product::add<sum, left, right>() is for one pair of them. Strides in bytes; the second panel lies `panel` behind.
template <class Product, int R, int V>
BNRUN_TILES void add_tiles(const std::byte* rows, std::int64_t stride, const std::byte* panels,
                           std::int64_t panel) {
  constexpr std::int64_t kLine = 64;
  load_tile<4>(rows, stride);
  load_tile<6>(panels, kLine);
  Product::template add<0, 4, 6>();
  if constexpr (V == 2) {
    load_tile<7>(panels + panel, kLine);
    Product::template add<1, 4, 7>();
  }
  if constexpr (R == 2) {
    load_tile<5>(rows + kTileRows * stride, stride);
    Product::template add<2, 5, 6>();
    if constexpr (V == 2) Product::template add<3, 5, 7>();
  }
}

#else

inline bool has_tiles(TileNumbers) {
  return false;
}
inline void hide_tiles(bool) {}

#endif

}  // namespace bnrun
