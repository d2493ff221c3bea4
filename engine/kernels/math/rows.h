// Sums, extremes and normalisation of rows of numbers.
#pragma once

#include <cmath>
#include <cstdint>

namespace bnrun {

enum class RowSum { plain, absolute, squares };
enum class RowExtreme { least, most };

/// What is done with rows of `count` elements, for the best instruction set of this processor. The bits are the same
/// for every one that has fused multiply-add. An output may be the input `x`.
template <class T>
struct RowKernels {
  /// The sum of d, |d| or d^2, d = x[i] - center, in double: 16 partial sums, to which the elements go in turn.
  double (*sum)(RowSum kind, const T* x, std::int64_t count, double center);
  /// sums[i] += x[i], |x[i]| or x[i]^2
  void (*add)(RowSum kind, const T* x, std::int64_t count, double* sums);
  /// The least or largest element: the first NaN if there is one, an infinity if there is nothing.
  T (*extreme)(RowExtreme kind, const T* x, std::int64_t count);
  /// best[i] = the less or larger of best[i] and x[i]; NaN where one of them is, best[i] where both are.
  void (*extreme_with)(RowExtreme kind, const T* x, std::int64_t count, T* best);
  /// y[i] = (x[i] - mean) * factor * scale[i] + shift[i] in double, rounded once; null: scale 1, shift 0.
  void (*normalise)(const T* x, std::int64_t count, double mean, double factor, const T* scale,
                    const T* shift, T* y);
  /// y[i] = x[i] * scale[i] + shift[i] in double, rounded once.
  void (*map)(const T* x, std::int64_t count, const double* scale, const double* shift, T* y);
  /// y[i] = (x[i] - mean) * scale + shift in double, rounded once.
  void (*scale)(const T* x, std::int64_t count, double mean, double scale, double shift, T* y);
};

/// T is float or double.
template <class T>
const RowKernels<T>& row_kernels();
template <>
const RowKernels<float>& row_kernels();
template <>
const RowKernels<double>& row_kernels();

struct RowStatistics {
  double mean = 0.0;
  double inverse_deviation = 0.0;  ///< 1/sqrt(variance + epsilon), the variance being that of the population
};

/// Of `count` elements; with `centred` = false the mean is taken as 0.
template <class T>
RowStatistics statistics_of(const T* x, std::int64_t count, double epsilon, bool centred) {
  const RowKernels<T>& rows = row_kernels<T>();
  const auto n = static_cast<double>(count);
  const double mean = centred ? rows.sum(RowSum::plain, x, count, 0.0) / n : 0.0;
  const double squares = rows.sum(RowSum::squares, x, count, mean);
  return {mean, 1.0 / std::sqrt(squares / n + epsilon)};
}

}  // namespace bnrun
