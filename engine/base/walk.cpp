#include "base/walk.h"

namespace bnrun {

Shape strides_of(const Shape& shape) {
  Shape strides = shape;
  std::int64_t stride = 1;
  for (std::size_t i = shape.rank(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

Shape broadcast_strides(const Shape& shape, const Shape& target) {
  const Shape own = strides_of(shape);
  Shape strides = Shape::filled(target.rank(), 0);
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1) strides[target.rank() - shape.rank() + i] = own[i];
  }
  return strides;
}

}  // namespace bnrun
