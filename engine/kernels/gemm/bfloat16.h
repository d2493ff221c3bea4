// Dense layers of bfloat16 with constant weights, summed in float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/workspace.h"
#include "bnrun/tensor.h"
#include "kernels/math/activation.h"

namespace bnrun {

/// What multiplies: a processor's matrix tiles (AMX), its products of pairs (AVX512-BF16), or multiply-adds of float.
enum class Bfloat16Unit : std::uint8_t { tiles, pairs, floats };

/// The fastest that there is here. Thread-safe.
Bfloat16Unit fastest_bfloat16_unit();

/// W[K,N]: panels of 16 columns, in each two k of every column in one word, the k filled up with zeros to a multiple of
/// 32. Tiles want k and k + 1 in a word, the lower half first; otherwise it is k + 2 and k, of each four k.
class PackedBfloat16 {
 public:
  static constexpr std::int64_t kPanelColumns = 16;
  static constexpr std::int64_t kBlock = 32;  ///< k whose products are summed before they join the others

  /// W is row-major and copied. REQUIRES: the unit is there.
  PackedBfloat16(std::int64_t K, std::int64_t N, const BFloat16* W,
                 Bfloat16Unit unit = fastest_bfloat16_unit());

  std::int64_t K() const { return K_; }
  std::int64_t N() const { return N_; }
  Bfloat16Unit unit() const { return unit_; }
  /// Words of one panel.
  std::int64_t panel() const;
  const std::uint32_t* panels() const { return panels_.data(); }
  /// What multiply_bfloat16 wants.
  std::size_t scratch_bytes() const;

 private:
  std::int64_t K_;
  std::int64_t N_;
  Bfloat16Unit unit_;
  AlignedBuffer<std::uint32_t> panels_;
};

/// Y[m,n] = sums of X[m,k] * W[k,n] for the columns in [first, last), which begin at a panel; row m of Y begins at
/// Y + m * y_stride with column `first` and has room for whole panels. Of each 32 k those at even places and those at odd ones are
/// chains of fused multiply-adds with k ascending; the two are added, and that to the sum of the k before. Denormals
/// count as zero wherever they are read or made. This is what the matrix tiles of a processor do (TDPBF16PS in Intel's
/// manual, volume 2), and the other units do the same on an x86-64, so that the bits are the same; other processors
/// keep denormals, and ones without fused multiply-add round each product. A sum is off by at most
/// (18 + K / 32) 2^-24 sum|x w| and denormals. `scratch` has W.scratch_bytes() at a multiple of 64. Thread-safe.
void multiply_bfloat16(const BFloat16* X, std::int64_t rows, const PackedBfloat16& W, std::int64_t first,
                       std::int64_t last, float* Y, std::int64_t y_stride, std::byte* scratch);

/// Y[M,N] = act(scale[n] * (X[M,K] * W[K,N])[m,n] + shift[n]) in float, rounded to bfloat16 once.
class DenseBfloat16 {
 public:
  struct Epilogue {
    std::vector<float> scale;  ///< [N], or empty: 1
    std::vector<float> shift;  ///< [N], or empty: 0
    Activation activation;
  };

  DenseBfloat16(std::int64_t K, std::int64_t N, const BFloat16* W, Epilogue epilogue,
                Bfloat16Unit unit = fastest_bfloat16_unit());

  std::int64_t K() const { return weights_.K(); }
  std::int64_t N() const { return weights_.N(); }

  /// X and Y are row-major and do not overlap. Threads of `memory` share rows, or columns where there are few.
  /// REQUIRES: `memory` has scratch_bytes(). Thread-safe.
  void run(const BFloat16* X, std::int64_t rows, BFloat16* Y, const Workspace& memory) const;
  std::size_t scratch_bytes() const;

 private:
  /// The columns in [first, last) of so many rows.
  void run_part(const BFloat16* X, std::int64_t rows, std::int64_t first, std::int64_t last, BFloat16* Y,
                std::byte* scratch) const;
  std::int64_t columns_at_once() const;

  PackedBfloat16 weights_;
  Epilogue epilogue_;
};

}  // namespace bnrun
