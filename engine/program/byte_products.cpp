#include "program/byte_products.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/bytes.h"
#include "base/numbers.h"
#include "kernels/conv/byte_lanes.h"

namespace bnrun {
namespace {

/// Y[P,C] = transposed X[C,P].
void transpose(const std::uint8_t* X, std::int64_t C, std::int64_t P, std::uint8_t* Y) {
  constexpr std::int64_t kSide = 64;
  for (std::int64_t p0 = 0; p0 < P; p0 += kSide) {
    const std::int64_t p1 = std::min(P, p0 + kSide);
    for (std::int64_t c = 0; c < C; ++c) {
      for (std::int64_t p = p0; p < p1; ++p) Y[p * C + c] = X[c * P + p];
    }
  }
}

/// Where the taps of outputs lie, those of one line together.
class TapLines {
 public:
  explicit TapLines(const Window& window) : outer_(window.axes), inner_(window.axes.back()) {
    outer_.pop_back();
    for (const WindowAxis& axis : outer_) lines_ *= axis.kernel;
    for (std::int64_t line = 0; line < lines_; ++line) {
      std::int64_t step = lines_;
      for (const WindowAxis& axis : outer_) {
        step /= axis.kernel;
        taps_.push_back(line / step % axis.kernel);
      }
    }
    for (std::int64_t o = 0; o < inner_.output; ++o) {
      const auto [first, last] = inner_.taps_inside(o);
      inside_.push_back({first, last, inner_.position(o, first)});
    }
  }

  const WindowAxis& inner() const { return inner_; }
  std::int64_t count() const { return lines_; }  ///< of lines

  /// Calls visit(i, tap, count, at) for all taps of outputs first + i, i ascending from 0 to `rows`, in order: so many at a
  /// time as lie at `at` of the flattened input and from there on, `dilation` apart, or are padding (kPadding).
  template <class F>
  void each(std::int64_t first, std::int64_t rows, const F& visit) const {
    each_line(first, rows, [&](std::int64_t i, std::int64_t o, std::int64_t count, const Starts& starts) {
      for (std::int64_t end = i + count; i < end; ++i, ++o)
        each_tap(starts, inside_[static_cast<std::size_t>(o)], [&](auto... taps) { visit(i, taps...); });
    });
  }

  /// Where each line of taps begins in the flattened input, as if it were not padded along it; kPadding: nowhere.
  using Starts = TemporaryVector<std::int64_t>;

  /// Calls visit(i, o, count, starts) for outputs first + i to first + i + count, which are o and so on of one line.
  template <class F>
  void each_line(std::int64_t first, std::int64_t rows, const F& visit) const {
    Starts starts(static_cast<std::size_t>(lines_));
    for (std::int64_t i = 0; i < rows;) {
      const std::int64_t o = (first + i) % inner_.output;
      const std::int64_t count = std::min(inner_.output - o, rows - i);
      find_starts((first + i) / inner_.output, starts);
      visit(i, o, count, starts);
      i += count;
    }
  }

 private:
  /// Of the taps of a line.
  struct Inside {
    std::int64_t first, last, begin;
  };

  /// Of the outputs of line `output`.
  void find_starts(std::int64_t output, Starts& starts) const {
    std::array<std::int64_t, Shape::kMaxRank> at{};
    for (std::size_t a = outer_.size(); a-- > 0; output /= outer_[a].output)
      at[a] = output % outer_[a].output;
    const std::int64_t* tap_at = taps_.data();
    for (std::int64_t& start : starts) {
      std::int64_t base = 0;
      bool there = true;
      for (std::size_t a = 0; a < outer_.size(); ++a) {
        const std::int64_t position = outer_[a].position(at[a], *tap_at++);
        there = there && position >= 0 && position < outer_[a].input;
        base = base * outer_[a].input + position;
      }
      start = there ? base * inner_.input : kPadding;
    }
  }

  template <class F>
  void each_tap(const Starts& starts, const Inside& inside, const F& visit) const {
    std::int64_t tap = 0;
    for (const std::int64_t start : starts) {
      if (start == kPadding || inside.first >= inside.last) {
        visit(tap, inner_.kernel, kPadding);
      } else {
        if (inside.first > 0) visit(tap, inside.first, kPadding);
        visit(tap + inside.first, inside.last - inside.first, start + inside.begin);
        if (inside.last < inner_.kernel) visit(tap + inside.last, inner_.kernel - inside.last, kPadding);
      }
      tap += inner_.kernel;
    }
  }

