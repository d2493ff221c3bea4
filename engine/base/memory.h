// How many bytes elements take, and whether the machine has them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bnrun/tensor.h"

namespace bnrun {

/// Bytes of so many elements. Throws resource_limit when the machine's memory is smaller than that: the system might
/// hand such memory out and end some process once it is written to.
std::size_t bytes_of(std::int64_t elements, DType dtype);

}  // namespace bnrun
