// Det: determinants of X[..., M, M], by elimination with row pivots in double.
#include <cmath>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

/// Destroys A[M,M].
double determinant(std::span<double> A, std::size_t M) {
  double det = 1.0;
  for (std::size_t k = 0; k < M; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < M; ++i) {
      if (std::abs(A[i * M + k]) > std::abs(A[pivot * M + k])) pivot = i;
    }
    if (pivot != k) {
      for (std::size_t j = k; j < M; ++j) std::swap(A[k * M + j], A[pivot * M + j]);
      det = -det;
    }
    det *= A[k * M + k];
    if (A[k * M + k] == 0.0) return det;
    for (std::size_t i = k + 1; i < M; ++i) {
      const double factor = A[i * M + k] / A[k * M + k];
      for (std::size_t j = k + 1; j < M; ++j) A[i * M + j] -= factor * A[k * M + j];
    }
  }
  return det;
}

class Det final : public Op {
 public:
  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type{args.inputs[0].dtype, args.inputs[0].dims};
    if (!type.ranked()) return {type};
    Dims& dims = *type.dims;
    const bool square = dims.size() >= 2 && !(dims.back().known() && dims[dims.size() - 2].known() &&
                                              !(dims.back() == dims[dims.size() - 2]));
    if (!square) fail(ErrorCode::invalid_model, "X {} is no square matrix", to_string(args.inputs[0]));
    dims.resize(dims.size() - 2);
    return {type};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const auto M = static_cast<std::size_t>(X.shape.back());
    dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
      const T* x = X.data<T>();
      TemporaryVector<double> matrix(M * M);
      for (T& y : args.out(0).span<T>()) {
        for (double& a : matrix) a = static_cast<double>(static_cast<ComputeType<T>>(*x++));
        y = T(static_cast<ComputeType<T>>(determinant(matrix, M)));
      }
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!X.ranked() || X.rank() < 2) return std::nullopt;
    return AxisMap::identity(X.rank() - 2);
  }
};

}  // namespace

std::unique_ptr<const Op> make_det(AttributeReader& node) {
  check_inputs(node, 1, 1);
  return std::make_unique<Det>();
}

}  // namespace bnrun
