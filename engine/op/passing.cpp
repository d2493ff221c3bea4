#include "op/passing.h"

#include <algorithm>
#include <cmath>

#include "base/elements.h"

namespace bnrun {

OrDeclined<ChannelAffine> carried(const ChannelAffine& affine, Side from, const AxisCopies& copies) {
  if (affine.uniform()) return affine;
  const std::size_t here = from == Side::input ? copies.from : copies.to;
  const std::size_t there = from == Side::input ? copies.to : copies.from;
  const std::size_t extent = from == Side::input ? copies.originals : copies.sources.size();
  if (affine.axis != static_cast<int>(here) || affine.channels() != extent)
    return Declined{Decline::axis_unproven, "the channels cannot be traced through the copies"};
  const std::size_t channels = from == Side::input ? copies.sources.size() : copies.originals;
  ChannelAffine moved{static_cast<int>(there), std::vector(channels, 1.0), std::vector(channels, 0.0)};
  std::vector<bool> known(channels, false);
  for (std::size_t j = 0; j < copies.sources.size(); ++j) {
    if (copies.sources[j] < 0) continue;
    const auto original = static_cast<std::size_t>(copies.sources[j]);
    if (original >= copies.originals)
      return Declined{Decline::axis_unproven, "it takes channels that are not there"};
    const std::size_t at = from == Side::input ? original : j;
    const std::size_t to = from == Side::input ? j : original;
    if (known[to] && (moved.scale[to] != affine.scale[at] || moved.shift[to] != affine.shift[at]))
      return Declined{Decline::axis_unproven, "copies of one channel carry different maps"};
    moved.scale[to] = affine.scale[at];
    moved.shift[to] = affine.shift[at];
    known[to] = true;
  }
  return moved;
}

OrDeclined<ChannelAffine> map_of_copied(const ChannelAffine& uniform, const AxisCopies& copies) {
  const ChannelAffine all = uniform.on_axis(static_cast<int>(copies.to), copies.sources.size());
  return carried(all, Side::output, copies);
}

bool leaves_alone(const ChannelAffine& affine, double element) {
  for (std::size_t c = 0; c < affine.channels(); ++c) {
    if (affine.scale[c] * element + affine.shift[c] != element) return false;
  }
  return true;
}

bool leaves_alone(const ChannelAffine& affine, const Tensor* elements) {
  if (elements == nullptr) return false;
  const auto values = read_doubles(elements->view());
  return std::all_of(values.begin(), values.end(), [&](double x) { return leaves_alone(affine, x); });
}

OrDeclined<ChannelAffine> pass_norm(Side from, const ChannelAffine& affine) {
  if (affine.has_shift()) return Declined{Decline::activation_between, "a shift in front of a norm"};
  ChannelAffine passed = affine;
  for (double& s : passed.scale) {
    if (from == Side::output && !(s >= 0.0))
      return Declined{Decline::activation_between, "a scale is negative"};
    s = std::abs(s);
  }
  return passed;
}

}  // namespace bnrun
