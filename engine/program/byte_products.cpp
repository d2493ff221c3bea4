#include "program/byte_products.h"

#include <algorithm>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/bytes.h"
#include "base/numbers.h"

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
                      const TakeRows& take, const Workspace& workspace) const {
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
    AlignedBuffer<std::int32_t> sums(static_cast<std::size_t>(here * N()));
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
  std::vector<std::uint8_t> filters(static_cast<std::size_t>(part * K));
  for (std::int64_t g = 0; g < group_; ++g) {
    for (std::int64_t m = 0; m < part; ++m)
      transpose(bytes_of(W) + (g * part + m) * K, in_per_group_, taps, filters.data() + m * K);
    groups_.push_back(PackedBytes({K, part, filters.data(), 1, K, is_signed}));
  }
}

std::vector<std::int16_t> ByteConvolution::centred_lanes(std::span<const std::int32_t> w_zeros) const {
  std::vector<std::int16_t> lanes = lanes_;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const std::size_t m = i % static_cast<std::size_t>(M_);
    lanes[i] = static_cast<std::int16_t>(lanes[i] - w_zeros[w_zeros.size() == 1 ? 0 : m]);
  }
  return lanes;
}

void ByteConvolution::run(const Window& window, const TensorView& X, bool channels_last, std::int32_t x_zero,
                          std::span<const std::int32_t> w_zeros, const Workspace& workspace,
                          const TakeSums& take) const {
  constexpr std::int64_t kRows = 96;  // of one task
  const std::int64_t channels = C();
  const std::int64_t inputs = window.input().elements();
  const std::int64_t outputs = window.output().elements();
  const std::int64_t taps = kernel_.elements();
  const std::int64_t K = taps * in_per_group_;
  const bool is_signed = X.dtype == DType::int8;
  const auto table = window_table(window);
  // Of one tap and with no stride, the rows of X are those of the product.
  const bool as_it_lies =
      taps == 1 && group_ == 1 && std::ranges::all_of(window.axes, [](const WindowAxis& axis) {
        return axis.stride == 1 && axis.pad_begin == 0 && axis.input == axis.output;
      });
  const auto lanes = centred_lanes(w_zeros);
  std::vector<std::uint8_t> turned(static_cast<std::size_t>(channels_last ? 0 : inputs * channels));
  for (std::int64_t n = 0; n < X.shape[0]; ++n) {
    const std::uint8_t* image = bytes_of(X) + n * channels * inputs;
    if (!channels_last) {
      transpose(image, channels, inputs, turned.data());
      image = turned.data();
    }
    workspace.parallel_for(ceil_div(outputs, kRows), [&](std::int64_t task, std::byte*) {
      const std::int64_t first = task * kRows;
      const std::int64_t rows = std::min(kRows, outputs - first);
      AlignedBuffer<std::int32_t> sums(static_cast<std::size_t>(rows * M_));
      const auto position = [&](std::int64_t row, std::int64_t tap) {
        return table[static_cast<std::size_t>(tap * outputs + first + row)];
      };
      if (is_depthwise()) {
        std::vector<const std::uint8_t*> under(static_cast<std::size_t>(taps));
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t k = 0; k < taps; ++k)
            under[static_cast<std::size_t>(k)] =
                position(r, k) == kPadding ? nullptr : image + position(r, k) * channels;
          sum_byte_lanes(under, channels, is_signed, x_zero, lanes.data(), sums.data() + r * M_);
        }
        return take(n, first, rows, sums.data());
      }
      if (as_it_lies) {
        multiply_bytes({rows, image + first * K, K, is_signed, x_zero}, groups_[0], w_zeros, sums.data(), M_,
                       {});
        return take(n, first, rows, sums.data());
      }
      const std::int64_t part = M_ / group_;
      AlignedBuffer<std::uint8_t> gathered(static_cast<std::size_t>(rows * K));
      for (std::int64_t g = 0; g < group_; ++g) {
        std::uint8_t* to = gathered.data();
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t k = 0; k < taps;) {
            const std::int64_t at = position(r, k);
            // taps that lie behind each other in the image
            std::int64_t count = 1;
            while (at != kPadding && group_ == 1 && k + count < taps && position(r, k + count) == at + count)
              ++count;
            const std::int64_t bytes = count * in_per_group_;
            if (at == kPadding)
              std::fill_n(to, bytes, static_cast<std::uint8_t>(x_zero));
            else
              std::copy_n(image + at * channels + g * in_per_group_, bytes, to);
            to += bytes;
            k += count;
          }
        }
        multiply_bytes({rows, gathered.data(), K, is_signed, x_zero}, groups_[static_cast<std::size_t>(g)],
                       w_zeros.size() == 1 ? w_zeros
                                           : w_zeros.subspan(static_cast<std::size_t>(g * part),
                                                             static_cast<std::size_t>(part)),
                       sums.data() + g * part, M_, {});
      }
      take(n, first, rows, sums.data());
    });
  }
}

}  // namespace bnrun
