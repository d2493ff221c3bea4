// Winograd's convolutions of random forms against double: within the bound that is stated, the same bits on every
// instruction set, for any batch and any number of threads.
#include "kernels/conv/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/conv/winograd_choice.h"
#include "support/convolution_activations.h"
#include "support/graph_building.h"
#include "support/only_target.h"

namespace bnrun::testing {
namespace {

std::vector<float> drawn(std::int64_t count, std::uint32_t seed) {
  if (count == 0) return {};
  const Tensor tensor = random_tensor<float>({count}, seed, -2.0, 2.0);
  return {tensor.span<float>().begin(), tensor.span<float>().end()};
}

/// One convolution of 3x3 taps and the data that it runs on.
struct TiledCase {
  Window window;
  std::int64_t batch = 1;
  std::int64_t C = 1;
  std::int64_t M = 1;
  Dense<float>::Epilogue epilogue;
  std::vector<float> W;
  std::vector<float> X;
  std::vector<float> addend;  ///< or empty

  explicit TiledCase(std::uint32_t seed) {
    std::mt19937 engine(seed);
    const auto between = [&](std::int64_t low, std::int64_t high) {
      return low + static_cast<std::int64_t>(engine() % static_cast<std::uint32_t>(high - low + 1));
    };
    const auto chance = [&](std::int64_t percent) { return between(1, 100) <= percent; };
    const auto axis = [&](std::int64_t longest) {
      for (;;) {
        const std::int64_t input = between(1, longest);
        const std::int64_t begin = chance(60) ? 1 : between(0, 4);
        const std::int64_t end = chance(60) ? begin : between(0, 4);
        if (input + begin + end >= 3) return WindowAxis{input, input + begin + end - 2, 3, 1, 1, begin, end};
      }
    };
    window.axes = {axis(40), axis(40)};
    batch = between(1, 3);
    C = chance(30) ? 16 * between(1, 4) : between(1, 70);
    M = chance(30) ? 16 * between(1, 4) : between(1, 70);
    // The reference is slow: what would take long is made small.
    while (batch * window.output().elements() * C * M > 400'000) {
      C = (C + 1) / 2;
      window.axes[0] = axis(12);
    }
    epilogue.activation = kConvolutionActivations[static_cast<std::size_t>(between(0, 5))];
    const auto more = static_cast<std::uint32_t>(engine());
    if (chance(60)) epilogue.scale = drawn(M, more);
    if (chance(60)) epilogue.shift = drawn(M, more + 1);
    if (chance(30)) addend = drawn(batch * window.output().elements() * M, more + 2);
    W = drawn(M * C * 9, more + 3);
    X = drawn(batch * window.input().elements() * C, more + 4);
  }

  Winograd winograd(std::int64_t tile) const { return Winograd(tile, {C, M, 1, {3, 3}, W.data()}, epilogue); }

  std::vector<float> run(const Winograd& kernel, const Workspace& workspace = {}) const {
    std::vector<float> Y(static_cast<std::size_t>(batch * window.output().elements() * M), -77.0F);
    kernel.run(window, batch, X.data(), addend.empty() ? nullptr : addend.data(), Y.data(), workspace);
    return Y;
  }

  double x_at(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) const {
    const std::int64_t H = window.axes[0].input;
    const std::int64_t width = window.axes[1].input;
    if (y < 0 || y >= H || x < 0 || x >= width) return 0.0;
    return static_cast<double>(X[static_cast<std::size_t>(((n * H + y) * width + x) * C + c)]);
  }

  /// The largest |x| that the tile of this output reads.
  double largest_read(std::int64_t tile, std::int64_t n, std::int64_t line, std::int64_t position) const {
    double largest = 0.0;
    const std::int64_t y = line / tile * tile - window.axes[0].pad_begin;
    const std::int64_t x = position / tile * tile - window.axes[1].pad_begin;
    for (std::int64_t i = 0; i < tile + 2; ++i) {
      for (std::int64_t j = 0; j < tile + 2; ++j) {
        for (std::int64_t c = 0; c < C; ++c) largest = std::max(largest, std::abs(x_at(n, y + i, x + j, c)));
      }
    }
    return largest;
  }

