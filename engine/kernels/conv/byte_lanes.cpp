// Y[o,c] = sum over lines l and taps k of (rows[l][first + o*stride + k*dilation, c] - zero) * W[l,k,c]
//
// The processor adds four products of bytes at once. What four lines hold of one channel and column becomes one word, once for
// all outputs that the column is part of; an output then takes one instruction for each tap of a line.

#include "kernels/byte_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/byte_lanes.cpp"
#include <hwy/foreach_target.h>
// keep this order: the line above includes this file once per target
#include <hwy/highway.h>

#include <algorithm>

#include "base/numbers.h"
#include "kernels/conv/byte_lanes.h"
#include "kernels/gemm/add_four-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bnrun {
namespace HWY_NAMESPACE {
namespace {

/// Outputs whose sums are in the making at once, which hides the latency of a multiply-add.
constexpr int kOutputsAtOnce = BNRUN_MANY_SUMS ? 8 : 1;

/// Channels that are worked on together, and their words: [column, fours, channels].
struct LaneBlock {
  const ByteLine& line;
  const ByteLanes& lanes;
  std::int64_t channel;
  std::int64_t channels;
  std::int32_t* words;

  std::int64_t column_words() const { return lanes.fours() * channels; }
};

/// As many channels as a vector of these bytes holds.
template <class D>
HWY_NOINLINE void make_words(D d, const LaneBlock& block, std::int64_t columns) {
  const ByteLine& line = block.line;
  const std::int64_t C = block.lanes.channels();
  const auto flip = hn::Set(d, block.lanes.flip());
  const auto padding = hn::Set(d, static_cast<std::uint8_t>(block.lanes.padding() ^ block.lanes.flip()));
  for (std::int64_t four = 0; four < block.lanes.fours(); ++four) {
    const std::uint8_t* row[4] = {};
    for (std::int64_t l = four * 4; l < std::min(block.lanes.lines(), four * 4 + 4); ++l)
      row[l % 4] = line.rows[static_cast<std::size_t>(l)];
    auto* to = reinterpret_cast<std::uint8_t*>(block.words + four * block.channels);
    for (std::int64_t x = 0; x < columns; ++x, to += block.column_words() * 4) {
      const std::int64_t at = line.first + x;
      const bool inside = at >= 0 && at < line.columns;
      const auto load = [&](int i) HWY_ATTR {
        if (!inside || row[i] == nullptr) return padding;
        return hn::Xor(hn::LoadU(d, row[i] + at * C + block.channel), flip);
      };
      hn::StoreInterleaved4(load(0), load(1), load(2), load(3), d, to);
    }
  }
}

/// R outputs of a vector of channels, of which the first is `lane` of the block.
template <int R>
HWY_INLINE void sum_outputs(const LaneBlock& block, std::int64_t lane, std::int64_t output, std::int32_t* Y) {
  const Words d;
  const ByteLanes& lanes = block.lanes;
  const std::int64_t C = lanes.channels();
  const std::int64_t step = block.line.stride * block.column_words();
  const std::int32_t* weights = lanes.words() + block.channel + lane;
  const std::int32_t* words = block.words + output * step + lane;
  hn::VFromD<Words> sum[R];
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) sum[r] = hn::LoadU(d, lanes.start() + block.channel + lane);
  for (std::int64_t k = 0; k < lanes.kernel(); ++k, words += block.line.dilation * block.column_words()) {
    for (std::int64_t four = 0; four < lanes.fours(); ++four) {
      for (std::int64_t part = 0; part < lanes.parts(); ++part, weights += C) {
        const auto w = hn::LoadU(d, weights);
        HWY_UNROLL(8)
        for (int r = 0; r < R; ++r)
          sum[r] = add_four(sum[r], hn::LoadU(d, words + four * block.channels + r * step), w);
      }
    }
  }
  HWY_UNROLL(8)
  for (int r = 0; r < R; ++r) hn::StoreU(sum[r], d, Y + (output + r) * C + block.channel + lane);
}

/// All outputs, R at once, the last ones once more where there are R, else fewer at once.
template <int R>
void sum_all_outputs(const LaneBlock& block, std::int64_t lane, std::int32_t* Y) {
  const std::int64_t all = block.line.outputs;
  std::int64_t output = 0;
  for (; output + R <= all; output += R) sum_outputs<R>(block, lane, output, Y);
  if (output == all) return;
  if constexpr (R > 1) {
    if (all > R) return sum_outputs<R>(block, lane, all - R, Y);
    sum_all_outputs<R / 2>(block, lane, Y);
  }
}

template <class D>
void sum_block(D d, const LaneBlock& block, std::int64_t columns, std::int32_t* Y) {
  make_words(d, block, columns);
  constexpr auto L = static_cast<std::int64_t>(hn::MaxLanes(Words()));
  for (std::int64_t lane = 0; lane < block.channels; lane += L)
    sum_all_outputs<kOutputsAtOnce>(block, lane, Y);
}

void sum_lanes(const ByteLine& line, const ByteLanes& lanes, std::int64_t columns, std::int32_t* words,
               std::int32_t* Y) {
  const hn::CappedTag<std::uint8_t, kMostLanes> many;
  const hn::CappedTag<std::uint8_t, kLeastLanes> few;
  constexpr auto kMany = static_cast<std::int64_t>(hn::MaxLanes(many));
  constexpr auto kFew = static_cast<std::int64_t>(hn::MaxLanes(few));
  const std::int64_t C = lanes.channels();
  std::int64_t c = 0;
  for (; c + kMany <= C; c += kMany) sum_block(many, {line, lanes, c, kMany, words}, columns, Y);
  for (; c < C; c += kFew)  // the last ones, some of them once more
    sum_block(few, {line, lanes, std::min(c, C - kFew), kFew, words}, columns, Y);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bnrun
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bnrun {
namespace {

HWY_EXPORT(sum_lanes);

/// Whose words are near at once.
constexpr std::int64_t kMostColumns = 208;

/// One number after the other, of fewer channels than a vector has.
void sum_few_lanes(const ByteLine& line, const ByteLanes& lanes, std::int32_t* Y) {
  const std::int64_t C = lanes.channels();
  for (std::int64_t i = 0; i < line.outputs * C; ++i) {
    const std::int64_t c = i % C;
    auto sum = static_cast<std::uint32_t>(lanes.start()[c]);  // wraps around as vectors do
    for (std::int64_t k = 0; k < lanes.kernel(); ++k) {
      const std::int64_t at = line.first + i / C * line.stride + k * line.dilation;
      for (std::int64_t l = 0; l < lanes.lines(); ++l) {
        const std::uint8_t* row = line.rows[static_cast<std::size_t>(l)];
        const bool inside = row != nullptr && at >= 0 && at < line.columns;
        const int x = (inside ? row[at * C + c] : lanes.padding()) ^ lanes.flip();
        for (std::int64_t part = 0; part < lanes.parts(); ++part) {
          const std::int64_t word = ((k * lanes.fours() + l / 4) * lanes.parts() + part) * C + c;
          sum += static_cast<std::uint32_t>(
              x * reinterpret_cast<const std::int8_t*>(lanes.words() + word)[l % 4]);
        }
      }
    }
    Y[i] = static_cast<std::int32_t>(sum);
  }
}

}  // namespace

ByteLanes::ByteLanes(std::int64_t lines, std::int64_t kernel, std::int64_t channels, const std::int16_t* W,
                     bool is_signed, std::int32_t zero)
    : lines_(lines),
      kernel_(kernel),
      channels_(channels),
      padding_(static_cast<std::uint8_t>(zero)),
      flip_(is_signed ? 0x80 : 0),
      start_(static_cast<std::size_t>(channels)) {
  const std::int64_t row = kernel * channels;
  std::int64_t least = 0;
  std::int64_t most = 0;
  for (std::int64_t i = 0; i < lines * row; ++i) {
    least = std::min<std::int64_t>(least, W[i]);
    most = std::max<std::int64_t>(most, W[i]);
  }
  parts_ = std::max({parts_, ceil_div(-least, 128), ceil_div(most, 127)});
  words_ = TemporaryBuffer<std::int32_t>(static_cast<std::size_t>(fours() * parts_ * row));
  std::fill_n(words_.data(), words_.size(), 0);
  TemporaryVector<std::int64_t> sums(static_cast<std::size_t>(channels), 0);
  auto* const bytes = reinterpret_cast<std::int8_t*>(words_.data());
  for (std::int64_t l = 0; l < lines; ++l) {
    for (std::int64_t k = 0; k < kernel; ++k) {
      for (std::int64_t c = 0; c < channels; ++c) {
        std::int32_t rest = *W++;
        sums[static_cast<std::size_t>(c)] += rest;
        for (std::int64_t part = 0; part < parts_; ++part) {
          const std::int32_t some = std::clamp(rest, -128, 127);
          bytes[(((k * fours() + l / 4) * parts_ + part) * channels + c) * 4 + l % 4] =
              static_cast<std::int8_t>(some);
          rest -= some;
        }
      }
    }
  }
  std::ranges::transform(sums, start_.data(),
                         [&](std::int64_t sum) { return static_cast<std::int32_t>(-sum * (zero + flip_)); });
}

std::int64_t byte_lane_words(std::int64_t lines) {
  return kMostColumns * ceil_div(lines, 4) * kMostLanes;
}

void sum_byte_lanes(ByteLine line, const ByteLanes& lanes, std::int32_t* words, std::int32_t* Y) {
  if (lanes.channels() < kLeastLanes) return sum_few_lanes(line, lanes, Y);
  const std::int64_t reach = (lanes.kernel() - 1) * line.dilation + 1;
  TemporaryBuffer<std::int32_t> own;
  if (reach > kMostColumns) {
    own = TemporaryBuffer<std::int32_t>(static_cast<std::size_t>(reach * lanes.fours() * kMostLanes));
    words = own.data();
  }
  const std::int64_t most = std::max<std::int64_t>(kMostColumns - reach, 0) / line.stride + 1;
  for (std::int64_t rest = line.outputs; rest > 0; rest -= line.outputs) {
    line.outputs = std::min(rest, most);
    const std::int64_t columns = (line.outputs - 1) * line.stride + reach;
    HWY_DYNAMIC_DISPATCH(sum_lanes)(line, lanes, columns, words, Y);
    line.first += line.outputs * line.stride;
    Y += line.outputs * lanes.channels();
  }
}

}  // namespace bnrun
#endif
