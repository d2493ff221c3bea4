// What is true of all elements of a tensor, told on whole vectors: constants may have many.
#pragma once

#include "bnrun/tensor.h"

namespace bnrun {

/// Neither infinity nor NaN; true for types that are not floating-point.
bool all_finite(const TensorView& tensor);

/// The largest magnitude, NaN left out; 0 without elements and for types that are not floating-point.
double largest_magnitude(const TensorView& tensor);

}  // namespace bnrun
