// Softmax and LogSoftmax along the middle of three axes.
#pragma once

#include <cstdint>

namespace bnrun {

enum class SoftmaxResult { probabilities, logarithms };

/// y[o,j,i] = exp(x[o,j,i] - m) / sum_j exp(x[o,j,i] - m), or the logarithm of it, m = max_j x[o,j,i]; x and
/// y are [outer, extent, inner], row-major, and may be the same. A row with NaN or +inf, or of nothing but
/// -inf, is a row of NaN. Numerators that would be denormal are 0. The sums are blocked in one way on every
/// vector width, so that a row's bits depend on nothing but the row (up to processors without fused
/// multiply-add). A probability is within 4 ULP for up to 256 elements and then within the error of sums of
/// 256.
template <class T>
void softmax(SoftmaxResult result, const T* x, std::int64_t outer, std::int64_t extent, std::int64_t inner,
             T* y);

template <>
void softmax(SoftmaxResult, const float*, std::int64_t, std::int64_t, std::int64_t, float*);
template <>
void softmax(SoftmaxResult, const double*, std::int64_t, std::int64_t, std::int64_t, double*);

}  // namespace bnrun
