// Y[m,n] = sum over k of (A[m,k] - za) * (B[k,n] - zb[n])
//
// The processor multiplies unsigned bytes by signed ones and adds four products at once, so that A is shifted to
// unsigned and B to signed bytes and the zero points with them. With a and b such bytes, and za and zb such points,
//   sum (a - za) * (b - zb) = sum a*b - zb * sum a - za * (sum b - K * zb)
// and everything modulo 2^32. Rows of A are packed in tiles: of four k, the bytes of all rows of the tile.

#include "kernels/byte_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/int8.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/numbers.h"
#include "kernels/gemm/add_four-inl.h"
#include "kernels/gemm/int8.h"
#include "kernels/gemm/int8_tiles.h"
#include "kernels/gemm/rows-inl.h"
#include "kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::int64_t kPanel = 16;  ///< columns
constexpr int kRowsAtOnce = HWY_MAX_BYTES == 64 ? 12 : HWY_TARGET == HWY_SCALAR ? 1 : 4;
constexpr int kTileVectors = 2;

/// Unsigned bytes of the rows of a tile: four of one k of row r lie at data + r * row, those of the next k `step` behind.
struct TileBytes {
  const std::uint8_t* data;
  std::int64_t row;
  std::int64_t step;
};

/// sum += a * b for four k, of rows r and those behind it.
template <int r, int R, int V, class Vec>
HWY_INLINE void add_four_of_rows(const Vec (&w)[V], const Rows<std::uint8_t, R>& A, Vec (&sum)[R][V]) {
  if constexpr (r < R) {
    const Vec a = A.template broadcast<r>(Words());
    HWY_UNROLL(4)
    for (int v = 0; v < V; ++v) sum[r][v] = add_four(sum[r][v], a, w[v]);
    add_four_of_rows<r + 1>(w, A, sum);
  }
}

/// R rows of A times V vectors of columns.
template <int R, int V>
HWY_NOINLINE void tile(const TileBytes& A, const std::int32_t* row_sums, const PackedBytes& B,
                       const ByteCorrections& corrections, std::int64_t column, std::int32_t* Y,
                       std::int64_t y_stride) {
  const Words d;
  using Vec = hn::VFromD<Words>;
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(d));
  const std::int64_t fours = (B.K() + 3) / 4;
  const std::int64_t panel = fours * kPanel;
  const std::int32_t* HWY_RESTRICT weights = B.panels() + column / kPanel * panel + column % kPanel;
  Vec sum[R][V];
  HWY_UNROLL(12)
  for (int r = 0; r < R; ++r) {
    HWY_UNROLL(4)
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Zero(d);
  }
  Rows<std::uint8_t, R> rows(A.data, A.row);
  for (std::int64_t k = 0; k < fours; ++k) {
    Vec w[V];
    HWY_UNROLL(4)
    for (int v = 0; v < V; ++v) w[v] = hn::Load(d, weights + v * L / kPanel * panel + v * L % kPanel);
    weights += kPanel;
    add_four_of_rows<0>(w, rows, sum);
    rows.advance(A.step);
  }
  HWY_UNROLL(4)
  for (int v = 0; v < V; ++v) {
    const std::int64_t c = column + v * L;
    const Vec zeros = hn::Load(d, corrections.b_zeros + c);
    const Vec shift = hn::Load(d, corrections.shift + c);
    const std::int64_t used = std::min(L, B.N() - c);
    HWY_UNROLL(12)
    for (int r = 0; r < R; ++r) {
      const Vec y = hn::Sub(hn::Sub(sum[r][v], hn::Mul(zeros, hn::Set(d, row_sums[r]))), shift);
      std::int32_t* to = Y + r * y_stride + c;
      if (used >= L)
        hn::StoreU(y, d, to);
      else if (used > 0)
        store_first(d, y, to, static_cast<std::size_t>(used));
    }
  }
}

