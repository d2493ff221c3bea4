// Convolutions of 3x3 taps with fewer multiplications, which rounds otherwise than one chain of fused multiply-adds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_buffer.h"
#include "base/numbers.h"
#include "base/workspace.h"
#include "kernels/conv/convolution.h"
#include "kernels/conv/window.h"
#include "kernels/gemm/dense.h"
#include "kernels/math/activation.h"

namespace bnrun {

/// What Convolution computes, for windows of 3x3 taps one apart, in one group, stride 1: F(2x2,3x3) or F(4x4,3x3) of S.
/// Winograd, Arithmetic Complexity of Computations (1980), as Lavin and Gray, Fast Algorithms for Convolutional Neural
/// Networks (2016), apply it. Tiles of tile x tile outputs take (tile + 2)^2 multiplications for each input channel in
/// place of 9 tile^2: 2.25 or 4 times fewer.
///
/// Without scale, shift and what follows, a sum over C channels is off by at most
///     error_factor(tile, C) * max |X| * sum of |W[m]|,
/// the maximum being that of the (tile + 2)^2 positions that its tile reads. That is gamma(n) * norm^2, where
/// - gamma(n) = n u / (1 - n u), u = 2^-24: each term passes n = C + 7 (tile 2) or C + 17 (tile 4) roundings at most, one
///   in its weight, one for each operation of the transforms in its way (a multiply-add counts as two, which it is where it
///   is not fused) and C in the product; Higham, Accuracy and
///   Stability of Numerical Algorithms (2002), lemma 3.1;
/// - norm = max over i, k of sum over p |A[p,i]| |G[p,k]| sum over s |B[s,p]|, the same in both directions: 4 for tile 2,
///   13.25 for tile 4 at its points 0, +-5/8, +-3/2 and infinity.
/// Errors are seldom a hundredth of it: that of tile 4 is some twice, that of tile 2 two thirds of what Convolution has.
/// That holds where nothing overflows or underflows; an input that is infinite or NaN may make any output of the tiles that
/// read it NaN.
///
/// The bits of an output depend on its tile and the layer alone, never on the batch, the threads or the vector width.
class Winograd {
 public:
  using Element = float;

  /// The weights are copied, transformed in double and rounded once. REQUIRES: tile is 2 or 4; taps 3x3, one group.
  Winograd(std::int64_t tile, const ConvolutionWeights<float>& weights,
           const Dense<float>::Epilogue& epilogue);

  std::int64_t C() const { return C_; }
  std::int64_t M() const { return M_; }
  Shape kernel() const { return {3, 3}; }
  /// Multiply-adds of one output in the products, the transforms and what tiles stick out aside.
  std::int64_t macs_of_one() const { return matrices() * C_ / (tile_ * tile_); }

  static double error_factor(std::int64_t tile, std::int64_t C);

  /// As those of Convolution. REQUIRES: two axes with 3 taps, stride 1 and dilation 1.
  std::size_t scratch_bytes(const Window& window, std::int64_t batch) const;
  void run(const Window& window, std::int64_t batch, const float* X, const float* addend, float* Y,
           const Workspace& workspace) const;

 private:
  struct Plan;
  class Run;

  Plan plan(const Window& window, std::int64_t batch, int threads) const;
  std::int64_t matrices() const { return (tile_ + 2) * (tile_ + 2); }
  bool has_large_weights() const;
  std::int64_t column_blocks() const { return ceil_div(M_, columns_); }

  std::int64_t tile_;
  std::int64_t C_;
  std::int64_t M_;
  std::int64_t columns_;  ///< of one block of all matrices
  Activation activation_;
  AlignedBuffer<float>
      weights_;  ///< panels of each matrix, those of one block of columns after those of another
  AlignedBuffer<float> scale_;  ///< padded to whole panels; empty: 1
  AlignedBuffer<float> shift_;  ///< likewise; empty: 0
};

}  // namespace bnrun
