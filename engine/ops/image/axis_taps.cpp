#include "ops/image/axis_taps.h"

#include <utility>

namespace bnrun {

AxisTaps AxisTaps::identity(std::int64_t extent) {
  AxisTaps taps;
  taps.reserve(extent);
  for (std::int64_t o = 0; o < extent; ++o) {
    taps.add({o, 1.0});
    taps.end_output();
  }
  return taps;
}

bool AxisTaps::is_identity(std::int64_t extent) const {
  if (static_cast<std::int64_t>(size()) != extent) return false;
  for (std::size_t o = 0; o < size(); ++o) {
    const auto of_output = (*this)[o];
    if (of_output.size() != 1 || of_output[0].index != static_cast<std::int64_t>(o) ||
        of_output[0].weight != 1.0)
      return false;
  }
  return true;
}

TemporaryVector<std::int64_t> sources_of(const Shape& X, std::span<const AxisTaps> taps, std::size_t axes) {
  TemporaryVector<std::int64_t> sources{0};
  for (std::size_t axis = 0; axis < axes; ++axis) {
    TemporaryVector<std::int64_t> next;
    next.reserve(sources.size() * taps[axis].size());
    for (const std::int64_t outer : sources) {
      for (std::size_t o = 0; o < taps[axis].size(); ++o) {
        const auto of_output = taps[axis][o];
        next.push_back(outer < 0 || of_output.empty() ? -1 : outer * X[axis] + of_output[0].index);
      }
    }
    sources = std::move(next);
  }
  return sources;
}

void interpolate_lines(const double* from, std::int64_t inner, const AxisTaps& taps, double* to) {
  for (std::size_t o = 0; o < taps.size(); ++o) {
    const auto of_output = taps[o];
    if (inner == 1) {
      double sum = 0.0;
      for (const Tap& tap : of_output) sum += tap.weight * from[tap.index];
      *to++ = sum;
      continue;
    }
    for (const Tap& tap : of_output) {
      for (std::int64_t j = 0; j < inner; ++j) to[j] += tap.weight * from[tap.index * inner + j];
    }
    to += inner;
  }
}

}  // namespace bnrun
