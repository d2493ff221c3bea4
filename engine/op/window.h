// Sliding windows over the spatial axes of X[N,C,D1,...]: pads, strides, dilations, auto_pad and ceil_mode of
// convolutions and pools, for any number of axes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/temporary.h"
#include "kernels/conv/window.h"
#include "op/value_type.h"

namespace bnrun {

class AttributeReader;

enum class AutoPad { notset, same_upper, same_lower, valid };

/// The extent, which must leave room to multiply by a stride. Throws resource_limit.
std::int64_t checked_extent(std::int64_t extent);

/// For tap k (row-major over the kernel) and output o (row-major over the outputs), element [k * outputs + o]
/// is the position in the flattened input, or kPadding. Throws resource_limit when it would be too large.
inline constexpr std::int64_t kPadding = -1;
TemporaryVector<std::int64_t> window_table(const Window& window);

/// The window attributes of one node.
struct WindowAttributes {
  std::optional<std::vector<std::int64_t>> kernel_shape;
  std::vector<std::int64_t> strides;    ///< empty: all 1
  std::vector<std::int64_t> dilations;  ///< empty: all 1
  std::vector<std::int64_t> pads;       ///< begins, then ends; empty: all 0, as whenever auto_pad is set
  AutoPad auto_pad = AutoPad::notset;
  bool ceil_mode = false;

  /// Reads kernel_shape, strides, dilations, pads and auto_pad. Throws
  /// invalid_model for values out of range (a stride of 0, say).
  static WindowAttributes read(AttributeReader& node);

  /// False only when no window of this kernel reaches into padding, whatever the input's extents.
  bool may_pad(const Shape& kernel) const;
  std::int64_t stride(std::size_t axis) const { return strides.empty() ? 1 : strides[axis]; }
  std::int64_t dilation(std::size_t axis) const { return dilations.empty() ? 1 : dilations[axis]; }
  std::int64_t pad_begin(std::size_t axis) const { return pads.empty() ? 0 : pads[axis]; }
  std::int64_t pad_end(std::size_t axis) const { return pads.empty() ? 0 : pads[pads.size() / 2 + axis]; }
  /// Throws invalid_model unless every list counts `axes` axes.
  void check_axes(std::size_t axes) const;

  /// Spatial extents of the output; an extent that stays the same keeps its symbol.
  Dims output_dims(std::span<const Dim> input, std::span<const Dim> kernel) const;
  /// Throws invalid_model when the window is larger than the padded input.
  Window over(const Shape& input, const Shape& kernel) const;

 private:
  WindowAxis axis_over(std::size_t axis, std::int64_t input, std::int64_t kernel) const;
};

/// Axes 2, 3, ... of a shape [N,C,D1,...].
Shape spatial(const Shape& shape);
Dims spatial(const Dims& dims);
/// Throws invalid_model when X, whose rank is known, has no batch, channel and spatial axes.
void check_spatial(const ValueType& X);

}  // namespace bnrun
