// Walks over the elements of tensors by strides, and of tensors stretched to a common shape.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bnrun/tensor.h"

namespace bnrun {

/// Strides (in elements) to read a tensor of `shape` as if it had been broadcast to
/// `target`: 0 on axes that are stretched. REQUIRES: `shape` broadcasts to `target`.
Shape broadcast_strides(const Shape& shape, const Shape& target);
/// Row-major strides in elements.
Shape strides_of(const Shape& shape);

/// out[i] = f(a[i], b[i]) over the broadcast shape, which is that of `out`.
template <class A, class B, class R, class F>
void broadcast_apply(const TensorView& a, const TensorView& b, const MutableTensorView& out, F f) {
  const A* pa = a.data<A>();
  const B* pb = b.data<B>();
  R* po = out.data<R>();
  const std::int64_t total = out.elements();
  if (total == 0) return;
  if (a.shape == out.shape && b.shape == out.shape) {
    for (std::int64_t i = 0; i < total; ++i) po[i] = f(pa[i], pb[i]);
    return;
  }
  const Shape sa = broadcast_strides(a.shape, out.shape);
  const Shape sb = broadcast_strides(b.shape, out.shape);
  const std::size_t rank = out.shape.rank();
  const std::int64_t inner = rank == 0 ? 1 : out.shape.back();
  const std::int64_t step_a = rank == 0 ? 0 : sa.back();
  const std::int64_t step_b = rank == 0 ? 0 : sb.back();
  Shape index = Shape::filled(rank, 0);
  std::int64_t at_a = 0;
  std::int64_t at_b = 0;
  for (std::int64_t done = 0; done < total; done += inner) {
    for (std::int64_t i = 0; i < inner; ++i) po[done + i] = f(pa[at_a + i * step_a], pb[at_b + i * step_b]);
    for (std::size_t axis = rank > 0 ? rank - 1 : 0; axis-- > 0;) {
      at_a += sa[axis];
      at_b += sb[axis];
      if (++index[axis] < out.shape[axis]) break;
      at_a -= sa[axis] * out.shape[axis];
      at_b -= sb[axis] * out.shape[axis];
      index[axis] = 0;
    }
  }
}

/// visit(i, offsets) for each element i of `extents` in row-major order, where offsets[k] is the sum of
/// index times strides[k] over the axes.
template <class Visit>
void strided_walk(std::span<const Shape> strides, const Shape& extents, Visit visit) {
  std::vector<std::int64_t> offsets(strides.size(), 0);
  Shape index = Shape::filled(extents.rank(), 0);
  const std::int64_t total = extents.elements();
  for (std::int64_t i = 0; i < total; ++i) {
    visit(i, std::span<const std::int64_t>(offsets));
    for (std::size_t axis = extents.rank(); axis-- > 0;) {
      const bool carries = ++index[axis] == extents[axis];
      for (std::size_t k = 0; k < strides.size(); ++k) {
        offsets[k] += strides[k][axis] * (carries ? 1 - extents[axis] : 1);
      }
      if (!carries) break;
      index[axis] = 0;
    }
  }
}

/// The same for tensors broadcast to `target`: offsets[k] is where the one of shapes[k] is read.
template <class Visit>
void broadcast_walk(std::span<const Shape> shapes, const Shape& target, Visit visit) {
  std::vector<Shape> strides;
  for (const Shape& shape : shapes) strides.push_back(broadcast_strides(shape, target));
  strided_walk(strides, target, visit);
}

}  // namespace bnrun
