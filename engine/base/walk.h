// Walks over the elements of tensors by strides, and of tensors stretched to a common shape.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/temporary.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// Strides (in elements) to read a tensor of `shape` as if it had been broadcast to
/// `target`: 0 on axes that are stretched. REQUIRES: `shape` broadcasts to `target`.
Shape broadcast_strides(const Shape& shape, const Shape& target);
/// Row-major strides in elements.
Shape strides_of(const Shape& shape);

/// N tensors, 2 or 3, broadcast to one shape, walked in runs along the last axis: while (runs.next()) ... Axes that all of
/// them cross alike are one, those of extent 1 are left out; along a run an operand's step is 1, or 0 where it is stretched.
template <std::size_t N>
class BroadcastRuns {
 public:
  /// REQUIRES: each of `shapes` broadcasts to `target`.
  BroadcastRuns(const std::array<Shape, N>& shapes, const Shape& target);

  std::int64_t run() const { return extents_.back(); }  ///< elements of one run
  std::int64_t step(std::size_t k) const { return strides_[k].back(); }

  /// Goes to the first run, then to the next one; false when there is none.
  bool next();
  std::int64_t first() const { return first_; }            ///< element of the result that the run begins with
  std::int64_t at(std::size_t k) const { return at_[k]; }  ///< element of operand k that it begins with

 private:
  Shape extents_;
  std::array<Shape, N> strides_;
  std::int64_t total_ = 0;
  std::int64_t first_ = 0;
  std::array<std::int64_t, N> at_{};
  Shape index_;
};

extern template class BroadcastRuns<2>;
extern template class BroadcastRuns<3>;

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
  BroadcastRuns<2> runs({a.shape, b.shape}, out.shape);
  const A* const all_a = a.data<A>();
  const B* const all_b = b.data<B>();
  R* const all_out = out.data<R>();
  const std::int64_t count = runs.run();
  with_constant_steps(runs.step(0), runs.step(1), [&](auto step_a, auto step_b) {
    while (runs.next()) {
      const A* pa = all_a + runs.at(0);
      const B* pb = all_b + runs.at(1);
      R* po = all_out + runs.first();
      for (std::int64_t i = 0; i < count; ++i) po[i] = f(pa[i * step_a], pb[i * step_b]);
    }
  });
}

/// visit(i, offsets) for each element i of `extents` in row-major order, where offsets[k] is the sum of
/// index times strides[k] over the axes.
template <class Visit>
void strided_walk(std::span<const Shape> strides, const Shape& extents, Visit visit) {
  TemporaryVector<std::int64_t> offsets(strides.size(), 0);
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
