// How maps pass operators that copy elements, put constants among them, or measure them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "affine/channel_affine.h"
#include "bnrun/tensor.h"
#include "op/axes.h"

namespace bnrun {

/// Slice j along axis `to` of the output is a copy of slice sources[j] along axis `from` of the input, or of no
/// element of the input where sources[j] is below 0.
struct AxisCopies {
  std::size_t from = 0;
  std::size_t to = 0;
  std::size_t originals = 0;  ///< the extent of axis `from`
  std::vector<std::int64_t> sources;
};

/// More copies than this are not followed: so many channels are what a file claims, not what it holds.
inline constexpr std::int64_t kMostCopies = 1 << 24;

/// Moves a map of the channels on axis `from` (Side::input) or `to` (Side::output) to the other side. Slices
/// that are no copies, and those that have none, get the identity. Declines with `axis_unproven` when the
/// channels are not those of the axis, or when copies of one slice carry different maps.
OrDeclined<ChannelAffine> carried(const ChannelAffine& affine, Side from, const AxisCopies& copies);

/// A uniform map of the output as one of the slices that have copies there; the other slices keep their
/// elements.
OrDeclined<ChannelAffine> map_of_copied(const ChannelAffine& uniform, const AxisCopies& copies);

/// Whether every element is the same after the map, whatever the channel it is in. False for nullptr.
bool leaves_alone(const ChannelAffine& affine, const Tensor* elements);
bool leaves_alone(const ChannelAffine& affine, double element);

/// Moves a scale past a norm, |s*x| = |s||x|: forward its magnitude, backward only one that is not negative. A
/// shift does not pass.
OrDeclined<ChannelAffine> pass_norm(Side from, const ChannelAffine& affine);

}  // namespace bnrun
