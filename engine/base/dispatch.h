// What operators need beyond dispatch(): the type in which they compute.
#pragma once

#include "base/fail.h"
#include "bnrun/dispatch.h"

namespace bnrun {

/// The type in which elements of T are computed: fp16 and bf16 compute in float.
template <class T>
struct ComputeTypeOf {
  using type = T;
};
template <>
struct ComputeTypeOf<Half> {
  using type = float;
};
template <>
struct ComputeTypeOf<BFloat16> {
  using type = float;
};
template <class T>
using ComputeType = typename ComputeTypeOf<T>::type;

}  // namespace bnrun
