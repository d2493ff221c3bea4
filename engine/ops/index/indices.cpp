#include "ops/index/indices.h"

#include "base/fail.h"
#include "op/shape_rules.h"

namespace bnrun {

std::int64_t checked_index(std::int64_t index, std::int64_t extent) {
  if (index < -extent || index >= extent)
    fail(ErrorCode::invalid_input, "index {} is outside an axis of extent {}", index, extent);
  return index < 0 ? index + extent : index;
}

TemporaryVector<std::int64_t> positions_along(const Shape& data, const TensorView& indices,
                                              std::size_t axis) {
  const std::size_t rank = data.rank();
  if (indices.shape.rank() != rank)
    fail(ErrorCode::invalid_model, "the indices have rank {}, the data has {}", indices.shape.rank(), rank);
  for (std::size_t i = 0; i < rank; ++i) {
    if (i != axis && indices.shape[i] > data[i])
      fail(ErrorCode::invalid_model, "indices {} do not fit into data {}", to_string(indices.shape),
           to_string(data));
  }
  const Shape strides = strides_of(data);
  const ElementsOf<std::int64_t> given(indices);
  TemporaryVector<std::int64_t> positions(given.begin(), given.end());
  Shape coordinates = Shape::filled(rank, 0);
  for (std::int64_t& position : positions) {
    position = checked_index(position, data[axis]) * strides[axis];
    for (std::size_t i = 0; i < rank; ++i) {
      if (i != axis) position += coordinates[i] * strides[i];
    }
    for (std::size_t i = rank; i-- > 0;) {
      if (++coordinates[i] < indices.shape[i]) break;
      coordinates[i] = 0;
    }
  }
  return positions;
}

TemporaryVector<std::int64_t> block_positions(const Shape& data, const TensorView& indices,
                                              std::size_t batch) {
  const Shape strides = strides_of(data);
  const auto depth = static_cast<std::size_t>(indices.shape.back());
  const ElementsOf<std::int64_t> elements(indices);
  const std::int64_t rows = indices.shape.elements(0, indices.shape.rank() - 1);
  const std::int64_t batches = data.elements(0, batch);
  if (indices.shape.elements(0, batch) != batches)
    fail(ErrorCode::invalid_model, "indices {} and data {} differ in their batch", to_string(indices.shape),
         to_string(data));
  const std::int64_t per_batch = data.elements(batch, data.rank());
  TemporaryVector<std::int64_t> positions;
  positions.reserve(static_cast<std::size_t>(rows));
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t position = row / (rows / batches) * per_batch;
    for (std::size_t i = 0; i < depth; ++i) {
      const std::int64_t index = elements[static_cast<std::size_t>(row) * depth + i];
      position += checked_index(index, data[batch + i]) * strides[batch + i];
    }
    positions.push_back(position);
  }
  return positions;
}

}  // namespace bnrun
