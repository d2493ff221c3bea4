// Tensors in tests: made by value or at random, and compared.
#pragma once

#include <cstdint>
#include <vector>

#include "bnrun/tensor.h"

namespace bnrun::testing {

/// Elements in row-major order; Half and BFloat16 through `tensor_of`.
template <class T>
Tensor tensor(const Shape& shape, const std::vector<T>& values) {
  return Tensor(shape, values);
}
/// The same values, given as double, in any numeric element type.
Tensor tensor_of(DType dtype, const Shape& shape, const std::vector<double>& values);

/// Elements uniform in [low, high), the same on every machine for one seed.
Tensor random_tensor(DType dtype, const Shape& shape, std::uint32_t seed, double low = -1.0,
                     double high = 1.0);
template <class T = float>
Tensor random_tensor(const Shape& shape, std::uint32_t seed, double low = -1.0, double high = 1.0) {
  return random_tensor(dtype_of<T>, shape, seed, low, high);
}

/// Same type and shape, and |actual - expected| <= atol + rtol*|expected| for each element; NaN equals NaN,
/// an infinity only itself. Integers, booleans and strings exactly. Negative tolerances: what the element
/// type allows (1e-5 for float, 1e-12 for double, 2e-3 for fp16, 2e-2 for bf16).
void expect_close(const TensorView& actual, const TensorView& expected, double rtol = -1.0,
                  double atol = -1.0);

}  // namespace bnrun::testing
