// Index tensors of the Gather and Scatter families, turned into positions.
#pragma once

#include <cstdint>

#include "base/temporary.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// An index from the front. Throws invalid_input unless -extent <= index < extent.
std::int64_t checked_index(std::int64_t index, std::int64_t extent);

/// For each element of `indices`, the position within a tensor of shape `data` of its own coordinates with
/// the one on `axis` replaced by that element. Throws invalid_input outside the data.
TemporaryVector<std::int64_t> positions_along(const Shape& data, const TensorView& indices, std::size_t axis);

/// For each row of `indices` (its last axis), where the block it names starts within a tensor of shape
/// `data`, after `batch` leading axes that both share. Throws invalid_input outside the data.
TemporaryVector<std::int64_t> block_positions(const Shape& data, const TensorView& indices,
                                              std::size_t batch);

}  // namespace bnrun
