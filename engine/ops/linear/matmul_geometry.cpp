#include "ops/linear/matmul_geometry.h"

#include <algorithm>

#include "base/fail.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

template <class T>
T without_matrix(const T& dims) {
  return T(dims.begin(), dims.end() - static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, dims.size())));
}

}  // namespace

std::optional<Dims> matmul_dims(const ValueType& A, const ValueType& B) {
  if (!A.ranked() || !B.ranked()) return std::nullopt;
  if (A.rank() == 0 || B.rank() == 0)
    fail(ErrorCode::invalid_model, "a scalar cannot be multiplied as a matrix");
  const Dim& k_of_A = A.dims->back();
  const Dim& k_of_B = (*B.dims)[B.rank() == 1 ? 0 : B.rank() - 2];
  if (k_of_A.known() && k_of_B.known() && !(k_of_A == k_of_B)) {
    fail(ErrorCode::invalid_model, "inner dimensions differ: {} times {}", to_string(A), to_string(B));
  }
  const Dims batches[] = {without_matrix(*A.dims), without_matrix(*B.dims)};
  Dims dims = broadcast_dims(batches);
  if (A.rank() > 1) dims.push_back((*A.dims)[A.rank() - 2]);
  if (B.rank() > 1) dims.push_back(B.dims->back());
  return dims;
}

void for_each_product(Shape A, Shape B, FunctionRef<void(const MatrixProduct&)> visit) {
  if (A.rank() == 1) A.insert(0, 1);
  if (B.rank() == 1) B.push_back(1);
  const std::int64_t M = A[A.rank() - 2];
  const std::int64_t K = A.back();
  const std::int64_t N = B.back();
  const Shape batch_A(std::span(A.begin(), A.end() - 2));
  const Shape batch_B(std::span(B.begin(), B.end() - 2));
  const Shape batch = broadcast_shape(batch_A, batch_B);
  const Shape step_A = broadcast_strides(batch_A, batch);
  const Shape step_B = broadcast_strides(batch_B, batch);
  Shape index = Shape::filled(batch.rank(), 0);
  for (std::int64_t i = 0; i < batch.elements(); ++i) {
    std::int64_t at_A = 0;
    std::int64_t at_B = 0;
    for (std::size_t axis = 0; axis < batch.rank(); ++axis) {
      at_A += index[axis] * step_A[axis];
      at_B += index[axis] * step_B[axis];
    }
    visit({M, N, K, at_A * M * K, at_B * K * N, i * M * N});
    for (std::size_t axis = batch.rank(); axis-- > 0;) {
      if (++index[axis] < batch[axis]) break;
      index[axis] = 0;
    }
  }
}

DimProduct matmul_macs(const FoldArgs& args) {
  DimProduct macs = DimProduct::of(args.outputs[0]);
  const ValueType& A = args.inputs[0];
  return macs *= A.ranked() && A.rank() > 0 ? A.dims->back() : Dim();
}

}  // namespace bnrun
