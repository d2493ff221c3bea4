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

/// Output 0 of an operator as its input 0 gives it, axis by axis. From this follow what runs row by row, how
/// a channel axis is tracked, and which moves of elements cancel.
struct AxisMap {
  enum class Elements {
    computed,
    moved,     ///< those of the input and no others
    in_order,  ///< those of the input and no others, in the same row-major order
  };
  /// By axis of the output, an axis of the input of the same extent, when slice i along the one is made from
  /// slice i along the other alone, and in the same way for every i.
  std::vector<std::optional<std::size_t>> from;
  Elements elements = Elements::computed;

  /// Row i along axis 0 of the output is made from row i of the input.
  bool keeps_rows() const { return !from.empty() && from[0] == 0; }

  static AxisMap identity(std::size_t rank);
  /// The identity on the first `count` of `rank` axes.
  static AxisMap leading(std::size_t count, std::size_t rank);
  AxisMap without(std::size_t axis) &&;  ///< of the output
};

/// A map on one side of an operator that treats every channel alike, as it stands on the other side; nullopt
/// where its axis does not come through.
std::optional<ChannelAffine> carried(const ChannelAffine& affine, Side from, const AxisMap& axes);

}  // namespace bnrun
