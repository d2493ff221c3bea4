#include "op/window.h"

#include <algorithm>

#include "base/fail.h"
#include "base/numbers.h"
#include "op/attribute_reader.h"

namespace bnrun {
namespace {

AutoPad read_auto_pad(AttributeReader& node) {
  const std::string text = node.get_string("auto_pad", "NOTSET");
  if (text == "NOTSET" || text.empty()) return AutoPad::notset;
  if (text == "SAME_UPPER") return AutoPad::same_upper;
  if (text == "SAME_LOWER") return AutoPad::same_lower;
  if (text == "VALID") return AutoPad::valid;
  fail(ErrorCode::invalid_model, "auto_pad '{}' is not known", text);
}

/// Numbers up to this one multiply and add without overflow.
constexpr std::int64_t kMost = std::int64_t{1} << 30;

/// Entries of a window table: 2 GiB.
constexpr std::int64_t kMostEntries = std::int64_t{1} << 28;

void check_range(const char* name, const std::vector<std::int64_t>& values, std::int64_t least) {
  for (const std::int64_t value : values) {
    if (value < least || value > kMost)
      fail(ErrorCode::invalid_model, "{} holds {}, expected {} to {}", name, value, least, kMost);
  }
}

}  // namespace

std::int64_t checked_extent(std::int64_t extent) {
  if (extent > kMost) fail(ErrorCode::resource_limit, "an axis has {} elements, at most {}", extent, kMost);
  return extent;
}

TemporaryVector<std::int64_t> window_table(const Window& window) {
  const std::int64_t all_taps = window.kernel().elements();
  const std::int64_t all_outputs = window.output().elements();
  if (all_outputs != 0 && all_taps > kMostEntries / all_outputs)
    fail(ErrorCode::resource_limit, "a window of {} elements at {} positions is too large", all_taps,
         all_outputs);
  // Axis by axis: every (tap, output) pair so far is combined with those of the next axis.
  TemporaryVector<std::int64_t> table{0};
  std::int64_t taps = 1;
  std::int64_t outputs = 1;
  for (const WindowAxis& axis : window.axes) {
    const Shape shape{taps, axis.kernel, outputs, axis.output};
    TemporaryVector<std::int64_t> next(static_cast<std::size_t>(shape.elements()));
    std::size_t at = 0;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      for (std::int64_t k = 0; k < axis.kernel; ++k) {
        for (std::int64_t output = 0; output < outputs; ++output) {
          const std::int64_t outer = table[static_cast<std::size_t>(tap * outputs + output)];
          for (std::int64_t o = 0; o < axis.output; ++o) {
            const std::int64_t position = o * axis.stride - axis.pad_begin + k * axis.dilation;
            const bool inside = outer != kPadding && position >= 0 && position < axis.input;
            next[at++] = inside ? outer * axis.input + position : kPadding;
          }
        }
      }
    }
    taps *= axis.kernel;
    outputs *= axis.output;
    table = std::move(next);
  }
  return table;
}

WindowAttributes WindowAttributes::read(AttributeReader& node) {
  WindowAttributes window;
  window.kernel_shape = node.get_ints("kernel_shape");
  window.strides = node.get_ints("strides").value_or(window.strides);
  window.dilations = node.get_ints("dilations").value_or(window.dilations);
  window.pads = node.get_ints("pads").value_or(window.pads);
  window.auto_pad = read_auto_pad(node);
  if (window.kernel_shape) check_range("kernel_shape", *window.kernel_shape, 1);
  check_range("strides", window.strides, 1);
  check_range("dilations", window.dilations, 1);
  check_range("pads", window.pads, 0);
  if (window.auto_pad != AutoPad::notset) window.pads.clear();
  return window;
}

bool WindowAttributes::may_pad(const Shape& kernel) const {
  if (auto_pad == AutoPad::same_upper || auto_pad == AutoPad::same_lower) return kernel.elements() != 1;
  return std::any_of(pads.begin(), pads.end(), [](std::int64_t pad) { return pad != 0; });
}

void WindowAttributes::check_axes(std::size_t axes) const {
  const auto check = [](const char* name, std::size_t size, std::size_t wanted) {
    if (size != 0 && size != wanted)
      fail(ErrorCode::invalid_model, "{} has {} numbers, expected {}", name, size, wanted);
  };
  if (kernel_shape && kernel_shape->size() != axes)
    fail(ErrorCode::invalid_model, "kernel_shape has {} numbers, the input has {} spatial axes",
         kernel_shape->size(), axes);
  check("strides", strides.size(), axes);
  check("dilations", dilations.size(), axes);
  check("pads", pads.size(), 2 * axes);
}

WindowAxis WindowAttributes::axis_over(std::size_t axis, std::int64_t input, std::int64_t kernel) const {
  WindowAxis window{
      checked_extent(input), 0, checked_extent(kernel), stride(axis), dilation(axis), pad_begin(axis),
      pad_end(axis)};
  if (auto_pad == AutoPad::same_upper || auto_pad == AutoPad::same_lower) {
    window.output = ceil_div(input, window.stride);
    const std::int64_t total =
        std::max<std::int64_t>(0, (window.output - 1) * window.stride + window.reach() - input);
    window.pad_begin = auto_pad == AutoPad::same_upper ? total / 2 : total - total / 2;
    window.pad_end = total - window.pad_begin;
    return window;
  }
  const std::int64_t room = input + window.pad_begin + window.pad_end - window.reach();
  if (room < 0) {
    fail(ErrorCode::invalid_model, "a window of {} does not fit into {} elements padded by {} and {}",
         window.reach(), input, window.pad_begin, window.pad_end);
  }
  window.output = (ceil_mode ? ceil_div(room, window.stride) : room / window.stride) + 1;
  // A last window that would start in the padding behind the input is none.
  if (ceil_mode && (window.output - 1) * window.stride >= input + window.pad_begin) --window.output;
  return window;
}

Dims WindowAttributes::output_dims(std::span<const Dim> input, std::span<const Dim> kernel) const {
  check_axes(input.size());
  Dims dims;
  for (std::size_t i = 0; i < input.size(); ++i) {
    const bool same = auto_pad == AutoPad::same_upper || auto_pad == AutoPad::same_lower;
    if (input[i].known() && kernel[i].known()) {
      dims.emplace_back(axis_over(i, input[i].extent(), kernel[i].extent()).output);
    } else if (input[i].known() && same) {
      dims.emplace_back(ceil_div(input[i].extent(), stride(i)));
    } else if (stride(i) == 1 &&
               (same ||
                (kernel[i].known() && pad_begin(i) + pad_end(i) == (kernel[i].extent() - 1) * dilation(i)))) {
      dims.push_back(input[i]);
    } else {
      dims.emplace_back();
    }
  }
  return dims;
}

Window WindowAttributes::over(const Shape& input, const Shape& kernel) const {
  check_axes(input.rank());
  Window window;
  window.axes.reserve(input.rank());
  for (std::size_t i = 0; i < input.rank(); ++i) window.axes.push_back(axis_over(i, input[i], kernel[i]));
  return window;
}

Shape spatial(const Shape& shape) {
  return Shape(std::span(shape.begin() + 2, shape.end()));
}

Dims spatial(const Dims& dims) {
  return Dims(dims.begin() + 2, dims.end());
}

void check_spatial(const ValueType& X) {
  if (X.rank() < 3)
    fail(ErrorCode::invalid_model, "X is {}, it needs batch, channel and spatial axes", to_string(X));
}

}  // namespace bnrun
