#include "kernels/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/bfloat16.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#if HWY_ARCH_X86
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>
#include <vector>

#include "base/numbers.h"
#include "kernels/gemm/bfloat16.h"
#include "kernels/gemm/bfloat16_pairs.h"
#include "kernels/gemm/bfloat16_tiles.h"
#include "kernels/partial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kRowsAtOnce = HWY_MAX_BYTES == 64 ? 8 : HWY_TARGET == HWY_SCALAR ? 1 : 3;

/// R rows of X, as floats, times a vector of columns: two chains of 16 products in turn, added to each other and to the sum.
template <int R>
HWY_NOINLINE void multiply_rows(const float* X, std::int64_t stride, const std::uint32_t* HWY_RESTRICT w,
                                float* Y, std::int64_t y_stride) {
  const hn::CappedTag<float, 16> d;
  const hn::RebindToUnsigned<decltype(d)> words;
  using Vec = hn::VFromD<decltype(d)>;
  Vec sum[R];
  for (int r = 0; r < R; ++r) sum[r] = hn::Zero(d);
  for (std::int64_t k = 0; k < stride; k += 32) {
    Vec chains[2][R];
    for (int r = 0; r < R; ++r) chains[0][r] = chains[1][r] = hn::Zero(d);
    for (std::int64_t four = k; four < k + 32; four += 4) {
      HWY_UNROLL(2)
      for (int odd = 0; odd < 2; ++odd, w += 16) {
        const auto both = hn::LoadU(words, w);
        const Vec first = hn::BitCast(d, hn::And(both, hn::Set(words, 0xFFFF0000U)));
        const Vec second = hn::BitCast(d, hn::ShiftLeft<16>(both));
        HWY_UNROLL(8)
        for (int r = 0; r < R; ++r) {
          const float* x = X + r * stride + four + odd;
          chains[odd][r] = hn::MulAdd(hn::Set(d, x[0]), first, chains[odd][r]);
          chains[odd][r] = hn::MulAdd(hn::Set(d, x[2]), second, chains[odd][r]);
        }
      }
    }
    for (int r = 0; r < R; ++r) sum[r] = hn::Add(sum[r], hn::Add(chains[0][r], chains[1][r]));
  }
  for (int r = 0; r < R; ++r) hn::StoreU(sum[r], d, Y + r * y_stride);
}

template <int R>
HWY_INLINE void some_rows(std::int64_t rows, const float* X, std::int64_t stride, const std::uint32_t* w,
                          float* Y, std::int64_t y_stride) {
  if constexpr (R > 1) {
    if (rows < R) return some_rows<R - 1>(rows, X, stride, w, Y, y_stride);
  }
  multiply_rows<R>(X, stride, w, Y, y_stride);
}

/// X are floats, `stride` a row, that many k.
void multiply_floats(const float* X, std::int64_t rows, std::int64_t stride, const PackedBfloat16& W,
                     std::int64_t first, std::int64_t last, float* Y, std::int64_t y_stride) {
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(hn::CappedTag<float, 16>()));
  for (std::int64_t column = first; column < last; column += L) {
    const std::uint32_t* w = W.panels() + column / 16 * W.panel() + column % 16;
    for (std::int64_t r = 0; r < rows; r += kRowsAtOnce)
      some_rows<kRowsAtOnce>(rows - r, X + r * stride, stride, w, Y + r * y_stride + (column - first),
                             y_stride);
  }
}

/// sums[n] = scale[n] * sums[n] + shift[n], each rounded; either may be null.
void scale_and_shift(float* sums, std::int64_t count, const float* scale, const float* shift) {
  const hn::CappedTag<float, 16> d;
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(d));
  for (std::int64_t n = 0; n < count; n += L) {
    const auto used = static_cast<std::size_t>(std::min(L, count - n));
    auto y = load_first(d, sums + n, used, 0.0F);
    if (scale != nullptr) y = hn::Mul(y, load_first(d, scale + n, used, 0.0F));
    if (shift != nullptr) y = hn::Add(y, load_first(d, shift + n, used, 0.0F));
    store_first(d, y, sums + n, used);
  }
}

