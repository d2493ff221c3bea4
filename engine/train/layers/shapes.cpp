#include "train/layers/shapes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/fail.h"
#include "train/layers/embedding.h"

namespace bnrun::train {
namespace {

void need_image(const Shape& shape, const char* what) {
  if (!is_image(shape))
    fail(ErrorCode::invalid_input, "{} reads images, not rows of {} numbers", what, text_of(shape));
}

void need_row(const Shape& shape, const char* what) {
  if (is_image(shape))
    fail(ErrorCode::invalid_input,
         "{} reads rows of numbers, not images of {}: a flatten layer in front makes rows of them", what,
         text_of(shape));
}

Shape image_behind(const Windows& windows, std::int64_t channels) {
  return {windows.out_H, windows.out_W, channels};
}

struct Behind {
  const Shape& below;

  Shape operator()(const Dense& spec) const {
    need_row(below, "a dense layer");
    return {spec.units};
  }
  Shape operator()(const LayerNormalization& /*spec*/) const {
    need_row(below, "a LayerNormalization");
    return below;
  }
  Shape operator()(Activation kind) const {
    if (kind == Activation::softmax) need_row(below, "a softmax");
    return below;
  }
  Shape operator()(const Conv2D& spec) const { return image_behind(windows_of(spec, below), spec.filters); }
  Shape operator()(const Pooling2D& spec) const { return image_behind(windows_of(spec, below), below[2]); }
  Shape operator()(const GlobalAveragePooling2D& /*spec*/) const {
    need_image(below, "a global average");
    return {below[2]};
  }
  Shape operator()(const Flatten& /*spec*/) const { return {below.elements()}; }
  Shape operator()(const Embedding& spec) const {
    need_row(below, "an embedding");
    return {width_behind(spec, below[0])};
  }
  template <class Other>
  Shape operator()(const Other& /*spec*/) const {
    return below;
  }
};

}  // namespace

std::string text_of(const Shape& row) {
  return fmt::format("{}", fmt::join(row, "x"));
}

Windows windows_of(const Conv2D& spec, const Shape& image) {
  need_image(image, "a convolution");
  return windows_over(image, spec.kernel, spec.strides, spec.padding, "a convolution");
}

Windows windows_of(const Pooling2D& spec, const Shape& image) {
  need_image(image, "a pooling layer");
  return windows_over(image, spec.window, spec.strides, spec.padding, "a pooling layer");
}

Windows windows_of(const GlobalAveragePooling2D& /*spec*/, const Shape& image) {
  const Size2D whole{image[0], image[1]};
  return windows_over(image, whole, whole, Padding::valid, "a global average");
}

Shape shape_behind(const LayerSpec& spec, const Shape& below) {
  return std::visit(Behind{below}, spec);
}

}  // namespace bnrun::train
