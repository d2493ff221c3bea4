// Kernels over floats and doubles applied to tensors of every floating type.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <type_traits>

#include "base/dispatch.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// Y = kernel(X), `kernel(std::span<const C> x, C* y)` for C float and double, where x may be y; fp16 and
/// bf16 go through blocks of floats.
template <class F>
void map_floats(const TensorView& X, const MutableTensorView& Y, F kernel) {
  dispatch(FloatTypes{}, X.dtype, [&]<class T>() {
    T* y = Y.data<T>();
    if constexpr (std::is_same_v<T, ComputeType<T>>) {
      kernel(X.span<T>(), y);
    } else {
      std::array<ComputeType<T>, 256> block;
      for (std::span<const T> left = X.span<T>(); !left.empty();) {
        const std::size_t count = std::min(left.size(), block.size());
        std::ranges::transform(left.first(count), block.begin(),
                               [](T x) { return static_cast<ComputeType<T>>(x); });
        kernel(std::span<const ComputeType<T>>(block).first(count), block.data());
        for (std::size_t i = 0; i < count; ++i) *y++ = T(block[i]);
        left = left.subspan(count);
      }
    }
  });
}

}  // namespace bnrun
