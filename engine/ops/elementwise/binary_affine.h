// Affine maps and arithmetic under broadcasting: a constant operand as a map, and maps that pass a sum.
#pragma once

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "op/op.h"

namespace bnrun {

/// The map with (scale, shift) = of(c) for each element c of `constant`, on the axis of the data
/// input to which broadcasting aligns the constant. Declines with `axis_unproven` when the
/// data's rank or channel count is unknown or the constant varies along several axes, and with
/// `shape_would_change` when broadcasting would enlarge the data.
OrDeclined<AffineForm> affine_of_constant(const Tensor& constant, const ValueType& data,
                                          const std::function<std::pair<double, double>(double)>& of,
                                          std::size_t data_input);

/// Whether a per-channel map of a result under broadcasting means the same channels in each operand: all have
/// the result's rank and the map's extent on its axis.
bool has_channels_of(const ChannelAffine& map, std::span<const ValueType> operands, const ValueType& result);

/// Op::pass_affines of y = sum_i weights[i] * x_i. From the output: s*y + t is the sum over s*x_i, of which
/// the first (or, as args say, the last) takes t. From the inputs: all of them have to carry the same scale.
OrDeclined<std::vector<ChannelAffine>> pass_sum(Side from, std::span<const ChannelAffine> maps,
                                                std::span<const double> weights, const FoldArgs& args);

/// Op::pass_affines of y = x_0 * x_1, or with `divides` x_0 / x_1, for scales without a shift. From the output:
/// the first factor (or, as args say, the last) takes it. From the inputs: the scales of both are multiplied.
OrDeclined<std::vector<ChannelAffine>> pass_product(Side from, std::span<const ChannelAffine> maps,
                                                    bool divides, const FoldArgs& args);

}  // namespace bnrun
