// What resizing one axis takes: for each output the inputs that it is a sum of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/temporary.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// An element of X with its share in an element of Y.
struct Tap {
  std::int64_t index;
  double weight;
};

/// The taps of each output along one axis; none where the output lies outside and takes extrapolation_value.
class AxisTaps {
 public:
  /// Each output is the input of its own number.
  static AxisTaps identity(std::int64_t extent);
  bool is_identity(std::int64_t extent) const;  ///< of an axis of that extent

  std::size_t size() const { return ends_.size(); }  ///< of outputs
  std::span<const Tap> operator[](std::size_t o) const {
    const std::size_t first = o == 0 ? 0 : ends_[o - 1];
    return std::span(taps_).subspan(first, ends_[o] - first);
  }

  void reserve(std::int64_t outputs) { ends_.reserve(static_cast<std::size_t>(outputs)); }
  /// To the output that comes next, which `end_output` ends.
  void add(const Tap& tap) { taps_.push_back(tap); }
  std::span<Tap> of_next() { return std::span(taps_).subspan(ends_.empty() ? 0 : ends_.back()); }
  void end_output() { ends_.push_back(taps_.size()); }

 private:
  TemporaryVector<Tap> taps_;
  TemporaryVector<std::size_t> ends_;
};

/// For each position of Y along the first `axes` axes that of its first tap in X, or -1 where Y takes
/// extrapolation_value.
TemporaryVector<std::int64_t> sources_of(const Shape& X, std::span<const AxisTaps> taps, std::size_t axes);

/// Positions of an axis that has these taps, of `inner` elements each. REQUIRES: `to` is zero.
void interpolate_lines(const double* from, std::int64_t inner, const AxisTaps& taps, double* to);

}  // namespace bnrun
