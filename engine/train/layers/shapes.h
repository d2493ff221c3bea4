// What a layer makes of the shape of a row: [n], or an image [height, width, channels].
#pragma once

#include "bnrun/train_network.h"
#include "train/layers/windows.h"

namespace bnrun::train {

inline bool is_image(const Shape& shape) {
  return shape.rank() == 3;
}

/// "4", "28x28x1".
std::string text_of(const Shape& row);

/// Throws invalid_input when the layer cannot read that.
Shape shape_behind(const LayerSpec& spec, const Shape& below);

Windows windows_of(const Conv2D& spec, const Shape& image);
Windows windows_of(const Pooling2D& spec, const Shape& image);
Windows windows_of(const GlobalAveragePooling2D& spec, const Shape& image);

}  // namespace bnrun::train
