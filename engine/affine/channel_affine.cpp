#include "affine/channel_affine.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/fail.h"

namespace bnrun {

bool ChannelAffine::is_identity() const {
  return !has_scale() && !has_shift();
}

bool ChannelAffine::has_shift() const {
  return std::any_of(shift.begin(), shift.end(), [](double t) { return t != 0.0; });
}

bool ChannelAffine::has_scale() const {
  return std::any_of(scale.begin(), scale.end(), [](double s) { return s != 1.0; });
}

ChannelAffine ChannelAffine::on_axis(int wanted_axis, std::size_t wanted_channels) const {
  if (uniform()) {
    return {wanted_axis, std::vector<double>(wanted_channels, scale[0]),
            std::vector<double>(wanted_channels, shift[0])};
  }
  if (axis != wanted_axis || channels() != wanted_channels) {
    fail(ErrorCode::internal, "an affine map of {} channels on axis {} used for {} channels on axis {}",
         channels(), axis, wanted_channels, wanted_axis);
  }
  return *this;
}

std::pair<double, double> batch_normalization_channel(double scale, double B, double mean, double var,
                                                      double epsilon) {
  const double s = scale / std::sqrt(var + epsilon);
  return {s, B - mean * s};
}

OrDeclined<ChannelAffine> batch_normalization_affine(std::span<const double> scale, std::span<const double> B,
                                                     std::span<const double> mean,
                                                     std::span<const double> var, double epsilon) {
  ChannelAffine affine{1, std::vector<double>(scale.size()), std::vector<double>(scale.size())};
  for (std::size_t c = 0; c < scale.size(); ++c) {
    const double variance = var[c] + epsilon;
    if (!(variance > 0.0) || !std::isfinite(variance)) {
      return Declined{Decline::bad_variance, fmt::format("var + epsilon is {} in channel {}", variance, c)};
    }
    std::tie(affine.scale[c], affine.shift[c]) =
        batch_normalization_channel(scale[c], B[c], mean[c], var[c], epsilon);
  }
  return affine;
}

OrDeclined<ChannelAffine> compose(const ChannelAffine& first, const ChannelAffine& second) {
  if (!first.uniform() && !second.uniform() &&
      (first.axis != second.axis || first.channels() != second.channels())) {
    return Declined{Decline::axis_unproven,
                    fmt::format("{} channels on axis {} meet {} channels on axis {}", first.channels(),
                                first.axis, second.channels(), second.axis)};
  }
  const ChannelAffine& shaped = first.uniform() ? second : first;
  const ChannelAffine a = shaped.uniform() ? first : first.on_axis(shaped.axis, shaped.channels());
  const ChannelAffine b = shaped.uniform() ? second : second.on_axis(shaped.axis, shaped.channels());
  ChannelAffine result = a;
  for (std::size_t c = 0; c < result.channels(); ++c) {
    result.scale[c] = a.scale[c] * b.scale[c];
    result.shift[c] = a.shift[c] * b.scale[c] + b.shift[c];
  }
  return result;
}

}  // namespace bnrun
