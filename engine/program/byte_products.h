// Products and convolutions of bytes on packed kernels, for the usual forms: one zero point for the data, one for the
// weights or for each of their columns.
#pragma once

#include <cstdint>
#include <optional>

#include "base/function_ref.h"
#include "base/temporary.h"
#include "kernels/gemm/int8.h"
#include "op/window.h"

namespace bnrun {

/// Takes `rows` rows of sums that lie next to each other, from row `first` on of all rows of image `n`.
using TakeSums =
    FunctionRef<void(std::int64_t n, std::int64_t first, std::int64_t rows, const std::int32_t* sums)>;

/// Likewise of a product.
using TakeRows = FunctionRef<void(std::int64_t first, std::int64_t rows, const std::int32_t* sums)>;

/// A matrix product by B[K,N] or B[K].
class ByteProduct {
 public:
  /// nullopt where B is a batch of matrices.
  static std::optional<ByteProduct> pack(const TensorView& B);

  std::int64_t K() const { return packed_.K(); }
  std::int64_t N() const { return packed_.N(); }
  /// Y[..., N] = (A[..., K] - a_zero) * (B - b_zeros), modulo 2^32.
  void run(const TensorView& A, std::int32_t a_zero, std::span<const std::int32_t> b_zeros, std::int32_t* Y,
           const Workspace& workspace) const;

  /// The same, handed over while it is near: a block of rows at a time, by several threads at once.
  void run(const TensorView& A, std::int32_t a_zero, std::span<const std::int32_t> b_zeros, TakeRows take,
           const Workspace& workspace) const;

 private:
  explicit ByteProduct(PackedBytes packed) : packed_(std::move(packed)) {}
  PackedBytes packed_;
};

/// A convolution with W[M,C/group,...].
class ByteConvolution {
 public:
  ByteConvolution(const TensorView& W, std::int64_t group);

  std::int64_t C() const { return in_per_group_ * group_; }
  std::int64_t M() const { return M_; }
  const Shape& kernel() const { return kernel_; }
  /// Multiply-accumulates of one element of the output.
  std::int64_t macs_of_one() const { return in_per_group_ * kernel_.elements(); }

  /// The sums of X[N,C,...], or of X[N,...,C], less x_zero times W less w_zeros, modulo 2^32: a row of M numbers for each
  /// position of the output, taken by several threads at once.
  void run(const Window& window, const TensorView& X, bool channels_last, std::int32_t x_zero,
           std::span<const std::int32_t> w_zeros, const Workspace& workspace, TakeSums take) const;

  std::size_t scratch_bytes() const;

 private:
  static constexpr std::int64_t kTaskRows = 96;

  std::size_t sum_bytes() const;
  bool is_depthwise() const { return in_per_group_ == 1 && M_ == group_; }
  /// Weights of a depthwise one, less their zero points.
  TemporaryVector<std::int16_t> centred_lanes(std::span<const std::int32_t> w_zeros) const;

  std::int64_t M_;
  std::int64_t group_;
  std::int64_t in_per_group_;
  Shape kernel_;
  // Made in runs, too, where W is computed.
  TemporaryVector<PackedBytes> groups_;  ///< none for a depthwise one
  TemporaryVector<std::int16_t> lanes_;  ///< W[taps,M] of a depthwise one
};

}  // namespace bnrun
