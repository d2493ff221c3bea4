#include "base/precision.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bnrun {

Precision precision_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return {11, -14, 65504.0};
    case DType::bfloat16:
      return {8, -126, 0x1.FEp127};
    case DType::float64:
      return {53, -1022, std::numeric_limits<double>::max()};
    default:
      return {24, -126, static_cast<double>(std::numeric_limits<float>::max())};
  }
}

double unit_roundoff(DType dtype) {
  return std::ldexp(1.0, -precision_of(dtype).bits);
}

double ulp(double value, DType dtype) {
  const Precision precision = precision_of(dtype);
  const int exponent = value == 0.0 || !std::isfinite(value)
                           ? precision.least_exponent
                           : std::max(std::ilogb(value), precision.least_exponent);
  return std::ldexp(1.0, exponent - precision.bits + 1);
}

}  // namespace bnrun
