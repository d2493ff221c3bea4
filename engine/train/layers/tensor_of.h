// Weights as tensors.
#pragma once

#include "bnrun/tensor.h"

namespace bnrun::train {

template <class T>
Tensor tensor_of(const Shape& shape, const T* values) {
  return Tensor::copy_of({dtype_of<T>, shape, values});
}

}  // namespace bnrun::train
