// What is true of all elements of a tensor, told on whole vectors: constants may have many.
#pragma once

#include <algorithm>

#include "bnrun/tensor.h"

namespace bnrun {

/// How far the elements of a tensor lie from 0. Without elements, and for types that are not floating-point: no distance.
struct Reach {
  double largest = 0.0;  ///< magnitude, NaN left out
  bool finite = true;    ///< neither infinity nor NaN

  void add(const Reach& other) {
    largest = std::max(largest, other.largest);
    finite = finite && other.finite;
  }
};

Reach reach_of(const TensorView& tensor);

}  // namespace bnrun
