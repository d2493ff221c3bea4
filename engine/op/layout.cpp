#include "op/layout.h"

#include <utility>

#include "base/strided_copy.h"
#include "op/op.h"

namespace bnrun {

std::size_t axis_with_channels_last(std::size_t axis, std::size_t rank) {
  if (rank < 3 || axis == 0) return axis;
  return axis == 1 ? rank - 1 : axis - 1;
}

Dims with_channels_last(const Dims& dims) {
  Dims moved(dims.size());
  for (std::size_t i = 0; i < dims.size(); ++i) moved[axis_with_channels_last(i, dims.size())] = dims[i];
  return moved;
}

ValueType with_channels_last(const ValueType& type) {
  ValueType moved{type.dtype, type.dims};
  if (type.ranked()) moved.dims = with_channels_last(*type.dims);
  return moved;
}

Tensor with_channels_last(const Tensor& tensor, std::size_t rank) {
  Shape shape = tensor.shape();
  while (shape.rank() < rank) shape.insert(0, 1);
  Shape moved = shape;
  for (std::size_t i = 0; i < rank; ++i) moved[axis_with_channels_last(i, rank)] = shape[i];
  Tensor result(tensor.dtype(), moved);
  const Walk order = walk_of(moved);
  Walk to = order;
  for (std::size_t i = 0; i < rank; ++i) to.strides[i] = order.strides[axis_with_channels_last(i, rank)];
  copy_strided(tensor.view(), walk_of(shape), result.mutable_view(), to, shape);
  return result;
}

std::optional<ChannelsLast> Op::channels_last(const FoldArgs& args) const {
  const auto map = axes(args);
  if (!map || args.outputs.size() != 1 || !args.inputs[0].ranked()) return std::nullopt;
  if (map->from != AxisMap::identity(args.inputs[0].rank()).from) return std::nullopt;
  for (std::size_t i = 1; i < args.inputs.size(); ++i) {
    if (args.present(i) && (args.constant(i) == nullptr || args.constant(i)->shape().elements() != 1))
      return std::nullopt;
  }
  return ChannelsLast{};
}

}  // namespace bnrun
