// ConvTranspose with channels last, on the kernels of convolutions.
#pragma once

#include <functional>
#include <memory>

#include "kernels/conv/window.h"
#include "op/op.h"

namespace bnrun {

/// The axis of the convolution whose adjoint it is, for axis `i` of an input of that extent: its input is Y, its output X.
using AdjointAxis = std::function<WindowAxis(std::size_t i, std::int64_t extent)>;

/// Y[n,o,m] = B[m] + the sum over i, k with o = i*stride - pad + k of X[n,i,c] * W[c,m,k]: X[N,D1,...,C], the weights
/// W[C,M/group,...] in float32 or float64. All taps lie next to each other, and no fewer than a stride; B may be null. The
/// extents D1, ... choose how it is computed, and with it how it rounds, as
/// far as they are known.
std::shared_ptr<const Op> make_channels_last_transpose(const Tensor& W, const Tensor* B, std::int64_t group,
                                                       const Shape& strides, const Dims& extents,
                                                       const AdjointAxis& axis);

}  // namespace bnrun
