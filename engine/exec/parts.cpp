#include "exec/parts.h"

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "base/memory.h"
#include "op/prepared.h"

namespace bnrun {
namespace {

/// Elements whose computing takes longer than handing a part of them over.
constexpr std::int64_t kLeastElements = 12288;

/// The axis that parts are cut along: the first that is longer than 1, so that what lies under some of its positions is
/// one piece of memory.
std::size_t axis_to_cut(const Shape& shape) {
  std::size_t axis = 0;
  while (axis < shape.rank() && shape[axis] == 1) ++axis;
  return axis;
}

/// Positions of an axis of an output.
struct Part {
  std::size_t axes_behind;  ///< those after it
  std::int64_t extent;
  std::int64_t first;
  std::int64_t count;
};

/// That part of an operand, or all of it where it has one position for all parts.
template <class View>
View cut(View view, const Part& part) {
  if (!view.defined() || view.shape.rank() <= part.axes_behind) return view;
  const std::size_t axis = view.shape.rank() - 1 - part.axes_behind;
  if (view.shape[axis] != part.extent) return view;
  const std::int64_t before = part.first * view.shape.elements(axis + 1, view.shape.rank());
  using Byte = std::conditional_t<std::is_same_v<View, TensorView>, const std::byte, std::byte>;
  view.bytes = static_cast<Byte*>(view.bytes) + bytes_of(before, view.dtype);
  view.shape[axis] = part.count;
  return view;
}

}  // namespace

bool run_in_parts(const Step& step, std::span<const TensorView> inputs, const MutableTensorView& output,
                  ThreadPool& pool, std::span<PartInputs> of_threads) {
  const auto threads = static_cast<std::int64_t>(pool.threads());
  if (threads < 2 || step.parts == nullptr || output.elements() < kLeastElements) return false;
  const std::size_t rank = output.shape.rank();
  const std::size_t axis = axis_to_cut(output.shape);
  if (output.shape[axis] < threads || !step.parts->has_parts(axis, rank)) return false;
  const std::int64_t extent = output.shape[axis];
  const std::int64_t parts = std::min(threads, output.elements() / (kLeastElements / 2));
  pool.parallel_for(parts, [&](std::int64_t i, int worker) {
    const std::int64_t first = i * extent / parts;
    const Part part{rank - 1 - axis, extent, first, (i + 1) * extent / parts - first};
    auto& own = of_threads[static_cast<std::size_t>(worker)].views;
    own.clear();
    for (const TensorView& input : inputs) own.push_back(cut(input, part));
    MutableTensorView own_output = cut(output, part);
    step.op->run({.inputs = own, .outputs = {&own_output, 1}});
  });
  return true;
}

}  // namespace bnrun
