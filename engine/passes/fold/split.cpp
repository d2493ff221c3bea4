#include "passes/fold/split.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "affine/exact_sum.h"
#include "base/elements.h"
#include "base/precision.h"

namespace bnrun {
namespace {

/// Half-width of the range that a normalised activation is taken to cover in the estimate of error growth.
constexpr double kNormalisedRange = 3.0;

/// A map in front of W multiplies what is large before the shift brings it down to +-kNormalisedRange: with
/// a = s*x + t, |s*x| reaches kNormalisedRange + |t|, and so does the rounding error relative to the unfolded
/// one. Behind W nothing grows: |W'| = |s||W| and |b'| <= |s||b| + |t|.
double channel_growth(double t) {
  return (kNormalisedRange + std::abs(t)) / kNormalisedRange;
}

/// A number as a constant of this type holds it.
double stored(double value, DType dtype) {
  return read_doubles(convert(Tensor({1}, std::vector<double>{value}), dtype))[0];
}

/// What is centred by more than this is large on its way, where products may square it.
double centre_limit(DType dtype) {
  return dtype == DType::float16 ? 0x1p7 : 0x1p20;
}

std::optional<Split> if_any(Split split) {
  return split.stays.channels == 0 ? std::nullopt : std::optional(std::move(split));
}

}  // namespace

double forward_growth(const ChannelAffine& map) {
  double growth = 1.0;
  for (std::size_t c = 0; c < map.channels(); ++c) {
    if (map.scale[c] != 0.0) growth = std::max(growth, channel_growth(map.shift[c]));
  }
  return growth;
}

double room_in(DType dtype) {
  if (dtype == DType::float16) return 0x1p13;
  if (dtype == DType::float64) return std::numeric_limits<double>::max() * 0x1p-20;
  return static_cast<double>(std::numeric_limits<float>::max()) * 0x1p-20;
}

// Forward:
//   before: x -> [s*x + t] -> L(W, b)        after: x -> Sub(c) -> L(s*W, b + r*W)
// with c = fl(-t/s) in the storage type and r = t + s*c in double.
// Derivation: s*(x - c) + r = s*x + t. Where |t| is large against the spread of the data, x - c is exact near c
// (Sterbenz 1974), where the data lies, while W'*x and b' would cancel in the sum of the layer: its error would
// grow (spread + |t|)/spread times. r is at most what one unit in the last place of x makes of the map.
// Condition: c is finite.
// Where L takes no shift at all (it pads, say), all channels are centred and r is left out, provided that it is no
// more than the rounding of s*x + t itself, as normalised data is, and that x - c leaves room for sums and products.
std::optional<Split> centred(const ChannelAffine& map, std::span<const double> lost, Centre which,
                             double max_growth, DType storage) {
  Split split{map, {map.axis, std::vector<double>(map.channels(), 0.0)}};
  for (std::size_t i = 0; i < map.channels(); ++i) {
    const double s = map.scale[i];
    double& t = split.goes.shift[i];
    const bool grows = s != 0.0 && channel_growth(t) > max_growth;
    if (!grows && (which == Centre::growing || t == 0.0)) continue;
    const double c = stored(-t / s, storage);
    if (!std::isfinite(c)) return std::nullopt;
    const double near = t + s * c;
    const double rest = near + lost_in_map(s, c, t, near) + (lost.empty() ? 0.0 : lost[i]);
    const bool negligible = std::abs(rest) <= unit_roundoff(storage) * kNormalisedRange;
    if (which == Centre::all && (!negligible || std::abs(c) > centre_limit(storage))) return std::nullopt;
    t = which == Centre::all ? 0.0 : rest;
    split.stays.c[i] = c;
    ++split.stays.channels;
  }
  return if_any(std::move(split));
}

// Backward, where what stands between lets no shift pass:
//   before: x -> L(W, b) -> P -> [s*h + t] -> y        after: x -> L(s*W, s*b) -> P -> Add(t) -> y
// Derivation: P passes the scale, so that it gives s*h.
std::optional<Split> shifted_last(const ChannelAffine& map) {
  Split split{map, {map.axis, map.shift}};
  std::ranges::fill(split.goes.shift, 0.0);
  split.stays.channels =
      static_cast<std::size_t>(std::ranges::count_if(map.shift, [](double t) { return t != 0.0; }));
  return if_any(std::move(split));
}

}  // namespace bnrun