/// Y[n] = BFloat16(x[n])
void round_all(const float* x, std::int64_t count, std::uint16_t* Y) {
  const hn::CappedTag<float, 16> d;
  const hn::RebindToUnsigned<decltype(d)> words;
  const hn::Rebind<std::uint16_t, decltype(d)> halves;
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(d));
  for (std::int64_t n = 0; n < count; n += L) {
    const auto used = static_cast<std::size_t>(std::min(L, count - n));
    const auto number = load_first(d, x + n, used, 0.0F);
    const auto bits = hn::BitCast(words, number);
    const auto to_even = hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 1U));
    const auto nearest = hn::Add(bits, hn::Add(to_even, hn::Set(words, 0x7FFFU)));
    const auto quiet = hn::Or(bits, hn::Set(words, 0x00400000U));
    const auto nan = hn::RebindMask(words, hn::IsNaN(number));
    const auto rounded = hn::ShiftRight<16>(hn::IfThenElse(nan, quiet, nearest));
    const hn::RebindToSigned<decltype(d)> integers;
    store_first(halves, hn::DemoteTo(halves, hn::BitCast(integers, rounded)), Y + n, used);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(multiply_floats);
HWY_EXPORT(scale_and_shift);
HWY_EXPORT(round_all);

constexpr std::int64_t kPanelColumns = PackedBfloat16::kPanelColumns;
/// Of one block: what two matrix tiles hold, and elsewhere whole tiles of registers of AVX-512.
std::int64_t rows_at_once(Bfloat16Unit unit) {
  return unit == Bfloat16Unit::tiles ? 32 : 56;
}

/// Denormals count as zero in vectors while it lives, as they do in tiles.
class WithoutDenormals {
 public:
#if HWY_ARCH_X86
  WithoutDenormals() {
    _mm_setcsr(before_ | 0x8040U);
  }
  ~WithoutDenormals() {
    _mm_setcsr(before_);
  }
  WithoutDenormals(const WithoutDenormals&) = delete;
  WithoutDenormals& operator=(const WithoutDenormals&) = delete;

 private:
  unsigned before_ = _mm_getcsr();
#else
  WithoutDenormals() {}
#endif
};

float widened(BFloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

}  // namespace

Bfloat16Unit fastest_bfloat16_unit() {
  if (has_tiles(TileNumbers::bfloat16)) return Bfloat16Unit::tiles;
  return has_pairs() ? Bfloat16Unit::pairs : Bfloat16Unit::floats;
}

PackedBfloat16::PackedBfloat16(std::int64_t K, std::int64_t N, const BFloat16* W, Bfloat16Unit unit)
    : K_(K), N_(N), unit_(unit), panels_(static_cast<std::size_t>(ceil_div(N, kPanelColumns) * panel())) {
  std::fill_n(panels_.data(), panels_.size(), 0U);
  for (std::int64_t k = 0; k < K; ++k) {
    const bool neighbours = unit == Bfloat16Unit::tiles;
    const std::int64_t word = neighbours ? k / 2 : k / 4 * 2 + k % 2;
    const bool upper = neighbours ? k % 2 == 1 : k % 4 < 2;
    for (std::int64_t n = 0; n < N; ++n) {
      std::uint32_t* to =
          panels_.data() + n / kPanelColumns * panel() + word * kPanelColumns + n % kPanelColumns;
      *to |= static_cast<std::uint32_t>(W[k * N + n].bits) << (upper ? 16 : 0);
    }
  }
}

std::int64_t PackedBfloat16::panel() const {
  return rounded_up(K_, PackedBfloat16::kBlock) / 2 * kPanelColumns;
}

std::size_t PackedBfloat16::scratch_bytes() const {
  const std::size_t number = unit_ == Bfloat16Unit::tiles   ? 0
                             : unit_ == Bfloat16Unit::pairs ? sizeof(BFloat16)
                                                            : sizeof(float);
  return static_cast<std::size_t>(rows_at_once(unit_) * rounded_up(K_, PackedBfloat16::kBlock)) * number;
}

