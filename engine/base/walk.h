// Walks over the elements of tensors by strides, and of tensors stretched to a common shape.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "bnrun/tensor.h"

namespace bnrun {

/// Strides (in elements) to read a tensor of `shape` as if it had been broadcast to
/// `target`: 0 on axes that are stretched. REQUIRES: `shape` broadcasts to `target`.
Shape broadcast_strides(const Shape& shape, const Shape& target);
/// Row-major strides in elements.
Shape strides_of(const Shape& shape);

/// N tensors broadcast to one shape, walked in runs along the last axis. Axes that all of them cross alike are one,
/// those of extent 1 are left out; along a run an operand's step is 1, or 0 where it is stretched.
template <std::size_t N>
class BroadcastRuns {
 public:
  /// REQUIRES: each of `shapes` broadcasts to `target`.
  BroadcastRuns(const std::array<Shape, N>& shapes, const Shape& target) {
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
    if (extents_.rank() > 0) return;
    extents_.push_back(1);
    for (Shape& list : strides_) list.push_back(0);
  }

  std::int64_t run() const { return extents_.back(); }  ///< elements of one run
  std::int64_t step(std::size_t k) const { return strides_[k].back(); }

  /// visit(first, at): a run of the result from element `first` on, read in operand k from element at[k] on.
  template <class Visit>
  void visit(Visit visit) const {
    const std::int64_t total = extents_.elements();
    std::array<std::int64_t, N> at{};
    Shape index = Shape::filled(extents_.rank(), 0);
    for (std::int64_t first = 0; first < total; first += run()) {
      visit(first, at);
      for (std::size_t axis = extents_.rank() - 1; axis-- > 0;) {
        const bool carries = ++index[axis] == extents_[axis];
        for (std::size_t k = 0; k < N; ++k) at[k] += strides_[k][axis] * (carries ? 1 - extents_[axis] : 1);
        if (!carries) break;
        index[axis] = 0;
      }
    }
  }

 private:
  Shape extents_;
  std::array<Shape, N> strides_;
};

/// Calls f(step_a, step_b) with steps of 0 or 1 as constants, so that the loops in it become vectors.
template <class F>
void with_constant_steps(std::int64_t step_a, std::int64_t step_b, F f) {
  using Zero = std::integral_constant<std::int64_t, 0>;
  using One = std::integral_constant<std::int64_t, 1>;
  if (step_a != 0 && step_b != 0) return f(One(), One());
  if (step_a != 0) return f(One(), Zero());
  if (step_b != 0) return f(Zero(), One());
  f(Zero(), Zero());
}

/// out[i] = f(a[i], b[i]) over the broadcast shape, which is that of `out`; `out` may be an operand of its shape.
template <class A, class B, class R, class F>
void broadcast_apply(const TensorView& a, const TensorView& b, const MutableTensorView& out, F f) {
  const BroadcastRuns<2> runs({a.shape, b.shape}, out.shape);
  with_constant_steps(runs.step(0), runs.step(1), [&](auto step_a, auto step_b) {
    runs.visit([&](std::int64_t first, const std::array<std::int64_t, 2>& at) {
      const A* pa = a.data<A>() + at[0];
      const B* pb = b.data<B>() + at[1];
      R* po = out.data<R>() + first;
      for (std::int64_t i = 0; i < runs.run(); ++i) po[i] = f(pa[i * step_a], pb[i * step_b]);
    });
  });
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

}  // namespace bnrun
