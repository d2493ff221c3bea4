// Which algorithm is the quickest for a convolution of 3x3 taps.
#pragma once

#include <cstdint>

namespace bnrun {

/// One image and layer: Y[lines, positions, M] from C channels.
struct ConvolutionSize {
  std::int64_t C = 0;
  std::int64_t M = 0;
  std::int64_t lines = 0;
  std::int64_t positions = 0;
};

/// The tile, 2 or 4, with which Winograd is expected to take the least time for one image; 0 where Convolution is. It
/// depends on these sizes alone, so that a model computes the same wherever it runs.
std::int64_t quickest_winograd_tile(const ConvolutionSize& size);

}  // namespace bnrun
