#include "affine/scaled_tensor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

namespace bnrun {
namespace {

constexpr std::size_t kBlockElements = 1024;

/// Smaller magnitudes are stored as zero. float16 keeps its subnormals: kernels compute it in
/// float, where they are normal numbers, and many weights of a float16 model are that small.
double smallest_kept(DType dtype) {
  if (dtype == DType::float16) return 0.0;
  if (dtype == DType::float64) return std::numeric_limits<double>::min();
  return static_cast<double>(std::numeric_limits<float>::min());  // bfloat16 has float's exponents
}

template <class T>
double compute_value(T value) {
  return static_cast<double>(static_cast<ComputeType<T>>(value));
}

/// Whether some magnitude is smaller than `limit` but not 0, told without a branch, so that vectors can.
bool any_below(std::span<const double> values, double limit) {
  constexpr std::uint64_t kMagnitude = ~std::uint64_t{0} >> 1;
  const auto least = std::bit_cast<std::uint64_t>(limit);
  std::uint64_t borrows = 0;
  for (const double x : values) {
    const std::uint64_t magnitude = std::bit_cast<std::uint64_t>(x) & kMagnitude;
    borrows |= (magnitude - least) & (0 - magnitude);
  }
  return borrows > kMagnitude;
}

/// Makes those zero; returns how many.
std::size_t flush(std::span<double> values, double limit) {
  std::size_t flushed = 0;
  for (double& x : values) {
    if (x == 0.0 || !(std::abs(x) < limit)) continue;
    x = 0.0;
    ++flushed;
  }
  return flushed;
}

}  // namespace

RoundedTensor round_to_storage(const ScaledTensor& tensor, DType storage) {
  RoundedTensor rounded{Tensor::uninitialized(storage, tensor.values.shape())};
  if (rounded.tensor.elements() == 0) return rounded;
  const auto* in = static_cast<const std::byte*>(tensor.values.view().bytes);
  auto* out = static_cast<std::byte*>(rounded.tensor.mutable_view().bytes);
  const DType held = tensor.values.dtype();
  const double limit = smallest_kept(storage);
  std::array<double, kBlockElements> block{};
  std::size_t filled = 0;
  const auto round_block = [&] {
    const std::span<double> products(block.data(), filled);
    if (any_below(products, limit)) rounded.flushed += flush(products, limit);
    const Shape shape{static_cast<std::int64_t>(filled)};
    convert(TensorView{DType::float64, shape, block.data()}, MutableTensorView{storage, shape, out});
    rounded.before.add(reach_of({held, shape, in}));
    rounded.after.add(reach_of({storage, shape, out}));
    in += filled * element_bytes(held);
    out += filled * element_bytes(storage);
    filled = 0;
  };
  /// Elements from `value` on times `outer` and factor_of(k), block by block in plain loops.
  const auto multiply = [&](const auto* value, std::size_t count, double outer, auto factor_of) {
    for (std::size_t k = 0; k < count;) {
      const std::size_t some = std::min(count - k, block.size() - filled);
      double* to = block.data() + filled;
      for (std::size_t m = 0; m < some; ++m) to[m] = compute_value(value[k + m]) * outer * factor_of(k + m);
      filled += some;
      k += some;
      if (filled == block.size()) round_block();
    }
  };
  const std::size_t columns = tensor.columns();
  const std::size_t taps = tensor.taps();
  dispatch(FloatTypes{}, tensor.values.dtype(), [&]<class T>() {
    const T* value = tensor.values.data<T>();
    for (std::size_t i = 0; i < tensor.outer.size(); ++i) {
      const double* inner = tensor.inner.data() + tensor.first_column(i);
      if (taps == 1) {
        multiply(value, columns, tensor.outer[i], [&](std::size_t k) { return inner[k]; });
      } else {
        for (std::size_t j = 0; j < columns; ++j)
          multiply(value + j * taps, taps, tensor.outer[i], [&](std::size_t) { return inner[j]; });
      }
      value += columns * taps;
    }
  });
  round_block();
  return rounded;
}

}  // namespace bnrun
