// Exact sums of depthwise convolutions of bytes.
#pragma once

#include <cstdint>
#include <span>

#include "base/temporary.h"

namespace bnrun {

/// Channels that vectors hold, from the fewest that they are used for to the most at once.
inline constexpr std::int64_t kLeastLanes = 16;
inline constexpr std::int64_t kMostLanes = 64;

/// Weights of a depthwise convolution for bytes with this zero point. Its taps lie in lines; the taps of four lines that lie
/// below one another are one word.
class ByteLanes {
 public:
  /// W[lines,kernel,channels], of magnitudes of no more than 255, is copied.
  ByteLanes(std::int64_t lines, std::int64_t kernel, std::int64_t channels, const std::int16_t* W,
            bool is_signed, std::int32_t zero);

  std::int64_t lines() const { return lines_; }
  std::int64_t fours() const { return (lines_ + 3) / 4; }
  std::int64_t kernel() const { return kernel_; }  ///< taps of a line
  std::int64_t channels() const { return channels_; }
  /// Signed bytes whose sum is a weight: one unless some weight is none.
  std::int64_t parts() const { return parts_; }
  std::uint8_t padding() const { return padding_; }
  /// Of signed bytes: what makes unsigned ones of them, which are 128 more.
  std::uint8_t flip() const { return flip_; }
  /// [kernel, fours, parts, channels]
  const std::int32_t* words() const { return words_.data(); }
  /// What the sums of each channel begin with, for the zero point.
  const std::int32_t* start() const { return start_.data(); }

 private:
  std::int64_t lines_;
  std::int64_t kernel_;
  std::int64_t channels_;
  std::int64_t parts_ = 1;
  std::uint8_t padding_;
  std::uint8_t flip_;
  TemporaryBuffer<std::int32_t> words_;
  TemporaryBuffer<std::int32_t> start_;
};

/// What lies under neighbouring outputs of one line.
struct ByteLine {
  /// For each line of taps, where column 0 lies, channels of each column next to each other; null: padding.
  std::span<const std::uint8_t* const> rows;
  std::int64_t columns = 0;
  /// Of the first tap of the first output; what lies before column 0 or behind the last is padding.
  std::int64_t first = 0;
  std::int64_t outputs = 0;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
};

/// Room that sum_byte_lanes wants, in words, for weights of so many lines.
std::int64_t byte_lane_words(std::int64_t lines);

/// Y[o,c] = sum over lines l and taps k of (rows[l][first + o*stride + k*dilation, c] - zero) * W[l,k,c], modulo 2^32.
/// `words`: on a cache line. Thread-safe.
void sum_byte_lanes(ByteLine line, const ByteLanes& lanes, std::int32_t* words, std::int32_t* Y);

}  // namespace bnrun
