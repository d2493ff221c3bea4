// Rules of types and shapes that many operators share: axes, broadcasting, integer inputs, known elements.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "base/elements.h"
#include "base/walk.h"
#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

/// `axis` counted from the front. Throws invalid_model unless -rank <= axis < rank.
std::size_t normalize_axis(std::int64_t axis, std::size_t rank);

/// a + b for extents and what is added to them. Throws resource_limit where 64 bits do not hold it.
std::int64_t sum_of_extents(std::int64_t a, std::int64_t b);

/// Multidirectional broadcasting of ONNX; a symbol against 1 or itself stays, otherwise the dimension is
/// unknown. Throws invalid_model when two known extents disagree.
Dim broadcast_dim(const Dim& a, const Dim& b);
Dims broadcast_dims(std::span<const Dims> inputs);
Shape broadcast_shape(const Shape& a, const Shape& b);

/// The elements of integer input i where they are known (constant, or worked out from shapes), else nullopt.
std::optional<std::vector<std::int64_t>> known_ints(const InferArgs& args, std::size_t i);
std::optional<std::vector<std::int64_t>> known_ints(const FoldArgs& args, std::size_t i);
/// Whether both are proven to have the same rank and dimensions.
bool same_dimensions(const ValueType& a, const ValueType& b);
/// Throws invalid_model unless the node has `least` to `most` inputs, the first `least` present.
void check_inputs(const AttributeReader& node, std::size_t least, std::size_t most);
/// Throws invalid_model when one of the inputs [first, last) is absent.
void check_present(const AttributeReader& node, std::size_t first, std::size_t last);

/// Gives small integer outputs of an operator that only moves elements their known elements, symbols
/// included: what `run` does to positions it does to contents. The first `data_inputs` inputs are moved, the
/// others steer and must be known.
void move_content(const Op& op, const InferArgs& args, std::size_t data_inputs,
                  std::vector<ValueType>& outputs);

// Of Op::required_inputs:
/// One element type for all inputs and output 0.
std::vector<ValueType> inputs_of_one_type(const FoldArgs& args);
/// Input 0 has the type of output 0; the others stay.
std::vector<ValueType> input_like_output(const FoldArgs& args);
/// Input 0 has the element type of output 0; the others stay.
std::vector<ValueType> input_typed_as_output(const FoldArgs& args);

/// The elements of integer input i, as far as they are known; nullopt when not even their number is.
std::optional<std::vector<Content>> content_of(const InferArgs& args, std::size_t i);

}  // namespace bnrun
