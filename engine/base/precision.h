// What a floating-point type can tell apart.
#pragma once

#include "bnrun/tensor.h"

namespace bnrun {

struct Precision {
  int bits;            ///< significant, the leading one included
  int least_exponent;  ///< of the smallest normal number
  double largest;      ///< finite number
};

/// Of a floating-point type; float32's for any other.
Precision precision_of(DType dtype);

/// The largest relative error of rounding to the type.
double unit_roundoff(DType dtype);

/// Distance between neighbouring numbers of the type around `value`.
double ulp(double value, DType dtype);

}  // namespace bnrun
