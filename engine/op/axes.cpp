#include "op/axes.h"

#include <utility>

namespace bnrun {

AxisMap AxisMap::identity(std::size_t rank) {
  return leading(rank, rank);
}

AxisMap AxisMap::leading(std::size_t count, std::size_t rank) {
  AxisMap map;
  map.from.resize(rank);
  for (std::size_t axis = 0; axis < count && axis < rank; ++axis) map.from[axis] = axis;
  return map;
}

AxisMap AxisMap::without(std::size_t axis) && {
  if (axis < from.size()) from[axis] = std::nullopt;
  return std::move(*this);
}

std::optional<ChannelAffine> carried(const ChannelAffine& affine, Side from, const AxisMap& axes) {
  if (affine.uniform()) return affine;
  ChannelAffine result = affine;
  const auto axis = static_cast<std::size_t>(affine.axis);
  for (std::size_t out = 0; out < axes.from.size(); ++out) {
    const auto in = axes.from[out];
    if (!in || (from == Side::input ? *in : out) != axis) continue;
    result.axis = static_cast<int>(from == Side::input ? out : *in);
    return result;
  }
  if (affine.channels() != 1) return std::nullopt;
  result.axis = ChannelAffine::kUniform;  // an axis of extent 1 that comes or goes
  return result;
}

}  // namespace bnrun
