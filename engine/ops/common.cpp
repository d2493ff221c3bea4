#include "ops/common.h"

#include <algorithm>

#include "graph/dispatch.h"
#include "graph/fail.h"

namespace bnrun {

std::size_t normalize_axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    fail(ErrorCode::invalid_model, "axis {} is outside a tensor of rank {}", axis, rank);
  }
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

Dims broadcast_dims(std::span<const Dims> inputs) {
  std::size_t rank = 0;
  for (const Dims& dims : inputs) rank = std::max(rank, dims.size());
  Dims result(rank, Dim(1));
  for (const Dims& dims : inputs) {
    for (std::size_t i = 0; i < dims.size(); ++i) {
      Dim& target = result[rank - dims.size() + i];
      const Dim& dim = dims[i];
      if (dim == Dim(1) || dim == target) continue;
      if (target == Dim(1)) {
        target = dim;
      } else if (dim.known() && target.known()) {
        fail(ErrorCode::invalid_model, "shapes cannot be broadcast: {} against {}", dim.extent(),
             target.extent());
      } else if (dim.known()) {
        target = dim;  // the unknown one must be 1 or equal
      } else if (!target.known()) {
        target = Dim();
      }
    }
  }
  return result;
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  const Dims dims[] = {Dims(a.begin(), a.end()), Dims(b.begin(), b.end())};
  return ValueType{DType::undefined, broadcast_dims(dims)}.shape();
}

Shape strides_of(const Shape& shape) {
  Shape strides = shape;
  std::int64_t stride = 1;
  for (std::size_t i = shape.rank(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

Shape broadcast_strides(const Shape& shape, const Shape& target) {
  const Shape own = strides_of(shape);
  Shape strides = Shape::filled(target.rank(), 0);
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1) strides[target.rank() - shape.rank() + i] = own[i];
  }
  return strides;
}

std::vector<std::int64_t> read_ints(const TensorView& tensor) {
  std::vector<std::int64_t> values;
  dispatch(TypeList<std::int64_t, std::int32_t>{}, tensor.dtype, [&]<class T>() {
    const auto span = tensor.span<T>();
    values.assign(span.begin(), span.end());
  });
  return values;
}

std::optional<std::vector<std::int64_t>> known_ints(const InferArgs& args, std::size_t i) {
  if (const TensorView* value = args.value(i)) return read_ints(*value);
  if (!args.present(i) || !args.inputs[i].content) return std::nullopt;
  std::vector<std::int64_t> values;
  for (const Content& element : *args.inputs[i].content) {
    if (!element.number) return std::nullopt;
    values.push_back(*element.number);
  }
  return values;
}

std::vector<double> read_doubles(const TensorView& tensor) {
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(tensor.elements()));
  dispatch(NumericTypes{}, tensor.dtype, [&]<class T>() {
    for (const T& x : tensor.span<T>()) values.push_back(static_cast<double>(static_cast<ComputeType<T>>(x)));
  });
  return values;
}

void check_inputs(const AttributeReader& node, std::size_t least, std::size_t most) {
  if (node.inputs() < least || node.inputs() > most) {
    fail(ErrorCode::invalid_model, "{} takes {} to {} inputs, the node has {}", node.op_type(), least, most,
         node.inputs());
  }
  check_present(node, 0, least);
}

void check_present(const AttributeReader& node, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i < last; ++i) {
    if (!node.node().inputs[i].valid()) fail(ErrorCode::invalid_model, "required input {} is absent", i);
  }
}

}  // namespace bnrun
