// Exact products of matrices of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/temporary.h"
#include "base/workspace.h"
#include "kernels/math/byte_sum.h"

namespace bnrun {

/// B[K,N] of bytes, signed or not; element (k, n) lies at data[k * k_stride + n * n_stride].
struct ByteMatrix {
  std::int64_t K = 0;
  std::int64_t N = 0;
  const std::uint8_t* data = nullptr;
  std::int64_t k_stride = 0;
  std::int64_t n_stride = 1;
  bool is_signed = false;
};

/// The right side of products: panels of 16 columns, in each four k of every column in one word.
class PackedBytes {
 public:
  /// B is copied.
  explicit PackedBytes(const ByteMatrix& B);

  std::int64_t K() const { return K_; }
  std::int64_t N() const { return N_; }
  bool was_signed() const { return signed_; }
  const std::int32_t* panels() const { return panels_.data(); }
  /// Of each column, as it is packed: as signed bytes, unsigned ones less 128.
  const std::int32_t* sums() const { return sums_.data(); }

 private:
  std::int64_t K_;
  std::int64_t N_;
  bool signed_;
  TemporaryBuffer<std::int32_t> panels_;
  TemporaryBuffer<std::int32_t> sums_;
};

/// Rows of bytes: row m begins at data + m * stride.
struct ByteRows {
  std::int64_t rows = 0;
  const std::uint8_t* data = nullptr;
  std::int64_t stride = 0;
  bool is_signed = false;
  std::int32_t zero = 0;
};

/// What is taken off the sums of bytes: b_zeros[n] times the sum of the row, and shift[n]. Both padded to panels.
struct ByteCorrections {
  const std::int32_t* b_zeros = nullptr;
  const std::int32_t* shift = nullptr;
};

/// Sums of so many products of two bytes less their zero points are exact in 32 bits.
constexpr std::int64_t kMostExactBytes = 33'000;

/// Y[m,n] = sum over k of (A[m,k] - A.zero) * (B[k,n] - b_zeros[n]), modulo 2^32; `b_zeros` has N numbers or one.
/// Row m of Y begins at Y + m * y_stride. Exact, so that its bits depend on nothing else. Thread-safe.
void multiply_bytes(const ByteRows& A, const PackedBytes& B, std::span<const std::int32_t> b_zeros,
                    std::int32_t* Y, std::int64_t y_stride, const Workspace& workspace);

/// Whether multiply_bytes has a processor's matrix tiles for more than a few rows. Thread-safe.
bool multiplies_bytes_on_tiles();

/// What sums stand for, column by column: (sum + bias[n]) * factors[n] + shift[n], in double.
class SumScale {
 public:
  /// One number for each column, or none: 0. All are copied.
  explicit SumScale(std::span<const double> factors, std::span<const std::int32_t> bias = {},
                    std::span<const double> shift = {});

  std::int64_t columns() const { return columns_; }
  // The numbers, padded to whole vectors.
  const double* factors() const { return factors_.data(); }
  const double* bias() const { return bias_.data(); }
  const double* shift() const { return shift_.data(); }
  /// In floats, factor and all that is added behind it.
  const float* near_factors() const { return near_factors_.data(); }
  const float* near_shift() const { return near_shift_.data(); }
  /// How far floats may lie from an integer to be rounded to it as doubles are.
  const float* certain() const { return certain_.data(); }

 private:
  std::int64_t columns_;
  TemporaryBuffer<double> factors_;
  TemporaryBuffer<double> bias_;
  TemporaryBuffer<double> shift_;
  TemporaryBuffer<float> near_factors_;
  TemporaryBuffer<float> near_shift_;
  TemporaryBuffer<float> certain_;
};

/// Y[m,n] = saturate(round half to even(what sums[m,n] stand for) + zero), a NaN being `zero`: rows of scale.columns()
/// next to each other.
void requantize_rows(const std::int32_t* sums, std::int64_t rows, const SumScale& scale,
                     const ByteRange& range, std::uint8_t* Y);

/// Y[m,n] = what sums[m,n] stand for, rounded once.
void rescale_rows(const std::int32_t* sums, std::int64_t rows, const SumScale& scale, float* Y);

}  // namespace bnrun
