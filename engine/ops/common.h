// Small rules that many operators share: axes, broadcasting, integer inputs.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "ops/op.h"

namespace bnrun {

/// `axis` counted from the front. Throws invalid_model unless -rank <= axis < rank.
std::size_t normalize_axis(std::int64_t axis, std::size_t rank);

/// Multidirectional broadcasting of ONNX; a symbol against 1 or itself stays, otherwise the dimension is
/// unknown. Throws invalid_model when two known extents disagree.
Dims broadcast_dims(std::span<const Dims> inputs);
Shape broadcast_shape(const Shape& a, const Shape& b);

/// Strides (in elements) that walk `shape` along `target`, 0 where it is stretched. REQUIRES: shape
/// broadcasts to target.
Shape broadcast_strides(const Shape& shape, const Shape& target);
/// Row-major strides in elements.
Shape strides_of(const Shape& shape);

/// All elements of an int32 or int64 tensor. Throws `unsupported` for another type.
std::vector<std::int64_t> read_ints(const TensorView& tensor);
/// The elements of integer input i where they are known (constant, or worked out from shapes), else nullopt.
std::optional<std::vector<std::int64_t>> known_ints(const InferArgs& args, std::size_t i);
/// All elements as double; any numeric type.
std::vector<double> read_doubles(const TensorView& tensor);

/// Throws invalid_model unless the node has `least` to `most` inputs, the first `least` present.
void check_inputs(const AttributeReader& node, std::size_t least, std::size_t most);
/// Throws invalid_model when one of the inputs [first, last) is absent.
void check_present(const AttributeReader& node, std::size_t first, std::size_t last);

}  // namespace bnrun
