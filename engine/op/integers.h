// Integers that stand for floating-point numbers, and the operators that read, write and multiply them. Whoever looks for products
// of integers asks an operator by dynamic_cast.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/gemm/int8.h"
#include "op/op.h"

namespace bnrun {

/// x = (q - zero) * scale: one of each for all, or one for each index of an axis.
struct IntegerScale {
  std::vector<double> scales;
  std::vector<std::int32_t> zeros;  ///< as many
  std::size_t axis = 0;             ///< of several

  bool uniform() const { return scales.size() == 1; }
};

/// Whether sums of K products of two bytes less their zero points are.
inline bool is_exact_in_32_bits(std::int64_t K) {
  return K <= kMostExactBytes;
}

/// An operator whose output 0 is what the integers of input 0 stand for.
class ReadsIntegers {
 public:
  virtual ~ReadsIntegers() = default;
  /// nullopt where that is not known ahead, or there are scales for blocks.
  virtual std::optional<IntegerScale> scale_read(const FoldArgs& args) const = 0;
};

/// An operator whose output 0 holds integers for input 0: saturate(round half to even(x / scale) + zero).
class WritesIntegers {
 public:
  virtual ~WritesIntegers() = default;
  /// Likewise.
  virtual std::optional<IntegerScale> scale_written(const FoldArgs& args) const = 0;
};

/// A layer of bytes with constant weights: y = saturate(round half to even(
///   (B + sum of (q - x.zero) * (W - weights.zeros)) * x.scale * weights.scales / y.scale) + y.zero).
struct IntegerLayer {
  std::optional<DenseForm> dense;  ///< X[..,K] * W[K,N] of int8 or uint8
  std::optional<ConvolutionForm> convolution;
  IntegerScale x;        ///< one for all
  IntegerScale weights;  ///< one for all, or one for each output channel
  IntegerScale y;        ///< one for all
  Tensor B;              ///< int32, one for each output channel; undefined: 0
};

/// An operator that is such a layer of input 0.
class MultipliesIntegers {
 public:
  virtual ~MultipliesIntegers() = default;
  /// nullopt where something about it is known at run time alone.
  virtual std::optional<IntegerLayer> integer_layer(const FoldArgs& args) const = 0;
};

}  // namespace bnrun
