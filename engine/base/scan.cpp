#include "base/scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/dispatch.h"
#include "base/elements.h"

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

bool all_finite(const TensorView& tensor) {
  if (!is_floating(tensor.dtype)) return true;
  bool finite = true;
  dispatch(FloatTypes{}, tensor.dtype, [&]<class T>() {
    // Integers, because their sums may be taken in any order: infinity and NaN have all bits of the exponent set.
    using Bits = typename BitsOf<sizeof(T)>::type;
    const auto exponent = std::bit_cast<Bits>(T(std::numeric_limits<ComputeType<T>>::infinity()));
    Bits found = 0;
    for (const T& x : tensor.span<T>())
      found = static_cast<Bits>(found | ((std::bit_cast<Bits>(x) & exponent) == exponent ? 1 : 0));
    finite = found == 0;
  });
  return finite;
}

double largest_magnitude(const TensorView& tensor) {
  if (!is_floating(tensor.dtype)) return 0.0;
  double largest = 0.0;
  dispatch(FloatTypes{}, tensor.dtype, [&]<class T>() {
    using C = ComputeType<T>;
    // Several maxima, which vectors hold; a comparison with NaN is false.
    std::array<C, 16> most{};
    const auto elements = tensor.span<T>();
    const auto take = [&](std::size_t i, std::size_t lane) {
      const C x = std::abs(static_cast<C>(elements[i]));
      most[lane] = x > most[lane] ? x : most[lane];
    };
    std::size_t i = 0;
    for (; i + most.size() <= elements.size(); i += most.size())
      for (std::size_t lane = 0; lane < most.size(); ++lane) take(i + lane, lane);
    for (; i < elements.size(); ++i) take(i, 0);
    largest = static_cast<double>(*std::max_element(most.begin(), most.end()));
  });
  return largest;
}

}  // namespace bnrun
