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
#include "kernels/gemm/bfloat16_tiles.h"

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
    Vec even[R];
    Vec odd[R];
    for (int r = 0; r < R; ++r) even[r] = odd[r] = hn::Zero(d);
    for (std::int64_t pair = 0; pair < 32; pair += 2, w += 16) {
      const auto both = hn::LoadU(words, w);
      const Vec w_even = hn::BitCast(d, hn::ShiftLeft<16>(both));
      const Vec w_odd = hn::BitCast(d, hn::And(both, hn::Set(words, 0xFFFF0000U)));
      HWY_UNROLL(8)
      for (int r = 0; r < R; ++r) {
        const float* x = X + r * stride + k + pair;
        even[r] = hn::MulAdd(hn::Set(d, x[0]), w_even, even[r]);
        odd[r] = hn::MulAdd(hn::Set(d, x[1]), w_odd, odd[r]);
      }
    }
    for (int r = 0; r < R; ++r) sum[r] = hn::Add(sum[r], hn::Add(even[r], odd[r]));
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

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(multiply_floats);

constexpr std::int64_t kPanelColumns = 16;
constexpr std::int64_t kDepth = 32;
constexpr std::int64_t kBlockRows = 32;

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

/// BFloat16(x), in line for whole rows.
std::uint16_t rounded(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t nearest = bits + 0x7FFFU + ((bits >> 16) & 1U);
  return static_cast<std::uint16_t>((x == x ? nearest : bits | 0x00400000U) >> 16);
}

}  // namespace

PackedBfloat16::PackedBfloat16(std::int64_t K, std::int64_t N, const BFloat16* W)
    : K_(K), N_(N), panels_(static_cast<std::size_t>(ceil_div(N, kPanelColumns) * panel())) {
  std::fill_n(panels_.data(), panels_.size(), 0U);
  for (std::int64_t k = 0; k < K; ++k) {
    for (std::int64_t n = 0; n < N; ++n) {
      std::uint32_t* word =
          panels_.data() + n / kPanelColumns * panel() + k / 2 * kPanelColumns + n % kPanelColumns;
      *word |= static_cast<std::uint32_t>(W[k * N + n].bits) << (k % 2 * 16);
    }
  }
}

std::int64_t PackedBfloat16::panel() const {
  return rounded_up(K_, kDepth) / 2 * kPanelColumns;
}

void multiply_bfloat16(const BFloat16* X, std::int64_t rows, const PackedBfloat16& W, std::int64_t first,
                       std::int64_t last, float* Y, std::int64_t y_stride) {
  const bool on_tiles = has_tiles(TileNumbers::bfloat16);
  const std::int64_t padded = rounded_up(W.K(), kDepth);
  AlignedBuffer<float> floats(static_cast<std::size_t>(on_tiles ? 0 : kBlockRows * padded));
  for (std::int64_t m = 0; m < rows; m += kBlockRows, Y += kBlockRows * y_stride) {
    const std::int64_t here = std::min(kBlockRows, rows - m);
    const BFloat16* const x = X + m * W.K();
    if (on_tiles) {
      multiply_bfloat16_on_tiles(x, here, W, first, last, Y, y_stride);
      continue;
    }
    for (std::int64_t r = 0; r < here; ++r) {
      float* to = floats.data() + r * padded;
      std::fill(std::transform(x + r * W.K(), x + (r + 1) * W.K(), to, widened), to + padded, 0.0F);
    }
    const WithoutDenormals held;
    HWY_DYNAMIC_DISPATCH(multiply_floats)(floats.data(), here, padded, W, first, last, Y, y_stride);
  }
}

DenseBfloat16::DenseBfloat16(std::int64_t K, std::int64_t N, const BFloat16* W, Epilogue epilogue)
    : weights_(K, N, W), epilogue_(std::move(epilogue)) {}

void DenseBfloat16::run(const BFloat16* X, std::int64_t rows, BFloat16* Y, const Workspace& memory) const {
  const std::int64_t threads = memory.threads();
  const bool by_columns = rows < kBlockRows * threads;
  const std::int64_t step = by_columns
                                ? ceil_div(ceil_div(N(), 2 * kPanelColumns), threads) * 2 * kPanelColumns
                                : ceil_div(ceil_div(rows, kBlockRows), 4 * threads) * kBlockRows;
  memory.parallel_for(ceil_div(by_columns ? N() : rows, std::max<std::int64_t>(1, step)),
                      [&](std::int64_t task, std::byte*) {
                        const std::int64_t first = task * step;
                        if (by_columns)
                          run_part(X, rows, first, std::min(N(), first + step), Y);
                        else
                          run_part(X + first * K(), std::min(step, rows - first), 0, N(), Y + first * N());
                      });
}

void DenseBfloat16::run_part(const BFloat16* X, std::int64_t rows, std::int64_t first, std::int64_t last,
                             BFloat16* Y) const {
  // So many columns as stay in the second-level cache while all rows go by.
  constexpr std::int64_t kNear = 1 << 19;
  constexpr std::int64_t kPair = 2 * kPanelColumns;
  const std::int64_t near =
      std::max<std::int64_t>(1, kNear / (kPair * std::max<std::int64_t>(1, K()))) * kPair;
  const std::int64_t width = std::min(near, rounded_up(last - first, kPair));
  AlignedBuffer<float> sums(static_cast<std::size_t>(kBlockRows * width));
  for (std::int64_t begin = first; begin < last; begin += near) {
    const std::int64_t end = std::min(last, begin + near);
    for (std::int64_t m = 0; m < rows; m += kBlockRows) {
      const std::int64_t here = std::min(kBlockRows, rows - m);
      multiply_bfloat16(X + m * K(), here, weights_, begin, end, sums.data(), width);
      for (std::int64_t r = 0; r < here; ++r)
        finish({sums.data() + r * width, static_cast<std::size_t>(end - begin)}, begin, Y + (m + r) * N());
    }
  }
}

void DenseBfloat16::finish(std::span<float> sums, std::int64_t first, BFloat16* Y) const {
  const auto at = static_cast<std::size_t>(first);
  for (std::size_t n = 0; n < sums.size() && !epilogue_.scale.empty(); ++n)
    sums[n] *= epilogue_.scale[at + n];
  for (std::size_t n = 0; n < sums.size() && !epilogue_.shift.empty(); ++n)
    sums[n] += epilogue_.shift[at + n];
  activate(epilogue_.activation, sums);
  for (std::size_t n = 0; n < sums.size(); ++n) Y[at + n].bits = rounded(sums[n]);
}

}  // namespace bnrun
#endif
