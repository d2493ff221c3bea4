// IDX files: the format of the MNIST images and labels. Big-endian, recognised by content.
#pragma once

#include <string>
#include <string_view>

#include "bnrun/tensor.h"

namespace bnrun::io {

bool is_idx(std::string_view bytes);
/// Throws invalid_input when the elements are not exactly as many as the header says.
Tensor parse_idx(std::string_view bytes, const std::string& source);

}  // namespace bnrun::io