  std::string describe() const {
    std::string text =
        "batch " + std::to_string(batch) + " C " + std::to_string(C) + " M " + std::to_string(M);
    for (const WindowAxis& a : window.axes) {
      text += " [input " + std::to_string(a.input) + " pads " + std::to_string(a.pad_begin) + "," +
              std::to_string(a.pad_end) + "]";
    }
    return text;
  }
};

/// f(x), in double, and how far f moves where x does by one, at most.
double apply(const Activation& activation, double x) {
  activate(activation, std::span<double>(&x, 1));
  return x;
}
double slope_of(const Activation& activation) {
  return activation.kind == Activation::Kind::hard_swish ? 1.5 : 1.0;
}

/// The largest share of its bound that any output of `Y` is off by.
double share_of_bound(const TiledCase& c, std::int64_t tile, const std::vector<float>& Y) {
  const std::int64_t lines = c.window.axes[0].output;
  const std::int64_t positions = c.window.axes[1].output;
  const double factor = Winograd::error_factor(tile, c.C);
  double largest = 0.0;
  std::size_t at = 0;
  for (std::int64_t n = 0; n < c.batch; ++n) {
    for (std::int64_t i = 0; i < lines; ++i) {
      for (std::int64_t j = 0; j < positions; ++j) {
        const double read = c.largest_read(tile, n, i, j);
        for (std::int64_t m = 0; m < c.M; ++m, ++at) {
          double sum = 0.0;
          double weights = 0.0;
          for (std::int64_t k = 0; k < 9; ++k) {
            for (std::int64_t channel = 0; channel < c.C; ++channel) {
              const double w =
                  static_cast<double>(c.W[static_cast<std::size_t>((m * c.C + channel) * 9 + k)]);
              weights += std::abs(w);
              sum += w * c.x_at(n, i + k / 3 - c.window.axes[0].pad_begin,
                                j + k % 3 - c.window.axes[1].pad_begin, channel);
            }
          }
          const auto column = static_cast<std::size_t>(m);
          const double scale = c.epilogue.scale.empty() ? 1.0 : static_cast<double>(c.epilogue.scale[column]);
          const double shift = c.epilogue.shift.empty() ? 0.0 : static_cast<double>(c.epilogue.shift[column]);
          const double added = c.addend.empty() ? 0.0 : static_cast<double>(c.addend[at]);
          // What follows the sum rounds a few times as well.
          const double after = std::abs(scale * sum) + std::abs(shift) + std::abs(added) + 1.0;
          const double bound = slope_of(c.epilogue.activation) *
                               (std::abs(scale) * factor * read * weights + 8.0 * 0x1p-24 * after);
          const double expected = apply(c.epilogue.activation, scale * sum + shift + added);
          largest = std::max(largest, std::abs(static_cast<double>(Y[at]) - expected) / bound);
        }
      }
    }
  }
  return largest;
}

constexpr std::uint32_t kCases = 150;

TEST(Winograd, KeepsTheBoundItStatesForRandomForms) {
  double largest = 0.0;
  for (std::uint32_t seed = 1; seed <= kCases; ++seed) {
    const TiledCase c(seed);
    for (const std::int64_t tile : {2, 4}) {
      const double share = share_of_bound(c, tile, c.run(c.winograd(tile)));
      ASSERT_LE(share, 1.0) << "tile " << tile << " seed " << seed << ": " << c.describe();
      largest = std::max(largest, share);
    }
  }
  // A bound that nothing comes near would say nothing.
  EXPECT_GT(largest, 1e-3);
}

TEST(Winograd, HasTheSameBitsOnEveryInstructionSetAndForAnyNumberOfThreads) {
  const auto targets = targets_with_fma();
  // Only targets with it are said to agree to the bit; without any there is nothing to compare.
  if (targets.empty()) GTEST_SKIP() << "this processor has no fused multiply-add";
  ThreadPool three(3);
  for (std::uint32_t seed = 1000; seed < 1000 + kCases; ++seed) {
    const TiledCase c(seed);
    for (const std::int64_t tile : {2, 4}) {
      const Winograd kernel = c.winograd(tile);
      const auto expected = c.run(kernel);
      for (const auto target : targets) {
        const OnlyTarget only(target);
        ASSERT_TRUE(same_bits(c.run(kernel), expected))
            << hwy::TargetName(target) << " tile " << tile << " seed " << seed << ": " << c.describe();
      }
      ASSERT_TRUE(same_bits(c.run(kernel, Workspace(&three, nullptr, 0)), expected))
          << "three threads, tile " << tile << " seed " << seed << ": " << c.describe();
    }
  }
}

TEST(Winograd, KeepsItsBoundOnEveryInstructionSet) {
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    for (std::uint32_t seed = 2000; seed < 2020; ++seed) {
      const TiledCase c(seed);
      for (const std::int64_t tile : {2, 4})
        EXPECT_LE(share_of_bound(c, tile, c.run(c.winograd(tile))), 1.0)
            << hwy::TargetName(target) << " tile " << tile << ": " << c.describe();
    }
  }
}

TEST(Winograd, ImageAloneEqualsTheImageInABatch) {
  for (std::uint32_t seed = 3000; seed < 3050; ++seed) {
    TiledCase c(seed);
    c.addend.clear();
    for (const std::int64_t tile : {2, 4}) {
      const auto together = c.run(c.winograd(tile));
      const auto image = static_cast<std::ptrdiff_t>(c.X.size()) / c.batch;
      const auto result = static_cast<std::ptrdiff_t>(together.size()) / c.batch;
      TiledCase alone = c;
      alone.batch = 1;
      for (std::ptrdiff_t n = 0; n < c.batch; ++n) {
        alone.X.assign(c.X.begin() + n * image, c.X.begin() + (n + 1) * image);
        const auto by_itself = alone.run(alone.winograd(tile));
        EXPECT_TRUE(same_bits(by_itself, std::vector<float>(together.begin() + n * result,
                                                            together.begin() + (n + 1) * result)))
            << "tile " << tile << ": " << c.describe();
      }
    }
  }
}

/// Sizes at which there are several blocks of tiles and of columns.
TEST(Winograd, LargeLayersKeepTheBoundWithAnyNumberOfThreads) {
  struct Size {
    std::int64_t extent, C, M;
  };
  ThreadPool three(3);
  for (const auto& [extent, C, M] : {Size{40, 80, 32}, Size{7, 64, 300}, Size{12, 200, 144}}) {
    TiledCase c(7);
    const WindowAxis axis{extent, extent, 3, 1, 1, 1, 1};
    c.window.axes = {axis, axis};
    c.batch = 1;
    c.C = C;
    c.M = M;
    c.epilogue = {};
    c.addend.clear();
    c.W = drawn(M * C * 9, 1);
    c.X = drawn(extent * extent * C, 2);
    for (const std::int64_t tile : {2, 4}) {
      const Winograd kernel = c.winograd(tile);
      const auto Y = c.run(kernel);
      EXPECT_LE(share_of_bound(c, tile, Y), 1.0) << "tile " << tile << ": " << c.describe();
      EXPECT_TRUE(same_bits(c.run(kernel, Workspace(&three, nullptr, 0)), Y)) << "tile " << tile;
    }
  }
}

TEST(Winograd, TakesNoMoreScratchMemoryThanItAsksFor) {
  for (std::uint32_t seed = 4000; seed < 4050; ++seed) {
    const TiledCase c(seed);
    for (const std::int64_t tile : {2, 4}) {
      const Winograd kernel = c.winograd(tile);
      const std::size_t bytes = kernel.scratch_bytes(c.window, c.batch);
      const AlignedBuffer<std::byte> memory(bytes + 1);
      memory.data()[bytes] = std::byte{42};
      EXPECT_TRUE(same_bits(c.run(kernel, Workspace(nullptr, memory.data(), bytes)), c.run(kernel)))
          << c.describe();
      EXPECT_EQ(memory.data()[bytes], std::byte{42}) << c.describe();
    }
  }
}

TEST(Winograd, NanReachesOnlyTheTilesThatReadIt) {
  TiledCase c(5);
  c.window.axes = {{13, 13, 3, 1, 1, 1, 1}, {13, 13, 3, 1, 1, 1, 1}};
  c.batch = 1;
  c.C = 20;
  c.M = 3;
  c.epilogue = {};
  c.addend.clear();
  c.W = drawn(c.M * c.C * 9, 1);
  c.X = drawn(13 * 13 * c.C, 2);
  for (const std::int64_t tile : {2, 4}) {
    const auto before = c.run(c.winograd(tile));
    TiledCase poisoned = c;
    poisoned.X[static_cast<std::size_t>((6 * 13 + 6) * c.C + 4)] = std::numeric_limits<float>::quiet_NaN();
    const auto after = poisoned.run(poisoned.winograd(tile));
    const auto reads = [&](std::int64_t at) {
      const std::int64_t first = at / tile * tile - 1;
      return first <= 6 && 6 < first + tile + 2;
    };
    for (std::int64_t i = 0; i < 13 * 13; ++i) {
      for (std::int64_t m = 0; m < c.M; ++m) {
        const auto at = static_cast<std::size_t>(i * c.M + m);
        if (!reads(i / 13) || !reads(i % 13)) {
          EXPECT_EQ(after[at], before[at]) << "tile " << tile;
        }
      }
    }
    EXPECT_TRUE(std::isnan(after[static_cast<std::size_t>((6 * 13 + 6) * c.M)]));
  }
}

/// norm = max over i, k of sum over p |A[p,i]| |G[p,k]| sum over s |B[s,p]|, of the matrices that Toom and Cook's
/// interpolation at these points and infinity has.
double norm_of(const std::vector<double>& points, std::size_t tile) {
  const auto product = [&](std::size_t without) {
    std::vector<double> coefficients{1.0};
    for (std::size_t q = 0; q < points.size(); ++q) {
      if (q == without) continue;
      coefficients.push_back(0.0);
      for (std::size_t k = coefficients.size(); k-- > 0;)
        coefficients[k] = (k > 0 ? coefficients[k - 1] : 0.0) - points[q] * coefficients[k];
    }
    double sum = 0.0;
    for (const double x : coefficients) sum += std::abs(x);
    return sum;
  };
  double largest = 0.0;
  for (std::size_t i = 0; i < tile; ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      double sum = i == tile - 1 && k == 2 ? product(points.size()) : 0.0;
      for (std::size_t p = 0; p < points.size(); ++p) {
        double differences = 1.0;
        for (std::size_t q = 0; q < points.size(); ++q) {
          if (q != p) differences *= points[p] - points[q];
        }
        const auto power = static_cast<double>(i + k);
        sum +=
            (power == 0.0 ? 1.0 : std::pow(std::abs(points[p]), power)) / std::abs(differences) * product(p);
      }
      largest = std::max(largest, sum);
    }
  }
  return largest;
}

