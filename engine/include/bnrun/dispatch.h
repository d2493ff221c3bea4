// dispatch(list, dtype, function): calls function.operator()<T>() for the one T of the list that dtype names.
#pragma once

#include <complex>
#include <cstdint>
#include <string>

#include "bnrun/error.h"
#include "bnrun/tensor.h"

namespace bnrun {

template <class... Ts>
struct TypeList {};

using FloatTypes = TypeList<float, double, Half, BFloat16>;
using SignedTypes = TypeList<std::int8_t, std::int16_t, std::int32_t, std::int64_t>;
using IntegerTypes = TypeList<std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t,
                              std::uint16_t, std::uint32_t, std::uint64_t>;
using NumericTypes = TypeList<float, double, Half, BFloat16, std::int8_t, std::int16_t, std::int32_t,
                              std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
using PlainTypes = TypeList<float, double, Half, BFloat16, std::int8_t, std::int16_t, std::int32_t,
                            std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, bool>;
using AllTypes = TypeList<float, double, Half, BFloat16, std::int8_t, std::int16_t, std::int32_t,
                          std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, bool,
                          std::string, std::complex<float>, std::complex<double>>;

/// Throws `unsupported`, naming the type, when dtype is not among Ts.
template <class... Ts, class F>
void dispatch(TypeList<Ts...>, DType dtype, F&& function) {
  const bool found = ((dtype == dtype_of<Ts> ? (function.template operator()<Ts>(), true) : false) || ...);
  if (!found) {
    throw Error(ErrorCode::unsupported,
                "element type " + std::string(name_of(dtype)) + " is not supported here");
  }
}

}  // namespace bnrun
