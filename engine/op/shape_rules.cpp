#include "op/shape_rules.h"

#include <algorithm>
#include <numeric>

#include "base/dispatch.h"
#include "base/fail.h"

namespace bnrun {

std::size_t normalize_axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    fail(ErrorCode::invalid_model, "axis {} is outside a tensor of rank {}", axis, rank);
  }
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

std::int64_t sum_of_extents(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum))
    fail(ErrorCode::resource_limit, "a sum of dimensions exceeds 64 bits");
  return sum;
}

Dim broadcast_dim(const Dim& a, const Dim& b) {
  if (b == Dim(1) || a == b) return a;
  if (a == Dim(1)) return b;
  if (a.known() && b.known())
    fail(ErrorCode::invalid_model, "shapes cannot be broadcast: {} against {}", b.extent(), a.extent());
  if (a.known()) return a;  // the unknown one must be 1 or equal
  return b.known() ? b : Dim();
}

Dims broadcast_dims(std::span<const Dims> inputs) {
  std::size_t rank = 0;
  for (const Dims& dims : inputs) rank = std::max(rank, dims.size());
  Dims result(rank, Dim(1));
  for (const Dims& dims : inputs) {
    for (std::size_t i = 0; i < dims.size(); ++i) {
      Dim& target = result[rank - dims.size() + i];
      target = broadcast_dim(target, dims[i]);
    }
  }
  return result;
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  const Shape& longer = a.rank() < b.rank() ? b : a;
  const Shape& shorter = a.rank() < b.rank() ? a : b;
  Shape result = longer;
  for (std::size_t i = 0; i < shorter.rank(); ++i) {
    std::int64_t& target = result[longer.rank() - shorter.rank() + i];
    target = broadcast_dim(Dim(target), Dim(shorter[i])).extent();
  }
  return result;
}

namespace {

bool describes_shapes(const ValueType& type) {
  return (type.dtype == DType::int64 || type.dtype == DType::int32) && type.static_shape() &&
         type.rank() <= 1 && type.shape().elements() <= 64;
}

}  // namespace

void move_content(const Op& op, const InferArgs& args, std::size_t data_inputs,
                  std::vector<ValueType>& outputs) {
  if (!std::all_of(outputs.begin(), outputs.end(), describes_shapes)) return;
  std::vector<Content> pool;
  std::vector<Tensor> tensors;
  bool any_known = false;
  for (std::size_t i = 0; i < args.count(); ++i) {
    if (!args.present(i)) {
      tensors.emplace_back();
    } else if (i < data_inputs) {
      if (!describes_shapes(args.inputs[i])) return;
      Tensor positions(DType::int64, args.inputs[i].shape());
      const auto span = positions.mutable_span<std::int64_t>();
      std::iota(span.begin(), span.end(), static_cast<std::int64_t>(pool.size()));
      const auto& content = args.inputs[i].content;
      any_known = any_known || content.has_value();
      for (std::size_t k = 0; k < span.size(); ++k) pool.push_back(content ? (*content)[k] : Content{});
      tensors.push_back(std::move(positions));
    } else {
      const auto steering = known_ints(args, i);
      if (!steering || !args.inputs[i].static_shape()) return;
      tensors.emplace_back(args.inputs[i].shape(), *steering);
    }
  }
  if (!any_known) return;
  const std::vector<TensorView> inputs(tensors.begin(), tensors.end());
  std::vector<Tensor> results;
  std::vector<MutableTensorView> views;
  for (const ValueType& output : outputs) results.emplace_back(DType::int64, output.shape());
  for (Tensor& result : results) views.push_back(result.mutable_view());
  op.run({.inputs = inputs, .outputs = views});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    outputs[i].content.emplace();
    for (const std::int64_t position : results[i].span<std::int64_t>())
      outputs[i].content->push_back(pool[static_cast<std::size_t>(position)]);
  }
}

std::vector<ValueType> inputs_of_one_type(const FoldArgs& args) {
  std::vector<ValueType> types(args.inputs.begin(), args.inputs.end());
  DType common = args.outputs[0].dtype;
  for (const ValueType& type : types) common = common == DType::undefined ? type.dtype : common;
  for (ValueType& type : types) {
    if (type.dtype == DType::undefined) type.dtype = common;
  }
  return types;
}

std::vector<ValueType> input_like_output(const FoldArgs& args) {
  auto types = input_typed_as_output(args);
  if (const auto both = merge(types[0], {args.outputs[0].dtype, args.outputs[0].dims})) types[0] = *both;
  return types;
}

std::vector<ValueType> input_typed_as_output(const FoldArgs& args) {
  std::vector<ValueType> types(args.inputs.begin(), args.inputs.end());
  if (types[0].dtype == DType::undefined) types[0].dtype = args.outputs[0].dtype;
  return types;
}

std::optional<std::vector<Content>> content_of(const InferArgs& args, std::size_t i) {
  if (const TensorView* value = args.value(i)) {
    std::vector<Content> content;
    for (const std::int64_t number : read_ints(*value)) content.push_back(Content::of(number));
    return content;
  }
  if (!args.present(i)) return std::nullopt;
  const ValueType& type = args.inputs[i];
  if (type.content) return type.content;
  if (!type.static_shape()) return std::nullopt;
  return std::vector<Content>(static_cast<std::size_t>(type.shape().elements()));
}

namespace {

/// The elements that a type tells.
std::optional<std::vector<std::int64_t>> known_content(std::span<const ValueType> inputs, std::size_t i) {
  if (i >= inputs.size() || !inputs[i].content) return std::nullopt;
  std::vector<std::int64_t> values;
  for (const Content& element : *inputs[i].content) {
    if (!element.number) return std::nullopt;
    values.push_back(*element.number);
  }
  return values;
}

}  // namespace

std::optional<std::vector<std::int64_t>> known_ints(const InferArgs& args, std::size_t i) {
  if (const TensorView* value = args.value(i)) return read_ints(*value);
  return known_content(args.inputs, i);
}

std::optional<std::vector<std::int64_t>> known_ints(const FoldArgs& args, std::size_t i) {
  if (const Tensor* constant = args.constant(i)) return read_ints(constant->view());
  return known_content(args.inputs, i);
}

bool same_dimensions(const ValueType& a, const ValueType& b) {
  return a.ranked() && b.ranked() && *a.dims == *b.dims;
}

void check_inputs(const AttributeReader& node, std::size_t least, std::size_t most) {
  if (node.inputs() < least || node.inputs() > most) {
    const std::string number = least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most);
    fail(ErrorCode::invalid_model, "{} takes {} input{}, the node has {}", node.op_type(), number,
         most == 1 ? "" : "s", node.inputs());
  }
  check_present(node, 0, least);
}

void check_present(const AttributeReader& node, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i < last; ++i) {
    if (!node.given(i)) fail(ErrorCode::invalid_model, "required input {} is absent", i);
  }
}

}  // namespace bnrun
