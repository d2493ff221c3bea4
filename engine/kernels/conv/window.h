// Sliding windows over spatial axes, for any number of them.
#pragma once

#include <cstdint>

#include "base/temporary.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// One axis of a window with everything resolved. Tap k of output o reads position o*stride - pad_begin +
/// k*dilation, which lies outside the input when it is padding.
struct WindowAxis {
  std::int64_t input = 0;
  std::int64_t output = 0;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t pad_begin = 0;
  std::int64_t pad_end = 0;

  std::int64_t reach() const { return (kernel - 1) * dilation + 1; }  ///< positions one window spans
  std::int64_t position(std::int64_t o, std::int64_t k) const {
    return o * stride - pad_begin + k * dilation;
  }
  /// Taps of output o that lie inside the input: [first, second).
  std::pair<std::int64_t, std::int64_t> taps_inside(std::int64_t o) const;
  /// Outputs all of whose taps lie inside the input: [first, second).
  std::pair<std::int64_t, std::int64_t> inner_outputs() const;
};

struct Window {
  TemporaryVector<WindowAxis> axes;

  Shape input() const;
  Shape output() const;
  Shape kernel() const;
};

}  // namespace bnrun
