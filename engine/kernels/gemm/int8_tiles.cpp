// A tile is up to 16 rows of 64 bytes. One instruction adds to 16 x 16 sums the products of a tile of A (rows of 64
// bytes as they lie, signed or not) with one of B (16 groups of four k, each of the bytes of 16 columns: a kilobyte of a
// panel). Two tiles of A, two of B and their four of sums are held at once, so that each tile that is read is used twice.
// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18, and TDPBUSD in volume 2.
#include "kernels/gemm/int8_tiles.h"

#if BNRUN_HAS_TILES
#include <immintrin.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "base/numbers.h"

namespace bnrun {
namespace {

constexpr std::int64_t kPanel = 16;  ///< columns
constexpr std::int64_t kDeep = 64;   ///< k of one tile

/// Of signed or unsigned bytes by signed ones.
template <bool kSigned>
struct ByteProduct {
  template <int kSum, int kA, int kB>
  static BNRUN_TILES void add() {
    if constexpr (kSigned)
      asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kA), "i"(kB));
    else
      asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kA), "i"(kB));
  }
};

/// What a block of up to 32 rows multiplies.
struct RowBlock {
  std::int64_t rows;
  const std::uint8_t* A;
  std::int64_t stride;       ///< from row to row
  std::int64_t deep;         ///< from one 64 bytes of a row to the next
  const std::uint8_t* rest;  ///< of each row the last K % 64 bytes and zeros, 64 in all, next to each other
  const std::int32_t* sums;  ///< of each row; null where they do not matter
};

/// One tile of sums, into Y less what the zero points of B's columns ask for.
template <int kTile>
BNRUN_TILES void store(const RowBlock& block, const PackedBytes& B, const std::int32_t* b_zeros,
                       std::int64_t column, std::int32_t* Y, std::int64_t y_stride) {
  constexpr std::int64_t kFirst = kTile / 2 * kTileRows;
  constexpr auto kWord = static_cast<std::int64_t>(sizeof(std::int32_t));
  const std::int64_t c = column + kTile % 2 * kPanel;
  std::int32_t* to = Y + kFirst * y_stride + c;
  const std::int64_t used = std::min(kPanel, B.N() - c);
  if (used == kPanel && block.sums == nullptr) return store_tile<kTile>(to, y_stride * kWord);
  alignas(64) std::int32_t sums[kTileRows * kPanel];
  store_tile<kTile>(sums, kPanel * kWord);
  const auto lanes = static_cast<__mmask16>((1u << used) - 1u);
  const __m512i zeros = _mm512_loadu_si512(b_zeros + c);
  const std::int64_t rows = std::min(kTileRows, block.rows - kFirst);
  for (std::int64_t r = 0; r < rows; ++r, to += y_stride) {
    __m512i y = _mm512_load_si512(sums + r * kPanel);
    if (block.sums != nullptr)
      y = _mm512_sub_epi32(y, _mm512_mullo_epi32(zeros, _mm512_set1_epi32(block.sums[kFirst + r])));
    _mm512_mask_storeu_epi32(to, lanes, y);
  }
}

/// 16 R rows, of which the last may be missing, times V panels. `start` is what the sums begin with in each column.
template <bool kSigned, int R, int V>
BNRUN_TILES void tiles(const RowBlock& block, const PackedBytes& B, const std::int32_t* start,
                       const std::int32_t* b_zeros, std::int64_t column, std::int32_t* Y,
                       std::int64_t y_stride) {
  const std::int64_t panel = (B.K() + 3) / 4 * kPanel * 4;
  const auto* b = reinterpret_cast<const std::byte*>(B.panels()) + column / kPanel * panel;
  load_tile<0>(start + column, 0);  // all rows from one
  if constexpr (V == 2) load_tile<1>(start + column + kPanel, 0);
  if constexpr (R == 2) load_tile<2>(start + column, 0);
  if constexpr (R == 2 && V == 2) load_tile<3>(start + column + kPanel, 0);
  const auto* a = reinterpret_cast<const std::byte*>(block.A);
  const std::int64_t whole = B.K() / kDeep;
  for (std::int64_t k = 0; k < whole; ++k, a += block.deep, b += kTileBytes)
    add_tiles<ByteProduct<kSigned>, R, V>(a, block.stride, b, panel);
  // Of B this reads into the next panel, or the room behind the last: what lies there is multiplied by zeros.
  if (B.K() % kDeep != 0)
    add_tiles<ByteProduct<kSigned>, R, V>(reinterpret_cast<const std::byte*>(block.rest), kDeep, b, panel);
  store<0>(block, B, b_zeros, column, Y, y_stride);
  if constexpr (V == 2) store<1>(block, B, b_zeros, column, Y, y_stride);
  if constexpr (R == 2) store<2>(block, B, b_zeros, column, Y, y_stride);
  if constexpr (R == 2 && V == 2) store<3>(block, B, b_zeros, column, Y, y_stride);
}

/// The columns in [first, last) of one block.
template <bool kSigned, int R>
BNRUN_TILES void columns(const RowBlock& block, const PackedBytes& B, const std::int32_t* start,
                         const std::int32_t* b_zeros, std::int64_t first, std::int64_t last, std::int32_t* Y,
                         std::int64_t y_stride) {
  std::int64_t column = first;
  for (; column + kPanel < last; column += 2 * kPanel)
    tiles<kSigned, R, 2>(block, B, start, b_zeros, column, Y, y_stride);
  if (column < last) tiles<kSigned, R, 1>(block, B, start, b_zeros, column, Y, y_stride);
}

