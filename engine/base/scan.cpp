#include "base/scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "base/dispatch.h"

namespace bnrun {
namespace {

template <std::size_t bytes>
struct BitsOf;
template <>
struct BitsOf<2> {
  using type = std::uint16_t;
};
template <>
struct BitsOf<4> {
  using type = std::uint32_t;
};
template <>
struct BitsOf<8> {
  using type = std::uint64_t;
};

}  // namespace

Reach reach_of(const TensorView& tensor) {
  Reach reach;
  if (!is_floating(tensor.dtype)) return reach;
  dispatch(FloatTypes{}, tensor.dtype, [&]<class T>() {
    // Without their signs, numbers are in the order of their bits, infinity behind all and NaN behind infinity.
    using Bits = typename BitsOf<sizeof(T)>::type;
    const auto magnitude = [](const T& x) {
      return static_cast<Bits>(std::bit_cast<Bits>(x) & (static_cast<Bits>(~Bits{0}) >> 1));
    };
    const auto infinity = std::bit_cast<Bits>(T(std::numeric_limits<ComputeType<T>>::infinity()));
    const auto elements = tensor.span<T>();
    std::array<Bits, 16> most{};  // several maxima, which vectors hold
    std::size_t i = 0;
    for (; i + most.size() <= elements.size(); i += most.size())
      for (std::size_t lane = 0; lane < most.size(); ++lane)
        most[lane] = std::max(most[lane], magnitude(elements[i + lane]));
    for (; i < elements.size(); ++i) most[0] = std::max(most[0], magnitude(elements[i]));
    Bits largest = *std::max_element(most.begin(), most.end());
    reach.finite = largest < infinity;
    if (largest > infinity) {
      largest = 0;
      for (const T& x : elements)
        if (magnitude(x) <= infinity) largest = std::max(largest, magnitude(x));
    }
    reach.largest = static_cast<double>(static_cast<ComputeType<T>>(std::bit_cast<T>(largest)));
  });
  return reach;
}

}  // namespace bnrun
