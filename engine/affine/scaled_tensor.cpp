#include "affine/scaled_tensor.h"

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

}  // namespace

Tensor round_to_storage(const ScaledTensor& tensor, DType storage, std::size_t& flushed) {
  Tensor rounded(storage, tensor.values.shape());
  auto* out = static_cast<std::byte*>(rounded.mutable_view().bytes);
  const double limit = smallest_kept(storage);
  std::array<double, kBlockElements> block{};
  std::size_t filled = 0;
  const auto round_block = [&] {
    const Shape shape{static_cast<std::int64_t>(filled)};
    convert(TensorView{DType::float64, shape, block.data()}, MutableTensorView{storage, shape, out});
    out += filled * element_bytes(storage);
    filled = 0;
  };
  for_each_element(tensor, [&](std::size_t i, std::size_t j, double value) {
    const double product = value * tensor.outer[i] * tensor.inner[j];
    const bool flush = product != 0.0 && std::abs(product) < limit;
    flushed += flush ? 1 : 0;
    block[filled++] = flush ? 0.0 : product;
    if (filled == block.size()) round_block();
  });
  round_block();
  return rounded;
}

}  // namespace bnrun
