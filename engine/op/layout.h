// Channels-last layouts: X[N,C,D1,...] as X[N,D1,...,C].
#pragma once

#include <cstddef>

#include "bnrun/tensor.h"
#include "op/value_type.h"

namespace bnrun {

/// Where axis `axis` of X[N,C,D1,...] lies when the channels are last.
std::size_t axis_with_channels_last(std::size_t axis, std::size_t rank);
/// The same extents in that order; ranks below 3 stay as they are.
Dims with_channels_last(const Dims& dims);
ValueType with_channels_last(const ValueType& type);
/// The elements in that order. A tensor of a lower rank than `rank` is one of that rank with leading ones.
Tensor with_channels_last(const Tensor& tensor, std::size_t rank);

}  // namespace bnrun