/// Packs R rows; rows of A are linear in `row`, which has whole fours and zeros behind K.
HWY_INLINE void pack_tile(const ByteRows& A, std::int64_t K, std::int64_t first, int R, std::uint8_t* row,
                          std::uint8_t* packed, std::int32_t* sums) {
  const std::int64_t fours = (K + 3) / 4;
  const std::uint8_t flip = A.is_signed ? 0x80 : 0;
  for (int r = 0; r < R; ++r) {
    const std::uint8_t* from = A.data + (first + r) * A.stride;
    std::uint32_t sum = 0;
    for (std::int64_t k = 0; k < K; ++k) {
      row[k] = static_cast<std::uint8_t>(from[k] ^ flip);
      sum += row[k];
    }
    sums[r] = static_cast<std::int32_t>(sum);
    for (std::int64_t k = 0; k < fours; ++k) std::memcpy(packed + (k * R + r) * 4, row + k * 4, 4);
  }
}

template <int R, int V>
HWY_INLINE void columns(int rows, const TileBytes& A, const std::int32_t* row_sums, const PackedBytes& B,
                        const ByteCorrections& corrections, std::int64_t column, std::int32_t* Y,
                        std::int64_t y_stride) {
  if constexpr (R > 1) {
    if (rows < R) return columns<R - 1, V>(rows, A, row_sums, B, corrections, column, Y, y_stride);
  }
  tile<R, V>(A, row_sums, B, corrections, column, Y, y_stride);
}

/// All columns in [first, last), of which `first` begins a panel, of all rows.
void multiply(const ByteRows& A, const PackedBytes& B, const ByteCorrections& corrections, std::int64_t first,
              std::int64_t last, std::int32_t* Y, std::int64_t y_stride) {
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(Words()));
  constexpr std::int64_t kTiles = 4;  // packed at once, so that they stay near while all columns go by
  const std::int64_t padded = (B.K() + 3) / 4 * 4;
  // Unsigned rows of whole fours are read where they lie.
  const bool as_it_lies = !A.is_signed && padded == B.K();
  const bool sums_matter = std::any_of(corrections.b_zeros + first, corrections.b_zeros + last,
                                       [](std::int32_t zero) { return zero != 0; });
  TemporaryVector<std::uint8_t> row(static_cast<std::size_t>(as_it_lies ? 0 : padded), 0);
  TemporaryBuffer<std::uint8_t> packed(
      static_cast<std::size_t>(as_it_lies ? 0 : kTiles * kRowsAtOnce * padded));
  std::int32_t sums[kTiles * kRowsAtOnce] = {};
  for (std::int64_t block = 0; block < A.rows; block += kTiles * kRowsAtOnce) {
    const std::int64_t rows = std::min<std::int64_t>(kTiles * kRowsAtOnce, A.rows - block);
    for (std::int64_t r = 0; r < rows && as_it_lies && sums_matter; ++r) {
      const std::uint8_t* from = A.data + (block + r) * A.stride;
      std::uint32_t sum = 0;
      for (std::int64_t k = 0; k < B.K(); ++k) sum += from[k];
      sums[r] = static_cast<std::int32_t>(sum);
    }
    for (std::int64_t r = 0; r < rows && !as_it_lies; r += kRowsAtOnce)
      pack_tile(A, B.K(), block + r, static_cast<int>(std::min<std::int64_t>(kRowsAtOnce, rows - r)),
                row.data(), packed.data() + r * padded, sums + r);
    for (std::int64_t column = first; column < last; column += kTileVectors * L) {
      const bool whole = column + L < last;
      for (std::int64_t r = 0; r < rows; r += kRowsAtOnce) {
        const int of_tile = static_cast<int>(std::min<std::int64_t>(kRowsAtOnce, rows - r));
        const TileBytes a = as_it_lies ? TileBytes{A.data + (block + r) * A.stride, A.stride, 4}
                                       : TileBytes{packed.data() + r * padded, 4, std::int64_t{of_tile} * 4};
        std::int32_t* y = Y + (block + r) * y_stride;
        if (whole)
          columns<kRowsAtOnce, kTileVectors>(of_tile, a, sums + r, B, corrections, column, y, y_stride);
        else
          columns<kRowsAtOnce, 1>(of_tile, a, sums + r, B, corrections, column, y, y_stride);
      }
    }
  }
}