  TemporaryVector<WindowAxis> outer_;
  WindowAxis inner_;
  std::int64_t lines_ = 1;
  TemporaryVector<std::int64_t> taps_;  ///< of each line, along each outer axis
  TemporaryVector<Inside> inside_;      ///< for each output of a line
};

std::size_t whole_lines(std::int64_t bytes) {
  return static_cast<std::size_t>(rounded_up(bytes, static_cast<std::int64_t>(kCacheLine)));
}

}  // namespace

std::optional<ByteProduct> ByteProduct::pack(const TensorView& B) {
  const std::size_t rank = B.shape.rank();
  if (rank == 0 || rank > 2 || !is_byte(B.dtype)) return std::nullopt;
  const std::int64_t N = rank == 2 ? B.shape[1] : 1;
  return ByteProduct(PackedBytes({B.shape[0], N, bytes_of(B), N, 1, B.dtype == DType::int8}));
}

void ByteProduct::run(const TensorView& A, std::int32_t a_zero, std::span<const std::int32_t> b_zeros,
                      std::int32_t* Y, const Workspace& workspace) const {
  const std::int64_t rows = A.shape.elements(0, A.shape.rank() - 1);
  multiply_bytes({rows, bytes_of(A), packed_.K(), A.dtype == DType::int8, a_zero}, packed_, b_zeros, Y, N(),
                 workspace);
}

void ByteProduct::run(const TensorView& A, std::int32_t a_zero, std::span<const std::int32_t> b_zeros,
                      TakeRows take, const Workspace& workspace) const {
  constexpr std::int64_t kSums = 1 << 17;  // half a megabyte of them
  constexpr std::int64_t kLeastRows = 64;
  constexpr std::int64_t kUnit = 32;
  const std::int64_t all = A.shape.elements(0, A.shape.rank() - 1);
  if (all == 0 || N() == 0) return;
  std::int64_t rows = std::max(kLeastRows, kSums / N() / kUnit * kUnit);
  const bool shares_blocks = ceil_div(all, rows) >= workspace.threads();
  if (!shares_blocks) rows = all;
  const auto block = [&](std::int64_t task, const Workspace& inside) {
    const std::int64_t first = task * rows;
    const std::int64_t here = std::min(rows, all - first);
    TemporaryBuffer<std::int32_t> sums(static_cast<std::size_t>(here * N()));
    multiply_bytes({here, bytes_of(A) + first * packed_.K(), packed_.K(), A.dtype == DType::int8, a_zero},
                   packed_, b_zeros, sums.data(), N(), inside);
    take(first, here, sums.data());
  };
  if (!shares_blocks) return block(0, workspace);
  workspace.parallel_for(ceil_div(all, rows), [&](std::int64_t task, std::byte*) { block(task, {}); });
}

ByteConvolution::ByteConvolution(const TensorView& W, std::int64_t group)
    : M_(W.shape[0]),
      group_(group),
      in_per_group_(W.shape[1]),
      kernel_(std::span(W.shape.begin() + 2, W.shape.end())) {
  const std::int64_t taps = kernel_.elements();
  const bool is_signed = W.dtype == DType::int8;
  for (std::int64_t i = 0; is_depthwise() && i < taps * M_; ++i) {
    const std::uint8_t w = bytes_of(W)[i % M_ * taps + i / M_];
    lanes_.push_back(is_signed ? static_cast<std::int8_t>(w) : w);
  }
  if (is_depthwise()) return;
  // The taps of an output lie behind one another, and the channels of each within.
  const std::int64_t K = taps * in_per_group_;
  const std::int64_t part = M_ / group_;
  TemporaryBuffer<std::uint8_t> filters(static_cast<std::size_t>(part * K));
  for (std::int64_t g = 0; g < group_; ++g) {
    for (std::int64_t m = 0; m < part; ++m)
      transpose(bytes_of(W) + (g * part + m) * K, in_per_group_, taps, filters.data() + m * K);
    groups_.push_back(PackedBytes({K, part, filters.data(), 1, K, is_signed}));
  }
}

TemporaryVector<std::int16_t> ByteConvolution::centred_lanes(std::span<const std::int32_t> w_zeros) const {
  TemporaryVector<std::int16_t> lanes = lanes_;
  const auto M = static_cast<std::size_t>(M_);
  for (std::size_t first = 0; first < lanes.size(); first += M) {
    for (std::size_t m = 0; m < M; ++m)
      lanes[first + m] = static_cast<std::int16_t>(lanes[first + m] - w_zeros[w_zeros.size() == 1 ? 0 : m]);
  }
  return lanes;
}

std::size_t ByteConvolution::sum_bytes() const {
  return whole_lines(kTaskRows * M_ * static_cast<std::int64_t>(sizeof(std::int32_t)));
}

std::size_t ByteConvolution::scratch_bytes() const {
  const std::int64_t behind = is_depthwise() ? byte_lane_words(kernel_.elements(0, kernel_.rank() - 1)) *
                                                   static_cast<std::int64_t>(sizeof(std::int32_t))
                                             : kTaskRows * kernel_.elements() * in_per_group_;
  return sum_bytes() + whole_lines(behind);
}

void ByteConvolution::run(const Window& window, const TensorView& X, bool channels_last, std::int32_t x_zero,
                          std::span<const std::int32_t> w_zeros, const Workspace& workspace,
                          TakeSums take) const {
  const std::int64_t channels = C();
  const std::int64_t inputs = window.input().elements();
  const std::int64_t outputs = window.output().elements();
  const std::int64_t taps = kernel_.elements();
  const std::int64_t K = taps * in_per_group_;
  const bool is_signed = X.dtype == DType::int8;
  const TapLines lines(window);
  // Of one tap and with no stride, the rows of X are those of the product.
  const bool as_it_lies =
      taps == 1 && group_ == 1 && std::ranges::all_of(window.axes, [](const WindowAxis& axis) {
        return axis.stride == 1 && axis.pad_begin == 0 && axis.input == axis.output;
      });
  std::optional<ByteLanes> lanes;
  if (is_depthwise())
    lanes.emplace(lines.count(), lines.inner().kernel, channels, centred_lanes(w_zeros).data(), is_signed,
                  x_zero);
  const bool lent = workspace.scratch_bytes() >= scratch_bytes();
  TemporaryBuffer<std::uint8_t> turned(static_cast<std::size_t>(channels_last ? 0 : inputs * channels));
  for (std::int64_t n = 0; n < X.shape[0]; ++n) {
    const std::uint8_t* image = bytes_of(X) + n * channels * inputs;
    if (!channels_last) {
      transpose(image, channels, inputs, turned.data());
      image = turned.data();
    }
    workspace.parallel_for(ceil_div(outputs, kTaskRows), [&](std::int64_t task, std::byte* scratch) {
      const std::int64_t first = task * kTaskRows;
      const std::int64_t rows = std::min(kTaskRows, outputs - first);
      TemporaryBuffer<std::byte> own;
      if (!lent) {
        own = TemporaryBuffer<std::byte>(scratch_bytes());
        scratch = own.data();
      }
      auto* const sums = reinterpret_cast<std::int32_t*>(scratch);
      if (lanes) {
        TemporaryVector<const std::uint8_t*> under(static_cast<std::size_t>(lines.count()));
        auto* const words = reinterpret_cast<std::int32_t*>(scratch + sum_bytes());
        lines.each_line(
            first, rows,
            [&](std::int64_t r, std::int64_t o, std::int64_t count, const TapLines::Starts& starts) {
              std::ranges::transform(starts, under.begin(), [&](std::int64_t start) {
                return start == kPadding ? nullptr : image + start * channels;
              });
              const WindowAxis& axis = lines.inner();
              sum_byte_lanes({under, axis.input, axis.position(o, 0), count, axis.stride, axis.dilation},
                             *lanes, words, sums + r * M_);
            });
        return take(n, first, rows, sums);
      }
      if (as_it_lies) {
        multiply_bytes({rows, image + first * K, K, is_signed, x_zero}, groups_[0], w_zeros, sums, M_, {});
        return take(n, first, rows, sums);
      }
      const std::int64_t part = M_ / group_;
      auto* const gathered = reinterpret_cast<std::uint8_t*>(scratch + sum_bytes());
      for (std::int64_t g = 0; g < group_; ++g) {
        lines.each(first, rows, [&](std::int64_t r, std::int64_t tap, std::int64_t count, std::int64_t at) {
          std::uint8_t* to = gathered + r * K + tap * in_per_group_;
          const std::uint8_t* from = image + at * channels + g * in_per_group_;
          if (at == kPadding) {
            std::fill_n(to, count * in_per_group_, static_cast<std::uint8_t>(x_zero));
          } else if (group_ == 1 && lines.inner().dilation == 1) {
            std::copy_n(from, count * in_per_group_, to);
          } else {
            for (std::int64_t i = 0; i < count; ++i)
              std::copy_n(from + i * lines.inner().dilation * channels, in_per_group_,
                          to + i * in_per_group_);
          }
        });
        multiply_bytes({rows, gathered, K, is_signed, x_zero}, groups_[static_cast<std::size_t>(g)],
                       w_zeros.size() == 1 ? w_zeros
                                           : w_zeros.subspan(static_cast<std::size_t>(g * part),
                                                             static_cast<std::size_t>(part)),
                       sums + g * part, M_, {});
      }
      take(n, first, rows, sums);
    });
  }
}

}  // namespace bnrun
