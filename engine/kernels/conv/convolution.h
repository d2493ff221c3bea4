// Convolutions with constant weights on channels-last data, and everything that follows them element by element.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/workspace.h"
#include "kernels/conv/gather.h"
#include "kernels/conv/window.h"
#include "kernels/gemm/dense.h"
#include "kernels/math/activation.h"

namespace bnrun {

/// What a convolution holds: W[M, C/groups, taps...] row-major over `kernel`, which has one to three axes.
template <class T>
struct ConvolutionWeights {
  std::int64_t C = 0;
  std::int64_t M = 0;
  std::int64_t groups = 1;
  Shape kernel;
  const T* W = nullptr;
};

/// Y[n,o...,m] = act(scale[m] * sum over taps k and c in m's group of X[n, o*stride - pad + k*dilation, c] * W[m,c,k]
///               + shift[m] + addend[n,o...,m])
/// X being what the source makes of its parts, channels last.
/// Each sum is one chain of fused multiply-adds, taps in order and the channels of each in order, padding being zeros
/// (or left out where that is the same, all weights being finite), so that its bits do not depend on the batch, the threads or the vector width.
template <class T>
class Convolution {
 public:
  using Element = T;

  /// The weights are copied, packed as the kernel wants them.
  Convolution(const ConvolutionWeights<T>& weights, const typename Dense<T>::Epilogue& epilogue);

  std::int64_t C() const { return C_; }
  std::int64_t M() const { return M_; }
  const Shape& kernel() const { return kernel_; }
  std::int64_t macs_of_one() const { return taps_ * (C_ / groups_); }  ///< multiply-adds of one output
  /// Whether X may have a prologue: narrow groups are read where they lie.
  bool can_gather() const { return !by_lanes_; }

  /// Scratch memory that `run` wants for each thread; `gathers`: where X has a prologue.
  std::size_t scratch_bytes(const Window& window, std::int64_t batch, bool gathers = false) const;
  /// X[batch, input extents, C], Y and addend [batch, output extents, M], Y overlapping none; `addend` may be null.
  /// REQUIRES: can_gather, or no prologue.
  /// Thread-safe. Allocates only where the workspace has less scratch memory than it wants.
  void run(const Window& window, std::int64_t batch, const ChannelSource<T>& X, const T* addend, T* Y,
           const Workspace& workspace) const;
  void run(const Window& window, std::int64_t batch, const T* X, const T* addend, T* Y,
           const Workspace& workspace) const {
    const ChannelPart<T> whole{X, C_};
    run(window, batch, {{&whole, 1}, nullptr}, addend, Y, workspace);
  }

 private:
  struct Plan;
  class Run;

  Plan plan(const Window& window, std::int64_t batch, bool gathers, int threads) const;
  bool shares_columns_evenly(int threads) const;

  std::int64_t C_;
  std::int64_t M_;
  std::int64_t groups_;
  Shape kernel_;
  std::int64_t taps_;
  bool finite_;    ///< all weights: those that meet padding may be left out
  bool by_lanes_;  ///< vectors of channels rather than panels of a product
  Activation activation_;
  AlignedBuffer<T> weights_;  ///< panels, those of one group after those of another
  AlignedBuffer<T> scale_;    ///< padded to whole panels, group by group; empty: 1
  AlignedBuffer<T> shift_;    ///< likewise; empty: 0
};

extern template class Convolution<float>;
extern template class Convolution<double>;

}  // namespace bnrun
