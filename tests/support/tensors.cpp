#include "support/tensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/elements.h"

namespace bnrun::testing {
namespace {

double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::float64:
      return 1e-12;
    case DType::float16:
      return 2e-3;
    case DType::bfloat16:
      return 2e-2;
    default:
      return 1e-5;
  }
}

}  // namespace

Tensor tensor_of(DType dtype, const Shape& shape, const std::vector<double>& values) {
  return convert(Tensor(shape, values), dtype);
}

Tensor random_tensor(DType dtype, const Shape& shape, std::uint32_t seed, double low, double high) {
  std::mt19937 engine(seed);
  Tensor values(DType::float64, shape);
  for (double& value : values.mutable_span<double>())
    value = low + (high - low) * static_cast<double>(engine()) * 0x1p-32;
  return convert(values, dtype);
}

void expect_close(const TensorView& actual, const TensorView& expected, double rtol, double atol) {
  ASSERT_EQ(name_of(actual.dtype), name_of(expected.dtype));
  ASSERT_EQ(to_string(actual.shape), to_string(expected.shape));
  if (!is_floating(actual.dtype)) {
    EXPECT_TRUE(identical(actual, expected)) << "elements differ";
    return;
  }
  if (rtol < 0.0) rtol = tolerance_of(actual.dtype);
  if (atol < 0.0) atol = tolerance_of(actual.dtype);
  const auto a = read_doubles(actual);
  const auto e = read_doubles(expected);
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(e[i]) || std::isinf(e[i])) {
      EXPECT_TRUE(std::isnan(e[i]) ? std::isnan(a[i]) : a[i] == e[i])
          << "element " << i << ": " << a[i] << " instead of " << e[i];
    } else {
      // written so that a NaN in `a` fails
      EXPECT_TRUE(std::abs(a[i] - e[i]) <= atol + rtol * std::abs(e[i]))
          << "element " << i << ": " << a[i] << " instead of " << e[i];
    }
  }
}

}  // namespace bnrun::testing