/// Processors that have tiles have these vectors. Where only lesser ones are asked for, tiles are not.
bool goes_with_tiles() {
  return HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL;
}

using Doubles = hn::CappedTag<double, 8>;

/// What the sums from column n on stand for, as many as a vector of doubles holds.
HWY_INLINE hn::VFromD<Doubles> rescaled(const std::int32_t* sums, const SumScale& scale, std::int64_t n) {
  const Doubles d;
  const hn::Rebind<std::int32_t, Doubles> words;
  const auto sum = hn::Add(hn::PromoteTo(d, hn::LoadU(words, sums)), hn::LoadU(d, scale.bias() + n));
  return hn::Add(hn::Mul(sum, hn::LoadU(d, scale.factors() + n)), hn::LoadU(d, scale.shift() + n));
}

/// What a number is cut off at, as it lies behind the zero point.
template <class Q>
struct Bounds {
  explicit Bounds(const ByteRange& range)
      : zero(range.zero),
        low(std::clamp<std::int32_t>(range.low, std::numeric_limits<Q>::lowest(),
                                     std::numeric_limits<Q>::max())),
        high(std::clamp<std::int32_t>(range.high, low, std::numeric_limits<Q>::max())) {}
  std::int32_t zero;
  std::int32_t low;
  std::int32_t high;
};

/// `count` sums from column n on, a multiple of the doubles of a vector.
template <class Q>
HWY_NOINLINE void requantize_exactly(const std::int32_t* sums, const SumScale& scale, std::int64_t n,
                                     std::int64_t count, const Bounds<Q>& bounds, Q* Y) {
  const Doubles d;
  const hn::Rebind<std::int32_t, Doubles> words;
  const hn::Rebind<std::int16_t, Doubles> halves;
  const hn::Rebind<Q, Doubles> bytes;
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(d));
  const auto zero = hn::Set(d, static_cast<double>(bounds.zero));
  const auto low = hn::Set(d, static_cast<double>(bounds.low));
  const auto high = hn::Set(d, static_cast<double>(bounds.high));
  for (std::int64_t i = 0; i < count; i += L) {
    const auto scaled = rescaled(sums + i, scale, n + i);
    const auto shifted = hn::IfThenElse(hn::IsNaN(scaled), zero, hn::Add(hn::Round(scaled), zero));
    const auto number = hn::Min(hn::Max(shifted, low), high);
    hn::StoreU(hn::DemoteTo(bytes, hn::DemoteTo(halves, hn::DemoteTo(words, number))), bytes, Y + i);
  }
}

#ifndef BNRUN_FEW_TARGETS  // there is no room for both
/// Sums in floats, vector by vector.
template <class Q>
class Near {
 public:
  Near(const SumScale& scale, const Bounds<Q>& bounds)
      : factors_(scale.near_factors()),
        shift_(scale.near_shift()),
        certain_(scale.certain()),
        low_(hn::Set(Floats(), static_cast<float>(bounds.low - bounds.zero))),
        high_(hn::Set(Floats(), static_cast<float>(bounds.high - bounds.zero))),
        zero_(hn::Set(Words(), bounds.zero - kMagicBits)) {}

