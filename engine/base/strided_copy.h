// Elements of any type moved from one place to another, in order or by strides.
#pragma once

#include <cstddef>
#include <string>

#include "base/fail.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// An element that is only moved: its bytes, whatever they mean.
template <std::size_t N>
struct Cell {
  std::byte bytes[N];
};

/// Calls function.operator()<T>() with the type that elements of `dtype` can be moved as: few
/// instantiations for all element types.
template <class F>
void dispatch_moved(DType dtype, F&& function) {
  if (dtype == DType::string) return function.template operator()<std::string>();
  switch (element_bytes(dtype)) {
    case 1:
      return function.template operator()<Cell<1>>();
    case 2:
      return function.template operator()<Cell<2>>();
    case 4:
      return function.template operator()<Cell<4>>();
    case 8:
      return function.template operator()<Cell<8>>();
    case 16:
      return function.template operator()<Cell<16>>();
    default:
      fail(ErrorCode::internal, "elements of type {} cannot be moved", name_of(dtype));
  }
}

template <class T>
const T* moved(const TensorView& tensor) {
  return static_cast<const T*>(tensor.bytes);
}
template <class T>
T* moved(const MutableTensorView& tensor) {
  return static_cast<T*>(tensor.bytes);
}

/// Which elements of a tensor a copy touches: start + sum of index[axis] * strides[axis].
struct Walk {
  Shape strides;
  std::int64_t start = 0;
};

/// All elements of a tensor of this shape in order.
Walk walk_of(const Shape& shape);

/// to[to_walk(i)] = from[from_walk(i)] for every index i within `extents`.
void copy_strided(const TensorView& from, const Walk& from_walk, const MutableTensorView& to,
                  const Walk& to_walk, const Shape& extents);
/// All elements in order; the shapes may differ, their sizes not.
void copy_elements(const TensorView& from, const MutableTensorView& to);
/// Sets every element to the one element of `value`.
void fill(const MutableTensorView& to, const TensorView& value);

}  // namespace bnrun