/// Of K bytes, as signed or unsigned ones.
BNRUN_TILES std::int32_t sum_of(const std::uint8_t* row, std::int64_t K, bool is_signed) {
  // signed ones count 128 too much each
  const __m512i flip = _mm512_set1_epi8(is_signed ? static_cast<char>(0x80) : 0);
  __m512i sums = _mm512_setzero_si512();
  for (std::int64_t k = 0; k < K; k += kDeep) {
    const __mmask64 lanes = K - k >= kDeep ? ~0ull : (1ull << (K - k)) - 1;
    const __m512i bytes = _mm512_xor_si512(_mm512_maskz_loadu_epi8(lanes, row + k), flip);
    sums = _mm512_add_epi64(sums, _mm512_sad_epu8(bytes, _mm512_setzero_si512()));
  }
  alignas(64) std::int64_t parts[8];
  _mm512_store_si512(parts, sums);
  const std::int64_t excess = is_signed ? rounded_up(K, kDeep) * 128 : 0;
  return static_cast<std::int32_t>(std::accumulate(std::begin(parts), std::end(parts), -excess));
}

/// 64 bytes of each of `rows` rows next to each other, those from `used` on being zeros.
BNRUN_TILES void gather(const std::uint8_t* from, std::int64_t stride, std::int64_t rows, std::int64_t used,
                        std::uint8_t* to) {
  const __mmask64 lanes = used >= kDeep ? ~0ull : (1ull << used) - 1;
  for (std::int64_t r = 0; r < rows; ++r)
    _mm512_store_si512(to + r * kDeep, _mm512_maskz_loadu_epi8(lanes, from + r * stride));
}

template <bool kSigned>
BNRUN_TILES void multiply(const ByteRows& A, const PackedBytes& B, const std::int32_t* start,
                          const ByteCorrections& corrections, std::int64_t first, std::int64_t last,
                          std::int32_t* Y, std::int64_t y_stride) {
  const bool sums_matter = std::any_of(corrections.b_zeros + first, corrections.b_zeros + last,
                                       [](std::int32_t zero) { return zero != 0; });
  const std::int64_t K = B.K();
  const std::int64_t whole = K / kDeep * kDeep;
  // So many columns as stay in the second-level cache while all rows go by.
  constexpr std::int64_t kNear = 1 << 20;
  constexpr std::int64_t kPair = 2 * kPanel;
  const std::int64_t near = std::max<std::int64_t>(1, kNear / (kPair * std::max<std::int64_t>(1, K))) * kPair;
  // Rows that do not begin at cache lines are read at half the speed: copied, where there are columns enough for that.
  constexpr std::int64_t kManyColumns = 256;
  const bool lies_well = reinterpret_cast<std::uintptr_t>(A.data) % kDeep == 0 && A.stride % kDeep == 0;
  const bool copied = !lies_well && std::min(last - first, near) >= kManyColumns;
  constexpr std::int64_t kBlockBytes = kTileBlockRows * kDeep;
  TemporaryBuffer<std::uint8_t> copy(static_cast<std::size_t>(copied ? whole * kTileBlockRows : 0));
  alignas(64) std::uint8_t rest[kBlockBytes];
  std::int32_t sums[kTileBlockRows];
  TileShapes held;
  for (std::int64_t begin = first; begin < last; begin += near) {
    const std::int64_t end = std::min(last, begin + near);
    for (std::int64_t m = 0; m < A.rows; m += kTileBlockRows) {
      const std::int64_t rows = std::min(kTileBlockRows, A.rows - m);
      const std::uint8_t* const a = A.data + m * A.stride;
      for (std::int64_t k = 0; k < whole && copied; k += kDeep)
        gather(a + k, A.stride, rows, kDeep, copy.data() + k * kTileBlockRows);
      if (whole != K) gather(a + whole, A.stride, rows, K - whole, rest);
      for (std::int64_t r = 0; r < rows && sums_matter; ++r) sums[r] = sum_of(a + r * A.stride, K, kSigned);
      const RowBlock block{
          rows, copied ? copy.data() : a,    copied ? kDeep : A.stride, copied ? kBlockBytes : kDeep,
          rest, sums_matter ? sums : nullptr};
      held.set_rows(rows);
      std::int32_t* y = Y + m * y_stride;
      if (rows > kTileRows)
        columns<kSigned, 2>(block, B, start, corrections.b_zeros, begin, end, y, y_stride);
      else
        columns<kSigned, 1>(block, B, start, corrections.b_zeros, begin, end, y, y_stride);
    }
  }
}

}  // namespace

void multiply_on_tiles(const ByteRows& A, const PackedBytes& B, const ByteCorrections& corrections,
                       std::int64_t first, std::int64_t last, std::int32_t* Y, std::int64_t y_stride) {
  TemporaryBuffer<std::int32_t> start(static_cast<std::size_t>(last));
  for (std::int64_t n = first; n < last; ++n)
    start.data()[n] = static_cast<std::int32_t>(0u - static_cast<std::uint32_t>(corrections.shift[n]));
  if (A.is_signed)
    multiply<true>(A, B, start.data(), corrections, first, last, Y, y_stride);
  else
    multiply<false>(A, B, start.data(), corrections, first, last, Y, y_stride);
}

}  // namespace bnrun

#endif
