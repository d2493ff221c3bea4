#include "ops/elementwise/broadcast.h"

#include "op/layout.h"

namespace bnrun {

LegacyBroadcast LegacyBroadcast::read(AttributeReader& node) {
  LegacyBroadcast legacy;
  if (node.version() >= 7) return legacy;
  legacy.enabled = node.get_bool("broadcast", false);
  if (node.has("axis")) legacy.axis = node.get_int("axis", 0);
  return legacy;
}

TensorView LegacyBroadcast::align(const TensorView& B, std::size_t rank_of_A) const {
  if (!enabled || !axis) return B;
  TensorView aligned = B;
  const std::size_t first = normalize_axis(*axis, rank_of_A);
  while (aligned.shape.rank() + first < rank_of_A) aligned.shape.push_back(1);
  return aligned;
}

Dims LegacyBroadcast::align(Dims dims, std::size_t rank_of_A) const {
  if (!enabled || !axis) return dims;
  const std::size_t first = normalize_axis(*axis, rank_of_A);
  while (dims.size() + first < rank_of_A) dims.push_back(Dim(1));
  return dims;
}

std::optional<AxisMap> broadcast_axes(const FoldArgs& args, const LegacyBroadcast& legacy) {
  const ValueType& A = args.inputs[0];
  const Tensor* B = args.constant(1);
  if (B == nullptr || !A.ranked() || legacy.enabled || B->shape().rank() > A.rank()) return std::nullopt;
  AxisMap map = AxisMap::identity(A.rank());
  for (std::size_t i = 0; i < B->shape().rank(); ++i) {
    if (B->shape()[i] != 1) map.from[A.rank() - B->shape().rank() + i] = std::nullopt;
  }
  return map;
}

bool broadcast_keeps_rows(const FoldArgs& args, const LegacyBroadcast& legacy) {
  if (!args.outputs[0].ranked() || args.outputs[0].rank() == 0 || legacy.enabled) return false;
  const std::size_t rank = args.outputs[0].rank();
  bool any_rows = false;
  for (std::size_t i = 0; i < args.inputs.size(); ++i) {
    const ValueType& input = args.inputs[i];
    const Tensor* constant = args.constant(i);
    const bool alike = constant != nullptr && (constant->shape().rank() < rank || constant->shape()[0] == 1);
    const bool has_rows = constant == nullptr && input.ranked() && input.rank() == rank;
    if (!alike && !has_rows) return false;
    any_rows = any_rows || has_rows;
  }
  return any_rows;
}

std::optional<ChannelsLast> broadcast_channels_last(const FoldArgs& args) {
  if (!args.outputs[0].ranked()) return std::nullopt;
  const std::size_t rank = args.outputs[0].rank();
  ChannelsLast form;
  for (std::size_t i = 0; i < args.inputs.size(); ++i) {
    if (const Tensor* constant = args.constant(i))
      form.constants.emplace_back(i, with_channels_last(*constant, rank));
    else if (!args.inputs[i].ranked() || args.inputs[i].rank() != rank)
      return std::nullopt;
  }
  return form;
}

ValueType infer_broadcast(const InferArgs& args, const LegacyBroadcast& legacy) {
  const ValueType& a = args.inputs[0];
  const ValueType& b = args.inputs[1];
  if (a.dtype != b.dtype) {
    fail(ErrorCode::invalid_model, "its operands have different element types, {} and {}", name_of(a.dtype),
         name_of(b.dtype));
  }
  ValueType type{a.dtype, std::nullopt};
  if (a.ranked() && b.ranked()) {
    const Dims dims[] = {*a.dims, legacy.align(*b.dims, a.rank())};
    type.dims = broadcast_dims(dims);
  }
  return type;
}

}  // namespace bnrun
