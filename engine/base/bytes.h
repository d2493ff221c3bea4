// 8-bit integers, signed or not, as bytes.
#pragma once

#include <cstdint>

#include "bnrun/tensor.h"

namespace bnrun {

inline bool is_byte(DType dtype) {
  return dtype == DType::int8 || dtype == DType::uint8;
}

/// The elements of an 8-bit tensor. REQUIRES: is_byte.
inline const std::uint8_t* bytes_of(const TensorView& tensor) {
  return tensor.dtype == DType::int8 ? reinterpret_cast<const std::uint8_t*>(tensor.data<std::int8_t>())
                                     : tensor.data<std::uint8_t>();
}
inline std::uint8_t* bytes_of(const MutableTensorView& tensor) {
  return tensor.dtype == DType::int8 ? reinterpret_cast<std::uint8_t*>(tensor.data<std::int8_t>())
                                     : tensor.data<std::uint8_t>();
}

}  // namespace bnrun