void multiply_bfloat16(const BFloat16* X, std::int64_t rows, const PackedBfloat16& W, std::int64_t first,
                       std::int64_t last, float* Y, std::int64_t y_stride, std::byte* scratch) {
  const std::int64_t at_once = rows_at_once(W.unit());
  const WithoutDenormals held;
  for (std::int64_t m = 0; m < rows; m += at_once, X += at_once * W.K(), Y += at_once * y_stride) {
    const std::int64_t here = std::min(at_once, rows - m);
    switch (W.unit()) {
      case Bfloat16Unit::tiles:
        multiply_bfloat16_on_tiles(X, here, W, first, last, Y, y_stride);
        break;
      case Bfloat16Unit::pairs: {
        auto* const words = reinterpret_cast<std::uint32_t*>(scratch);
        pack_pairs(X, here, W.K(), words);
        multiply_pairs(words, here, W, first, last, Y, y_stride);
        break;
      }
      case Bfloat16Unit::floats: {
        const std::int64_t padded = rounded_up(W.K(), PackedBfloat16::kBlock);
        auto* const floats = reinterpret_cast<float*>(scratch);
        for (std::int64_t r = 0; r < here; ++r) {
          float* const to = floats + r * padded;
          std::fill(std::transform(X + r * W.K(), X + (r + 1) * W.K(), to, widened), to + padded, 0.0F);
        }
        HWY_DYNAMIC_DISPATCH(multiply_floats)(floats, here, padded, W, first, last, Y, y_stride);
        break;
      }
    }
  }
}

DenseBfloat16::DenseBfloat16(std::int64_t K, std::int64_t N, const BFloat16* W, Epilogue epilogue,
                             Bfloat16Unit unit)
    : weights_(K, N, W, unit), epilogue_(std::move(epilogue)) {}

std::int64_t DenseBfloat16::columns_at_once() const {
  constexpr std::int64_t kNear = 1 << 18;  // numbers that stay in the second-level cache while all rows go by
  constexpr std::int64_t kMost = 512;
  constexpr std::int64_t kPair = 2 * kPanelColumns;
  const std::int64_t near = kNear / (kPair * std::max<std::int64_t>(1, K())) * kPair;
  return std::clamp(near, kPair, std::min(kMost, std::max(kPair, rounded_up(N(), kPair))));
}

std::size_t DenseBfloat16::scratch_bytes() const {
  const std::int64_t sums = rows_at_once(weights_.unit()) * columns_at_once();
  return static_cast<std::size_t>(sums) * sizeof(float) + weights_.scratch_bytes();
}

void DenseBfloat16::run(const BFloat16* X, std::int64_t rows, BFloat16* Y, const Workspace& memory) const {
  const std::int64_t threads = memory.threads();
  const std::int64_t at_once = rows_at_once(weights_.unit());
  const bool by_columns = rows < at_once * threads;
  const std::int64_t step = by_columns
                                ? ceil_div(ceil_div(N(), 2 * kPanelColumns), threads) * 2 * kPanelColumns
                                : ceil_div(ceil_div(rows, at_once), 4 * threads) * at_once;
  memory.parallel_for(ceil_div(by_columns ? N() : rows, std::max<std::int64_t>(1, step)),
                      [&](std::int64_t task, std::byte* scratch) {
                        const std::int64_t first = task * step;
                        if (by_columns)
                          run_part(X, rows, first, std::min(N(), first + step), Y, scratch);
                        else
                          run_part(X + first * K(), std::min(step, rows - first), 0, N(), Y + first * N(),
                                   scratch);
                      });
}

void DenseBfloat16::run_part(const BFloat16* X, std::int64_t rows, std::int64_t first, std::int64_t last,
                             BFloat16* Y, std::byte* scratch) const {
  const std::int64_t near = columns_at_once();
  const std::int64_t at_once = rows_at_once(weights_.unit());
  auto* const sums = reinterpret_cast<float*>(scratch);
  std::byte* const behind = scratch + static_cast<std::size_t>(at_once * near) * sizeof(float);
  const auto part_of = [](const std::vector<float>& numbers, std::int64_t n) {
    return numbers.empty() ? nullptr : numbers.data() + n;
  };
  for (std::int64_t begin = first; begin < last; begin += near) {
    const std::int64_t count = std::min(near, last - begin);
    for (std::int64_t m = 0; m < rows; m += at_once) {
      const std::int64_t here = std::min(at_once, rows - m);
      multiply_bfloat16(X + m * K(), here, weights_, begin, begin + count, sums, near, behind);
      for (std::int64_t r = 0; r < here; ++r) {
        float* const row = sums + r * near;
        HWY_DYNAMIC_DISPATCH(scale_and_shift)
        (row, count, part_of(epilogue_.scale, begin), part_of(epilogue_.shift, begin));
        activate(epilogue_.activation, std::span(row, static_cast<std::size_t>(count)));
        HWY_DYNAMIC_DISPATCH(round_all)(row, count, &Y[(m + r) * N() + begin].bits);
      }
    }
  }
}

}  // namespace bnrun
#endif
