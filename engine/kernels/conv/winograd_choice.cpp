#include "kernels/conv/winograd_choice.h"

#include <algorithm>

#include "base/numbers.h"

namespace bnrun {
namespace {

/// What an algorithm costs, in cycles: fitted by least squares to what tests/bench/convolution_bench.cpp measures on a
/// processor with AVX-512 and a second-level cache of 2 MB, within a fifth for every layer, but for the bytes: those are
/// what weights took in networks, where they come from farther than in that benchmark.
struct Cost {
  double multiply_adds;  ///< of one vector, in products
  double input_vector;   ///< transforming a tile of a vector of channels
  double output_vector;  ///< transforming a tile back, and storing it
  double byte;           ///< of weights; Convolution has more to do while they come
};
constexpr Cost kDirect{0.63, 0.0, 18.0, 0.06};
constexpr Cost kTile2{0.60, 140.0, 175.0, 0.15};
constexpr Cost kTile4{0.57, 450.0, 650.0, 0.15};
/// Less than a tenth is within the error of the model, and not worth the memory.
constexpr double kWorthIt = 0.9;

double vectors(std::int64_t channels) {
  return static_cast<double>((channels + 15) / 16);
}

/// For so many tiles, each of which is multiplied by so many matrices (or taps) of weights.
double cycles(const Cost& cost, const ConvolutionSize& size, double tiles, double matrices) {
  const double products = matrices * static_cast<double>(size.C) * vectors(size.M);
  return tiles * (cost.multiply_adds * products + cost.input_vector * vectors(size.C) +
                  cost.output_vector * vectors(size.M)) +
         cost.byte * 64.0 * products;
}

double tiles(const ConvolutionSize& size, std::int64_t tile) {
  const auto along = [&](std::int64_t extent) { return static_cast<double>(ceil_div(extent, tile)); };
  return along(size.lines) * along(size.positions);
}

}  // namespace

std::int64_t quickest_winograd_tile(const ConvolutionSize& size) {
  const double direct = kWorthIt * cycles(kDirect, size, tiles(size, 1), 9.0);
  const double two = cycles(kTile2, size, tiles(size, 2), 16.0);
  const double four = cycles(kTile4, size, tiles(size, 4), 36.0);
  if (direct <= std::min(two, four)) return 0;
  return two <= four ? 2 : 4;
}

}  // namespace bnrun
