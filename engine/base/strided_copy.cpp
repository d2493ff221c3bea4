#include "base/strided_copy.h"

#include <algorithm>

#include "base/walk.h"

namespace bnrun {
namespace {

/// Axes that both walks cross without a gap become one.
struct Course {
  Shape extents;
  Shape from;
  Shape to;

  Course(const Shape& all, const Shape& from_strides, const Shape& to_strides) {
    for (std::size_t axis = 0; axis < all.rank(); ++axis) {
      const std::int64_t extent = all[axis];
      if (extent == 1) continue;
      const std::size_t last = extents.rank() - 1;
      if (extents.rank() > 0 && from[last] == from_strides[axis] * extent &&
          to[last] == to_strides[axis] * extent) {
        extents[last] *= extent;
        from[last] = from_strides[axis];
        to[last] = to_strides[axis];
      } else {
        extents.push_back(extent);
        from.push_back(from_strides[axis]);
        to.push_back(to_strides[axis]);
      }
    }
    if (extents.rank() == 0) {
      extents.push_back(1);
      from.push_back(1);
      to.push_back(1);
    }
  }
};

}  // namespace

Walk walk_of(const Shape& shape) {
  return {strides_of(shape)};
}

void copy_strided(const TensorView& from, const Walk& from_walk, const MutableTensorView& to,
                  const Walk& to_walk, const Shape& extents) {
  const std::int64_t total = extents.elements();
  if (total == 0) return;
  const Course course(extents, from_walk.strides, to_walk.strides);
  const std::size_t outer_axes = course.extents.rank() - 1;
  const std::int64_t inner = course.extents.back();
  const std::int64_t step_from = course.from.back();
  const std::int64_t step_to = course.to.back();
  dispatch_moved(to.dtype, [&]<class T>() {
    const T* source = moved<T>(from) + from_walk.start;
    T* target = moved<T>(to) + to_walk.start;
    Shape index = Shape::filled(outer_axes, 0);
    for (std::int64_t done = 0; done < total; done += inner) {
      if (step_from == 1 && step_to == 1) {
        std::copy_n(source, inner, target);
      } else {
        for (std::int64_t i = 0; i < inner; ++i) target[i * step_to] = source[i * step_from];
      }
      for (std::size_t axis = outer_axes; axis-- > 0;) {
        source += course.from[axis];
        target += course.to[axis];
        if (++index[axis] < course.extents[axis]) break;
        source -= course.from[axis] * course.extents[axis];
        target -= course.to[axis] * course.extents[axis];
        index[axis] = 0;
      }
    }
  });
}

void copy_elements(const TensorView& from, const MutableTensorView& to) {
  dispatch_moved(to.dtype, [&]<class T>() { std::copy_n(moved<T>(from), to.elements(), moved<T>(to)); });
}

void fill(const MutableTensorView& to, const TensorView& value) {
  dispatch_moved(to.dtype, [&]<class T>() { std::fill_n(moved<T>(to), to.elements(), *moved<T>(value)); });
}

}  // namespace bnrun
