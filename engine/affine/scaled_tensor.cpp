#include "affine/scaled_tensor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

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

}  // namespace

Tensor round_to_storage(const ScaledTensor& tensor, DType storage, std::size_t& flushed) {
  Tensor rounded = Tensor::uninitialized(storage, tensor.values.shape());
  if (rounded.elements() == 0) return rounded;
  auto* out = static_cast<std::byte*>(rounded.mutable_view().bytes);
  const double limit = smallest_kept(storage);
  std::array<double, kBlockElements> block{};
  std::size_t filled = 0;
  const auto round_block = [&] {
    for (std::size_t k = 0; k < filled; ++k) {
      const bool flush = block[k] != 0.0 && std::abs(block[k]) < limit;
      flushed += flush ? 1 : 0;
      block[k] = flush ? 0.0 : block[k];
    }
    const Shape shape{static_cast<std::int64_t>(filled)};
    convert(TensorView{DType::float64, shape, block.data()}, MutableTensorView{storage, shape, out});
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
