// The elements of a tensor as plain vectors.
#pragma once

#include <cstdint>
#include <vector>

#include "bnrun/tensor.h"

namespace bnrun {

/// All elements of an int32 or int64 tensor. Throws `unsupported` for another type.
std::vector<std::int64_t> read_ints(const TensorView& tensor);
/// All elements as double; any numeric type.
std::vector<double> read_doubles(const TensorView& tensor);

}  // namespace bnrun
