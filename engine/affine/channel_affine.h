// Affine maps per channel, y = scale[c] * x + shift[c], and BatchNormalization as one of them.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "bnrun/decline.h"

namespace bnrun {

/// A per-channel affine map in double precision. `axis` counts from the front of the tensor it applies to.
/// A uniform map (one scale and shift for all elements) has axis = kUniform and vectors of length 1.
struct ChannelAffine {
  static constexpr int kUniform = -1;

  int axis = kUniform;
  std::vector<double> scale{1.0};
  std::vector<double> shift{0.0};

  std::size_t channels() const { return scale.size(); }
  bool uniform() const { return axis == kUniform; }
  bool is_identity() const;
  bool has_shift() const;  ///< some shift is not zero
  bool has_scale() const;  ///< some scale is not one
  /// The same map with a scale and a shift for each of `channels` channels of `axis`.
  /// REQUIRES: the map is uniform, or has this axis and number of channels already.
  ChannelAffine on_axis(int axis, std::size_t channels) const;

  friend bool operator==(const ChannelAffine&, const ChannelAffine&) = default;
};

/// A value, or why there is none.
template <class T>
using OrDeclined = std::variant<T, Declined>;

/// BatchNormalization of one channel at inference (Ioffe and Szegedy 2015, arXiv 1502.03167):
///   y = first * x + second,  first = scale / sqrt(var + epsilon),  second = B - mean * first
/// If var + epsilon is not positive, the result is inf or NaN.
std::pair<double, double> batch_normalization_channel(double scale, double B, double mean, double var,
                                                      double epsilon);

/// The same for all channels of axis 1. Spans hold one number per channel. Declines with `bad_variance`,
/// naming the channel, unless var + epsilon is positive and finite everywhere.
OrDeclined<ChannelAffine> batch_normalization_affine(std::span<const double> scale, std::span<const double> B,
                                                     std::span<const double> mean,
                                                     std::span<const double> var, double epsilon);

/// second(first(x)). Declines with `axis_unproven` when the two lie on different axes or channel counts.
OrDeclined<ChannelAffine> compose(const ChannelAffine& first, const ChannelAffine& second);

}  // namespace bnrun
