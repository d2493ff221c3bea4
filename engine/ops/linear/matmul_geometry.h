// Shapes and batches of matrix products by numpy's rules: MatMul, MatMulInteger, QLinearMatMul.
#pragma once

#include <cstdint>
#include <optional>

#include "base/function_ref.h"
#include "op/op.h"

namespace bnrun {

/// The dimensions of A times B; nullopt while a rank is unknown.
/// Throws invalid_model when the inner dimensions differ.
std::optional<Dims> matmul_dims(const ValueType& A, const ValueType& B);

/// One matrix product of a batch: where its matrices start, in elements.
struct MatrixProduct {
  std::int64_t M, N, K;
  std::int64_t A, B, Y;
};

/// Calls visit for every matrix product of the batch. A vector is a
/// row on the left side and a column on the right side.
void for_each_product(Shape A, Shape B, FunctionRef<void(const MatrixProduct&)> visit);

/// Every element of the output is a sum over the last axis of input 0.
DimProduct matmul_macs(const FoldArgs& args);

}  // namespace bnrun
