// Elementwise operators of two tensors: shape rule, the `broadcast`/`axis` attributes of opsets before 7,
// iteration.
#pragma once

#include "graph/fail.h"
#include "ops/common.h"
#include "ops/op.h"

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

/// Type of A op B: their common element type and broadcast shape.
ValueType infer_broadcast(const InferArgs& args, const LegacyBroadcast& legacy = {});

/// out[i] = f(a[i], b[i]) over the broadcast shape, which is that of `out`.
template <class A, class B, class R, class F>
void broadcast_apply(const TensorView& a, const TensorView& b, const MutableTensorView& out, F f) {
  const A* pa = a.data<A>();
  const B* pb = b.data<B>();
  R* po = out.data<R>();
  const std::int64_t total = out.elements();
  if (total == 0) return;
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

}  // namespace bnrun
