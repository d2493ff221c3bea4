// Which axis of an operator's output comes from which axis of its input.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "affine/channel_affine.h"

namespace bnrun {

/// Which side of an operator something stands on.
enum class Side { input, output };

/// How the axes of output 0 of an operator correspond to those of its input 0. It decides which operators run
/// row by row, on which axis the channels lie behind an operator, and which two moves of elements cancel.
struct AxisMap {
  enum class Elements {
    computed,
    moved,     ///< those of the input and no others
    in_order,  ///< those of the input and no others, in the same row-major order
  };
  /// For each axis of the output, the axis of the input that it comes from: both have the same extent, and
  /// slice i of the output is computed from slice i of the input alone, in the same way for every i.
  std::vector<std::optional<std::size_t>> from;
  Elements elements = Elements::computed;

  /// Row i of the output (along axis 0) is computed from row i of the input.
  bool keeps_rows() const { return !from.empty() && from[0] == 0; }

  static AxisMap identity(std::size_t rank);
  /// The identity on the first `count` of `rank` axes.
  static AxisMap leading(std::size_t count, std::size_t rank);
  AxisMap without(std::size_t axis) &&;  ///< of the output
};

/// Moves a map from one side of an operator that treats every channel alike to the
/// other side. nullopt when the channel axis has no counterpart there.
std::optional<ChannelAffine> carried(const ChannelAffine& affine, Side from, const AxisMap& axes);

}  // namespace bnrun
