// A constant operand as a per-channel affine map.
#pragma once

#include <functional>
#include <utility>

#include "ops/op.h"

namespace bnrun {

/// The map (scale, shift) = of(c) of each element c of `constant`, when the broadcast rule proves on which
/// axis of the data input the constant lies. Declines with `axis_unproven` when the data's rank or channel
/// count is unknown or more than one axis varies, `shape_would_change` when the constant would stretch the
/// data.
OrDeclined<AffineForm> affine_of_constant(const Tensor& constant, const ValueType& data,
                                          const std::function<std::pair<double, double>(double)>& of,
                                          std::size_t data_input);

}  // namespace bnrun