  /// Those from column n on, unless they might round to another number than doubles do; returns whether it is done.
  HWY_INLINE bool requantize(const std::int32_t* sums, std::int64_t n, Q* Y) const {
    const Words d;
    const Floats floats;
    const hn::Rebind<std::uint8_t, Words> bytes;
    const auto scaled = hn::MulAdd(hn::ConvertTo(floats, hn::LoadU(d, sums)), hn::LoadU(floats, factors_ + n),
                                   hn::LoadU(floats, shift_ + n));
    // Cut off at integers, numbers round as they would have before.
    const auto bounded = hn::Min(hn::Max(scaled, low_), high_);
    // rounded where the last bit of a float is worth 1
    const auto magic = hn::Set(floats, kMagic);
    const auto moved = hn::Add(bounded, magic);
    const auto off = hn::Abs(hn::Sub(bounded, hn::Sub(moved, magic)));
    if (!hn::AllTrue(floats, hn::Lt(off, hn::LoadU(floats, certain_ + n)))) return false;
    auto number = hn::Add(hn::BitCast(d, moved), zero_);
    if constexpr (std::is_signed_v<Q>) number = hn::And(number, hn::Set(d, 0xFF));
    hn::StoreU(hn::U8FromU32(hn::BitCast(hn::RebindToUnsigned<Words>(), number)), bytes,
               reinterpret_cast<std::uint8_t*>(Y));
    return true;
  }

 private:
  using Floats = hn::Rebind<float, Words>;
  static constexpr float kMagic = 0x1.8p23F;
  static constexpr std::int32_t kMagicBits = 0x4B400000;

  // Pointers of its own: what is written are bytes, which might be part of anything.
  const float* factors_;
  const float* shift_;
  const float* certain_;
  hn::VFromD<Floats> low_;
  hn::VFromD<Floats> high_;
  hn::VFromD<Words> zero_;  ///< less the bits of the magic number
};
#endif

/// Calls vector(sums, column, Y) for each vector of each row. A row of less than one is read from a copy and written to
/// one, which are whole.
template <class T, class F>
HWY_INLINE void each_vector(const std::int32_t* sums, std::int64_t rows, std::int64_t N, T* Y,
                            const F& vector) {
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(Words()));
  for (std::int64_t m = 0; m < rows; ++m, sums += N, Y += N) {
    std::int64_t n = 0;
    for (; n + L <= N; n += L) vector(sums + n, n, Y + n);
    if (n == N) continue;
    if (N > L) {  // some twice
      vector(sums + N - L, N - L, Y + N - L);
      continue;
    }
    std::int32_t last[L] = {};
    T all[L];
    for (std::int64_t i = n; i < N; ++i) last[i - n] = sums[i];
    vector(last, n, all);
    for (std::int64_t i = n; i < N; ++i) Y[i] = all[i - n];
  }
}

template <class Q>
HWY_INLINE void requantize(const std::int32_t* sums, std::int64_t rows, const SumScale& scale,
                           const ByteRange& range, Q* Y) {
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(Words()));
  const Bounds<Q> bounds(range);
#ifndef BNRUN_FEW_TARGETS
  const Near<Q> near(scale, bounds);
  const auto nearly = [&](const std::int32_t* from, std::int64_t n, Q* y)
                          HWY_ATTR { return near.requantize(from, n, y); };
#else
  const auto nearly = [](const std::int32_t*, std::int64_t, Q*) { return false; };
#endif
  each_vector(sums, rows, scale.columns(), Y, [&](const std::int32_t* from, std::int64_t n, Q* y) HWY_ATTR {
    if (!nearly(from, n, y)) requantize_exactly(from, scale, n, L, bounds, y);
  });
}

void requantize_signed(const std::int32_t* sums, std::int64_t rows, const SumScale& scale,
                       const ByteRange& range, std::uint8_t* Y) {
  requantize(sums, rows, scale, range, reinterpret_cast<std::int8_t*>(Y));
}
void requantize_unsigned(const std::int32_t* sums, std::int64_t rows, const SumScale& scale,
                         const ByteRange& range, std::uint8_t* Y) {
  requantize(sums, rows, scale, range, Y);
}

