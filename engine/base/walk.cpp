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

template <std::size_t N>
BroadcastRuns<N>::BroadcastRuns(const std::array<Shape, N>& shapes, const Shape& target) {
  std::array<Shape, N> strides;
  for (std::size_t k = 0; k < N; ++k) strides[k] = broadcast_strides(shapes[k], target);
  for (std::size_t axis = 0; axis < target.rank(); ++axis) {
    const std::int64_t extent = target[axis];
    if (extent == 1) continue;
    bool merges = extents_.rank() > 0;
    for (std::size_t k = 0; k < N && merges; ++k) merges = strides_[k].back() == strides[k][axis] * extent;
    if (!merges) extents_.push_back(1);
    const std::size_t last = extents_.rank() - 1;
    extents_[last] *= extent;
    for (std::size_t k = 0; k < N; ++k) {
      if (!merges) strides_[k].push_back(0);
      strides_[k][last] = strides[k][axis];
    }
  }
  if (extents_.rank() == 0) {
    extents_.push_back(1);
    for (Shape& list : strides_) list.push_back(0);
  }
  total_ = extents_.elements();
  first_ = -run();
  index_ = Shape::filled(extents_.rank(), 0);
}

template <std::size_t N>
bool BroadcastRuns<N>::next() {
  first_ += run();
  if (first_ >= total_ || first_ == 0) return first_ < total_;
  for (std::size_t axis = extents_.rank() - 1; axis-- > 0;) {
    const bool carries = ++index_[axis] == extents_[axis];
    for (std::size_t k = 0; k < N; ++k) at_[k] += strides_[k][axis] * (carries ? 1 - extents_[axis] : 1);
    if (!carries) break;
    index_[axis] = 0;
  }
  return true;
}

template class BroadcastRuns<2>;
template class BroadcastRuns<3>;

}  // namespace bnrun
