#include "ops/move.h"

#include <algorithm>
#include <numeric>

#include "ops/common.h"

namespace bnrun {
namespace {

/// Axes that both walks cross without a gap become one.
struct Course {
  Shape extents;
  Shape from;
  Shape to;

  Course(const Shape& all, const Shape& from_strides, const Shape& to_strides) {
    for (std::size_t axis = 0; axis < all.rank(); ++axis) {
      const std::int64_t extent = all[axis];
      if (extent == 1) continue;
      const std::size_t last = extents.rank() - 1;
      if (extents.rank() > 0 && from[last] == from_strides[axis] * extent &&
          to[last] == to_strides[axis] * extent) {
        extents[last] *= extent;
        from[last] = from_strides[axis];
        to[last] = to_strides[axis];
      } else {
        extents.push_back(extent);
        from.push_back(from_strides[axis]);
        to.push_back(to_strides[axis]);
      }
    }
    if (extents.rank() == 0) {
      extents.push_back(1);
      from.push_back(1);
      to.push_back(1);
    }
  }
};

bool describes_shapes(const ValueType& type) {
  return (type.dtype == DType::int64 || type.dtype == DType::int32) && type.static_shape() &&
         type.rank() <= 1 && type.shape().elements() <= 64;
}

}  // namespace

Walk walk_of(const Shape& shape) {
  return {strides_of(shape)};
}

void copy_strided(const TensorView& from, const Walk& from_walk, const MutableTensorView& to,
                  const Walk& to_walk, const Shape& extents) {
  const std::int64_t total = extents.elements();
  if (total == 0) return;
  const Course course(extents, from_walk.strides, to_walk.strides);
  const std::size_t outer_axes = course.extents.rank() - 1;
  const std::int64_t inner = course.extents.back();
  const std::int64_t step_from = course.from.back();
  const std::int64_t step_to = course.to.back();
  dispatch_moved(to.dtype, [&]<class T>() {
    const T* source = moved<T>(from) + from_walk.start;
    T* target = moved<T>(to) + to_walk.start;
    Shape index = Shape::filled(outer_axes, 0);
    for (std::int64_t done = 0; done < total; done += inner) {
      if (step_from == 1 && step_to == 1) {
        std::copy_n(source, inner, target);
      } else {
        for (std::int64_t i = 0; i < inner; ++i) target[i * step_to] = source[i * step_from];
      }
      for (std::size_t axis = outer_axes; axis-- > 0;) {
        source += course.from[axis];
        target += course.to[axis];
        if (++index[axis] < course.extents[axis]) break;
        source -= course.from[axis] * course.extents[axis];
        target -= course.to[axis] * course.extents[axis];
        index[axis] = 0;
      }
    }
  });
}

void copy_elements(const TensorView& from, const MutableTensorView& to) {
  dispatch_moved(to.dtype, [&]<class T>() { std::copy_n(moved<T>(from), to.elements(), moved<T>(to)); });
}

void fill(const MutableTensorView& to, const TensorView& value) {
  dispatch_moved(to.dtype, [&]<class T>() { std::fill_n(moved<T>(to), to.elements(), *moved<T>(value)); });
}

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

}  // namespace bnrun