void rescale_to_floats(const std::int32_t* sums, std::int64_t rows, const SumScale& scale, float* Y) {
  const hn::Rebind<float, Doubles> floats;
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(Words()));
  constexpr auto D = static_cast<std::int64_t>(hn::MaxLanes(Doubles()));
  each_vector(sums, rows, scale.columns(), Y,
              [&](const std::int32_t* from, std::int64_t n, float* y) HWY_ATTR {
                for (std::int64_t i = 0; i < L; i += D)
                  hn::StoreU(hn::DemoteTo(floats, rescaled(from + i, scale, n + i)), floats, y + i);
              });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(multiply);
HWY_EXPORT(goes_with_tiles);
HWY_EXPORT(requantize_signed);
HWY_EXPORT(requantize_unsigned);
HWY_EXPORT(rescale_to_floats);

}  // namespace

PackedBytes::PackedBytes(const ByteMatrix& B) : K_(B.K), N_(B.N), signed_(B.is_signed) {
  constexpr std::int64_t kPanelColumns = 16;
  const std::int64_t fours = ceil_div(K_, 4);
  const std::int64_t columns = rounded_up(N_, kPanelColumns);
  // Matrix tiles read as much behind a K that does not fill them.
  constexpr std::int64_t kBehind = 15 * kPanelColumns;
  panels_ = TemporaryBuffer<std::int32_t>(static_cast<std::size_t>(columns * fours + kBehind));
  sums_ = TemporaryBuffer<std::int32_t>(static_cast<std::size_t>(columns));
  std::fill_n(panels_.data(), panels_.size(), 0);
  std::fill_n(sums_.data(), sums_.size(), 0);
  const std::uint8_t flip = B.is_signed ? 0 : 0x80;
  for (std::int64_t n = 0; n < N_; ++n) {
    auto* to = reinterpret_cast<std::int8_t*>(panels_.data() + n / kPanelColumns * fours * kPanelColumns +
                                              n % kPanelColumns);
    std::uint32_t sum = 0;
    for (std::int64_t k = 0; k < K_; ++k) {
      const auto b = static_cast<std::int8_t>(B.data[k * B.k_stride + n * B.n_stride] ^ flip);
      to[k / 4 * kPanelColumns * 4 + k % 4] = b;
      sum += static_cast<std::uint32_t>(std::int32_t{b});
    }
    sums_.data()[n] = static_cast<std::int32_t>(sum);
  }
}

bool multiplies_bytes_on_tiles() {
  return has_tiles(TileNumbers::bytes) && HWY_DYNAMIC_DISPATCH(goes_with_tiles)();
}

