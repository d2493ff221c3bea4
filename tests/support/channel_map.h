// A per-channel affine map applied to a tensor, as fold tests need it on both sides of an operator.
#pragma once

#include "affine/channel_affine.h"
#include "bnrun/tensor.h"

namespace bnrun::testing {

/// The map on every element of X, a float64 tensor with its channels on axis 1.
inline Tensor applied(const ChannelAffine& map, Tensor X) {
  const std::int64_t inner = X.shape().elements(2, X.shape().rank());
  double* x = X.mutable_data<double>();
  for (std::int64_t i = 0; i < X.elements(); ++i) {
    const auto c = map.uniform() ? 0 : static_cast<std::size_t>(i / inner % X.shape()[1]);
    x[i] = map.scale[c] * x[i] + map.shift[c];
  }
  return X;
}

}  // namespace bnrun::testing