TEST(Winograd, ErrorFactorIsThatOfItsMatrices) {
  const std::int64_t C = 64;
  const auto gamma = [](double n) { return n * 0x1p-24 / (1.0 - n * 0x1p-24); };
  const double two = norm_of({0.0, 1.0, -1.0}, 2);
  const double four = norm_of({0.0, 0.625, -0.625, 1.5, -1.5}, 4);
  EXPECT_NEAR(Winograd::error_factor(2, C) / (gamma(C + 7.0) * two * two), 1.0, 1e-12);
  EXPECT_NEAR(Winograd::error_factor(4, C) / (gamma(C + 17.0) * four * four), 1.0, 1e-12);
}

TEST(WinogradChoice, IsTheQuickestThatWasMeasured) {
  struct Row {
    ConvolutionSize size;
    std::int64_t tile;
  };
  for (const Row& row : {
           Row{{64, 64, 56, 56}, 4},  // many tiles of middling channels
           Row{{128, 128, 28, 28}, 4},
           Row{{256, 256, 14, 14}, 2},  // weights of 36 matrices would come from afar for 16 tiles
           Row{{128, 32, 3, 3}, 0},     // weights are all that there is
           Row{{512, 512, 3, 3}, 0},    // weights are all that there is
           Row{{3, 64, 224, 224}, 0},   // transforms of vectors that are mostly padding
           Row{{3, 16, 64, 64}, 0},
       }) {
    EXPECT_EQ(quickest_winograd_tile(row.size), row.tile)
        << row.size.C << " to " << row.size.M << " channels at " << row.size.lines << "x"
        << row.size.positions;
  }
}

}  // namespace
}  // namespace bnrun::testing