void multiply_bytes(const ByteRows& A, const PackedBytes& B, std::span<const std::int32_t> b_zeros,
                    std::int32_t* Y, std::int64_t y_stride, const Workspace& workspace) {
  constexpr std::int64_t kPanelColumns = 16;
  const std::int64_t N = B.N();
  if (N == 0 || A.rows == 0) return;
  const std::int64_t columns = rounded_up(N, kPanelColumns);
  TemporaryBuffer<std::int32_t> zeros(static_cast<std::size_t>(columns));
  TemporaryBuffer<std::int32_t> shift(static_cast<std::size_t>(columns));
  const bool on_tiles = A.rows * B.K() * N >= kLeastTileProducts && multiplies_bytes_on_tiles();
  const auto a_zero = static_cast<std::uint32_t>(A.zero + (A.is_signed && !on_tiles ? 128 : 0));
  for (std::int64_t n = 0; n < columns; ++n) {
    const std::int32_t zero = n < N ? b_zeros[b_zeros.size() == 1 ? 0 : static_cast<std::size_t>(n)] : 0;
    const std::int32_t moved = zero - (B.was_signed() ? 0 : 128);
    zeros.data()[n] = n < N ? moved : 0;  // padding asks for no sums of rows
    shift.data()[n] = static_cast<std::int32_t>(
        a_zero * (static_cast<std::uint32_t>(B.sums()[n]) -
                  static_cast<std::uint32_t>(B.K()) * static_cast<std::uint32_t>(moved)));
  }
  // Blocks of rows, or of columns where there are few rows.
  constexpr std::int64_t kLeastRows = 48;
  const std::int64_t threads = workspace.threads();
  const std::int64_t parts = threads > 1 ? 4 * threads : 1;
  const std::int64_t unit = on_tiles ? kTileBlockRows : 1;
  const std::int64_t rows = rounded_up(std::max(kLeastRows, ceil_div(A.rows, parts)), unit);
  const std::int64_t row_blocks = ceil_div(A.rows, rows);
  const std::int64_t column_parts = row_blocks < threads ? threads : 1;
  const std::int64_t width = ceil_div(columns / kPanelColumns, column_parts) * kPanelColumns;
  const std::int64_t column_blocks = ceil_div(columns, width);
  workspace.parallel_for(row_blocks * column_blocks, [&](std::int64_t task, std::byte*) {
    const std::int64_t first = task % row_blocks * rows;
    const std::int64_t column = task / row_blocks * width;
    ByteRows part = A;
    part.data += first * A.stride;
    part.rows = std::min(rows, A.rows - first);
    const ByteCorrections corrections{zeros.data(), shift.data()};
    const std::int64_t end = std::min(columns, column + width);
    if (on_tiles)
      multiply_on_tiles(part, B, corrections, column, end, Y + first * y_stride, y_stride);
    else
      HWY_DYNAMIC_DISPATCH(multiply)(part, B, corrections, column, end, Y + first * y_stride, y_stride);
  });
}

SumScale::SumScale(std::span<const double> factors, std::span<const std::int32_t> bias,
                   std::span<const double> shift)
    : columns_(static_cast<std::int64_t>(factors.size())) {
  constexpr std::int64_t kLanes = 16;
  const auto padded = static_cast<std::size_t>(rounded_up(columns_, kLanes));
  for (TemporaryBuffer<double>* buffer : {&factors_, &bias_, &shift_})
    *buffer = TemporaryBuffer<double>(padded);
  for (TemporaryBuffer<float>* buffer : {&near_factors_, &near_shift_, &certain_})
    *buffer = TemporaryBuffer<float>(padded);
  for (std::size_t n = 0; n < padded; ++n) {
    const auto of = [&](auto numbers) { return n < numbers.size() ? static_cast<double>(numbers[n]) : 0.0; };
    factors_.data()[n] = of(factors);
    bias_.data()[n] = of(bias);
    shift_.data()[n] = of(shift);
    const double added = of(bias) * of(factors) + of(shift);
    near_factors_.data()[n] = static_cast<float>(of(factors));
    near_shift_.data()[n] = static_cast<float>(added);
    // In floats the sum, its factor, their product p, what is added a and the result r are rounded by 2^-24 each, so that
    // r is off by less than (3 |p| + |a| + |r|) 2^-24 <= (4 |r| + 4 |a|) 2^-24. Beyond |r| = 512 it is cut off either way.
    const double certain = 0.5 - 0x1p-13 - 0x1p-21 * std::abs(added);
    certain_.data()[n] =
        std::isfinite(near_factors_.data()[n]) && certain > 0.0 ? static_cast<float>(certain) : -1.0F;
  }
}

void requantize_rows(const std::int32_t* sums, std::int64_t rows, const SumScale& scale,
                     const ByteRange& range, std::uint8_t* Y) {
  if (range.is_signed)
    HWY_DYNAMIC_DISPATCH(requantize_signed)(sums, rows, scale, range, Y);
  else
    HWY_DYNAMIC_DISPATCH(requantize_unsigned)(sums, rows, scale, range, Y);
}

void rescale_rows(const std::int32_t* sums, std::int64_t rows, const SumScale& scale, float* Y) {
  HWY_DYNAMIC_DISPATCH(rescale_to_floats)(sums, rows, scale, Y);
}

}  // namespace bnrun
#endif
