// VDPBF16PS (Intel's manual, volume 2) adds to a float the product of two upper halves of words, then that of the lower
// halves, each in one multiply-add that takes denormals for zero. Of each four k the words hold (2, 0) and (3, 1), lower half
// first, so that those at even places continue the chain of even k and those at odd places that of odd k, ascending.
#include "kernels/gemm/bfloat16_pairs.h"

#if BNRUN_HAS_PAIRS
#include <hwy/base.h>
#include <immintrin.h>

#include <algorithm>
#include <cstddef>

namespace bnrun {
namespace {

#define BNRUN_PAIRS __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

constexpr std::int64_t kPanelColumns = PackedBfloat16::kPanelColumns;
constexpr std::int64_t kBlockWords = PackedBfloat16::kBlock / 2;
constexpr int kRowsAtOnce = 7;

/// X * W for R rows of `words` words and V panels, `panel` words apart. The chains of one block are all that registers
/// hold; sums of the blocks before are in Y.
template <int R, int V>
BNRUN_PAIRS void multiply_tile(const std::uint32_t* X, std::int64_t words, const std::uint32_t* W,
                               std::int64_t panel, float* Y, std::int64_t y_stride) {
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(Y + r * y_stride + v * kPanelColumns, _mm512_setzero_ps());
  }
  for (std::int64_t block = 0; block < words; block += kBlockWords) {
    __m512 chains[2][R][V];
    HWY_UNROLL(2)
    for (auto& chain : chains) {
      HWY_UNROLL(8)
      for (auto& of_row : chain) {
        HWY_UNROLL(2)
        for (__m512& sum : of_row) sum = _mm512_setzero_ps();
      }
    }
    HWY_UNROLL(4)
    for (std::int64_t word = block; word < block + kBlockWords; word += 2) {
      HWY_UNROLL(2)
      for (int odd = 0; odd < 2; ++odd) {
        __m512bh w[V];
        HWY_UNROLL(2)
        for (int v = 0; v < V; ++v)
          w[v] = reinterpret_cast<__m512bh>(_mm512_load_si512(W + v * panel + (word + odd) * kPanelColumns));
        HWY_UNROLL(8)
        for (int r = 0; r < R; ++r) {
          const auto x =
              reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(X[r * words + word + odd])));
          HWY_UNROLL(2)
          for (int v = 0; v < V; ++v) chains[odd][r][v] = _mm512_dpbf16_ps(chains[odd][r][v], x, w[v]);
        }
      }
    }
    HWY_UNROLL(8)
    for (int r = 0; r < R; ++r) {
      HWY_UNROLL(2)
      for (int v = 0; v < V; ++v) {
        float* const y = Y + r * y_stride + v * kPanelColumns;
        _mm512_storeu_ps(y,
                         _mm512_add_ps(_mm512_loadu_ps(y), _mm512_add_ps(chains[0][r][v], chains[1][r][v])));
      }
    }
  }
}

template <int R, int V>
void multiply_some(std::int64_t rows, const std::uint32_t* X, std::int64_t words, const std::uint32_t* W,
                   std::int64_t panel, float* Y, std::int64_t y_stride) {
  if constexpr (R > 1) {
    if (rows < R) return multiply_some<R - 1, V>(rows, X, words, W, panel, Y, y_stride);
  }
  multiply_tile<R, V>(X, words, W, panel, Y, y_stride);
}

}  // namespace

bool has_pairs() {
  static const bool found =
      __builtin_cpu_supports("avx512bf16") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0;
  return found;
}

BNRUN_PAIRS void pack_pairs(const BFloat16* X, std::int64_t rows, std::int64_t K, std::uint32_t* words) {
  constexpr std::int64_t kAtOnce = PackedBfloat16::kBlock;
  constexpr int kOrder = 2 | 0 << 2 | 3 << 4 | 1 << 6;  // where each of four halves comes from
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t k = 0; k < K; k += kAtOnce, words += kBlockWords) {
      const std::int64_t used = std::min(kAtOnce, K - k);
      const auto mask = static_cast<__mmask32>((std::uint64_t{1} << used) - 1);
      const __m512i x = _mm512_maskz_loadu_epi16(mask, X + r * K + k);
      _mm512_storeu_si512(words, _mm512_shufflehi_epi16(_mm512_shufflelo_epi16(x, kOrder), kOrder));
    }
  }
}

void multiply_pairs(const std::uint32_t* X, std::int64_t rows, const PackedBfloat16& W, std::int64_t first,
                    std::int64_t last, float* Y, std::int64_t y_stride) {
  const std::int64_t words = W.panel() / kPanelColumns;
  for (std::int64_t column = first; column < last; column += 2 * kPanelColumns) {
    const std::uint32_t* const w = W.panels() + column / kPanelColumns * W.panel();
    const bool two = column + kPanelColumns < last;
    for (std::int64_t r = 0; r < rows; r += kRowsAtOnce) {
      float* const y = Y + r * y_stride + (column - first);
      if (two)
        multiply_some<kRowsAtOnce, 2>(rows - r, X + r * words, words, w, W.panel(), y, y_stride);
      else
        multiply_some<kRowsAtOnce, 1>(rows - r, X + r * words, words, w, W.panel(), y, y_stride);
    }
  }
}

}  // namespace bnrun
#endif
