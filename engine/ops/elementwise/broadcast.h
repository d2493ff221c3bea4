// Elementwise operators of two tensors: the shape rule.
// Before opset 7 it was given by attributes `broadcast` and `axis`.
#pragma once

#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {

/// Before opset 7 the second operand was stretched only when `broadcast` = 1, its dimensions aligned at
/// `axis` (default: at the end) of the first.
struct LegacyBroadcast {
  bool enabled = false;
  std::optional<std::int64_t> axis;

  static LegacyBroadcast read(AttributeReader& node);
  /// B with dimensions of 1 appended so that today's rule gives what `axis` asks for.
  TensorView align(const TensorView& B, std::size_t rank_of_A) const;
  Dims align(Dims dims_of_B, std::size_t rank_of_A) const;
};

/// Axes of A op B for a constant B that does not stretch A: where B varies, no slice is made like another.
std::optional<AxisMap> broadcast_axes(const FoldArgs& args, const LegacyBroadcast& legacy = {});

/// Whether each row of what operands are broadcast to comes from a row of those that are no constants: these have all
/// its axes, and constants are alike for all rows.
bool broadcast_keeps_rows(const FoldArgs& args, const LegacyBroadcast& legacy = {});

/// Type of A op B: their common element type and broadcast shape.
ValueType infer_broadcast(const InferArgs& args, const LegacyBroadcast& legacy = {});

/// Operands of one rank broadcast alike wherever their channels lie; constants are moved there.
std::optional<ChannelsLast> broadcast_channels_last(const FoldArgs& args);

}  // namespace bnrun
