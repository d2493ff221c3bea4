// What the operators of ai.onnx.ml share: rows of features in any numeric type, float32 results.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

/// Rounds `values` into a float32 or float64 tensor.
void store(std::span<const double> values, const MutableTensorView& out);

/// Features lie on the last axis; a tensor of rank 1 is one row. Throws invalid_model for rank 0.
struct FeatureRows {
  std::int64_t rows, features;
  static FeatureRows of(const Shape& X);
};

/// Attribute floats as double, empty when absent.
std::vector<double> read_floats(AttributeReader& node, std::string_view name);

/// Dimensions [rows of X, extent]; absent while the rank of X is unknown.
std::optional<Dims> row_dims(const ValueType& X, std::int64_t extent);

}  // namespace bnrun
