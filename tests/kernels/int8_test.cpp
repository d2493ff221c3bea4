// Products of bytes against sums in 64 bits, on every instruction set, and sums rounded to bytes again.
#include "kernels/gemm/int8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/conv/byte_lanes.h"
#include "kernels/gemm/tiles.h"
#include "kernels/math/byte_sum.h"
#include "support/only_target.h"

namespace bnrun::testing {
namespace {

class HiddenTiles {
 public:
  explicit HiddenTiles(bool hidden) { hide_tiles(hidden); }
  ~HiddenTiles() { hide_tiles(false); }
};

constexpr std::int64_t kWhatThereIs = 0;  ///< OnlyTarget's word for the best, with tiles where there are some

/// The latest variant of AVX-512 that Highway knows has products of bytes.
std::vector<std::int64_t> targets_for_bytes() {
  auto targets = supported_targets();
  if ((hwy::SupportedTargets() & HWY_AVX3_DL) != 0) targets.push_back(HWY_AVX3_DL);
  targets.push_back(kWhatThereIs);
  return targets;
}

std::string name_of_target(std::int64_t target) {
  if (target != kWhatThereIs) return hwy::TargetName(target);
  return multiplies_bytes_on_tiles() ? "tiles" : "what there is";
}

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  /// Often one of the ends, where products overflow what is too narrow for them.
  std::vector<std::uint8_t> bytes(std::int64_t count) {
    std::vector<std::uint8_t> drawn;
    for (std::int64_t i = 0; i < count; ++i) {
      constexpr std::uint8_t kEnds[] = {0, 127, 128, 255};
      drawn.push_back(between(0, 2) == 0 ? kEnds[between(0, 3)] : static_cast<std::uint8_t>(between(0, 255)));
    }
    return drawn;
  }
  std::vector<std::int32_t> zeros(std::int64_t count, bool is_signed) {
    std::vector<std::int32_t> drawn;
    for (std::int64_t i = 0; i < count; ++i)
      drawn.push_back(static_cast<std::int32_t>(is_signed ? between(-128, 127) : between(0, 255)));
    return drawn;
  }

 private:
  std::mt19937 engine_;
};

std::int64_t number(std::uint8_t byte, bool is_signed) {
  return is_signed ? static_cast<std::int8_t>(byte) : byte;
}

/// A product and what it must be, worked out in 64 bits.
struct Product {
  std::int64_t M;
  std::int64_t K;
  std::int64_t N;
  std::int64_t stride;
  bool a_signed;
  bool b_signed;
  std::int32_t a_zero;
  std::vector<std::int32_t> b_zeros;  ///< of each column, or of all
  std::vector<std::uint8_t> A;        ///< [M, stride]
  std::vector<std::uint8_t> B;        ///< [N, K]

  static Product drawn(Draw& draw, std::int64_t M, std::int64_t K, std::int64_t N) {
    Product p{M,  K,  N, K + draw.between(0, 5), draw.between(0, 1) == 1, draw.between(0, 1) == 1, 0,
              {}, {}, {}};
    p.A = draw.bytes(M * p.stride);
    p.B = draw.bytes(K * N);
    p.a_zero = draw.zeros(1, p.a_signed)[0];
    p.b_zeros = draw.zeros(draw.between(0, 1) == 1 ? 1 : N, p.b_signed);
    if (draw.between(0, 2) == 0)
      std::ranges::fill(p.b_zeros, p.b_signed ? 0 : 128);  // sums of rows do not count then
    return p;
  }

  std::vector<std::int32_t> expected() const {
    std::vector<std::int32_t> sums;
    for (std::int64_t m = 0; m < M; ++m) {
      for (std::int64_t n = 0; n < N; ++n) {
        std::int64_t sum = 0;
        const std::int64_t b_zero = b_zeros[b_zeros.size() == 1 ? 0 : static_cast<std::size_t>(n)];
        for (std::int64_t k = 0; k < K; ++k)
          sum += (number(A[static_cast<std::size_t>(m * stride + k)], a_signed) - a_zero) *
                 (number(B[static_cast<std::size_t>(n * K + k)], b_signed) - b_zero);
        sums.push_back(static_cast<std::int32_t>(sum));
      }
    }
    return sums;
  }
};

void check_on_all_targets(const Product& p, const std::string& which) {
  static ThreadPool three(3);
  const auto expected = p.expected();
  const PackedBytes packed({p.K, p.N, p.B.data(), 1, p.K, p.b_signed});
  for (const auto target : targets_for_bytes()) {
    const OnlyTarget only(target);
    const HiddenTiles hidden(target != kWhatThereIs);
    for (const Workspace& workspace : {Workspace(), Workspace(&three, nullptr, 0)}) {
      std::vector<std::int32_t> Y(expected.size() + 1, -77);
      multiply_bytes({p.M, p.A.data(), p.stride, p.a_signed, p.a_zero}, packed, p.b_zeros, Y.data(), p.N,
                     workspace);
      EXPECT_EQ(Y.back(), -77) << "written behind the end";
      Y.pop_back();
      ASSERT_EQ(Y, expected) << name_of_target(target) << " " << which << " M " << p.M << " K " << p.K
                             << " N " << p.N;
    }
  }
}

TEST(Int8, ProductsAreExact) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    Draw draw(seed);
    const bool wide = seed % 20 == 0;
    const std::int64_t M = draw.between(1, 70);
    const std::int64_t K = wide ? kMostExactBytes - draw.between(0, 3) : draw.between(1, 200);
    const std::int64_t N = draw.between(1, wide ? 3 : 90);
    check_on_all_targets(Product::drawn(draw, M, K, N), "seed " + std::to_string(seed));
  }
}

TEST(Int8, EveryNumberOfRowsColumnsAndProductsIsExact) {
  Draw draw(7);
  for (std::int64_t M = 1; M <= 67; ++M) check_on_all_targets(Product::drawn(draw, M, 999, 70), "rows");
  for (std::int64_t N = 1; N <= 70; ++N) check_on_all_targets(Product::drawn(draw, 50, 1410, N), "columns");
  for (std::int64_t K = 1; K <= 200; ++K) check_on_all_targets(Product::drawn(draw, 67, K, 70), "products");
  for (std::int64_t M = 30; M <= 40; ++M)
    check_on_all_targets(Product::drawn(draw, M, 64, 300), "rows of copies");
}

TEST(Int8, SumsOfManyColumnsThatAreGoneThroughInPiecesAreExact) {
  Draw draw(11);
  check_on_all_targets(Product::drawn(draw, 33, 9000, 301), "pieces");
}

TEST(Int8, TheLargestSumsAreExact) {
  for (const bool a_signed : {false, true}) {
    for (const bool b_signed : {false, true}) {
      const std::int64_t K = kMostExactBytes;
      Product p{17, K, 17, K, a_signed, b_signed, a_signed ? 127 : 0, {b_signed ? 127 : 0}, {}, {}};
      const auto farthest = [](bool is_signed) { return static_cast<std::uint8_t>(is_signed ? -128 : 255); };
      p.A.assign(static_cast<std::size_t>(p.M * K), farthest(a_signed));
      p.B.assign(static_cast<std::size_t>(p.N * K), farthest(b_signed));
      check_on_all_targets(p, "largest");
    }
  }
}

TEST(Int8, TilesAreForTheBestVectorsAlone) {
  // Without tiles there is nothing that narrower vectors could be seen to go without.
  if (!multiplies_bytes_on_tiles())
    GTEST_SKIP() << "this processor has no matrix tiles, or the system keeps them to itself";
  for (const auto target : supported_targets()) {
    const OnlyTarget only(target);
    EXPECT_FALSE(multiplies_bytes_on_tiles()) << hwy::TargetName(target);
  }
  const HiddenTiles hidden(true);
  EXPECT_FALSE(multiplies_bytes_on_tiles());
}

TEST(Int8, LanesAreSummedOverTheirTaps) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    Draw draw(seed);
    const std::int64_t channels = draw.between(1, 150);
    const std::int64_t lines = draw.between(1, 6);
    const std::int64_t kernel = draw.between(1, 5);
    const std::int64_t columns = draw.between(1, 20);
    const bool is_signed = draw.between(0, 1) == 1;
    const std::int32_t zero = draw.zeros(1, is_signed)[0];
    const std::int64_t most = draw.between(0, 1) == 1 ? 255 : 127;
    const auto X = draw.bytes(lines * columns * channels);
    std::vector<std::int16_t> W;
    for (std::int64_t i = 0; i < lines * kernel * channels; ++i)
      W.push_back(static_cast<std::int16_t>(draw.between(-most, most)));
    std::vector<const std::uint8_t*> rows;
    for (std::int64_t l = 0; l < lines; ++l)
      rows.push_back(draw.between(0, 3) == 0 ? nullptr : X.data() + l * columns * channels);
    const bool far = draw.between(0, 9) == 0;  // more than is worked on at once
    const ByteLine line{.rows = rows,
                        .columns = columns,
                        .first = draw.between(-4, 2),
                        .outputs = draw.between(0, 9) == 0 ? 250 : draw.between(0, 20),
                        .stride = draw.between(1, 3),
                        .dilation = far ? 90 : draw.between(1, 2)};

    std::vector<std::int32_t> expected(static_cast<std::size_t>(line.outputs * channels), 0);
    for (std::int64_t i = 0; i < std::ssize(expected); ++i) {
      for (std::int64_t tap = 0; tap < lines * kernel; ++tap) {
        const std::uint8_t* row = rows[static_cast<std::size_t>(tap / kernel)];
        const std::int64_t at = line.first + i / channels * line.stride + tap % kernel * line.dilation;
        if (row == nullptr || at < 0 || at >= columns) continue;
        const auto x = static_cast<std::int32_t>(number(row[at * channels + i % channels], is_signed));
        expected[static_cast<std::size_t>(i)] +=
            (x - zero) * W[static_cast<std::size_t>(tap * channels + i % channels)];
      }
    }
    const ByteLanes lanes(lines, kernel, channels, W.data(), is_signed, zero);
    const AlignedBuffer<std::int32_t> words(static_cast<std::size_t>(byte_lane_words(lines)));
    for (const auto target : targets_for_bytes()) {
      const OnlyTarget only(target);
      std::vector<std::int32_t> Y(expected.size(), -77);
      sum_byte_lanes(line, lanes, words.data(), Y.data());
      ASSERT_EQ(Y, expected) << name_of_target(target) << " seed " << seed;
    }
  }
}

TEST(Int8, SumsAreRoundedHalfToEvenAndSaturate) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<double> factors = {0.5, -0.5,         1e-3,    0.1,  1e9, kInfinity,
                                       0.0, std::nan(""), 1.0 / 3, 2e-9, 0.25};
  const std::vector<std::int32_t> bias = {0, 1, -1, 100, 0, 0, 3, 4, 2147483647, -5, 2};
  std::vector<std::int32_t> sums;
  Draw draw(1);
  for (std::size_t m = 0; m < 40; ++m) {
    for (std::size_t n = 0; n < factors.size(); ++n)
      sums.push_back(m == 0   ? std::numeric_limits<std::int32_t>::max()
                     : m == 1 ? std::numeric_limits<std::int32_t>::min()
                              : static_cast<std::int32_t>(draw.between(-600, 600)));
  }
  for (const bool is_signed : {false, true}) {
    for (const bool biased : {false, true}) {
      const std::int32_t zero = is_signed ? -3 : 100;
      std::vector<std::uint8_t> expected;
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const std::size_t n = i % factors.size();
        const double scaled = (static_cast<double>(sums[i]) + (biased ? bias[n] : 0)) * factors[n];
        const double shifted = std::nearbyint(scaled) + zero;
        const double bounded = std::isnan(scaled)
                                   ? zero
                                   : std::clamp(shifted, is_signed ? -128.0 : 0.0, is_signed ? 127.0 : 255.0);
        expected.push_back(static_cast<std::uint8_t>(static_cast<int>(bounded)));
      }
      for (const auto target : targets_for_bytes()) {
        const OnlyTarget only(target);
        std::vector<std::uint8_t> Y(sums.size() + 1, 77);
        const SumScale scale(factors,
                             biased ? std::span<const std::int32_t>(bias) : std::span<const std::int32_t>());
        requantize_rows(sums.data(), 40, scale, {zero, is_signed}, Y.data());
        EXPECT_EQ(Y.back(), 77) << "written behind the end";
        Y.pop_back();
        ASSERT_EQ(Y, expected) << name_of_target(target);
      }
    }
  }
}

/// Sums of every size with a shift behind them, one for each column.
struct Shifted {
  std::vector<double> factors, shift;
  std::vector<std::int32_t> bias, sums;

  explicit Shifted(std::uint32_t seed) {
    Draw draw(seed);
    for (std::int64_t n = 0; n < kColumns; ++n) {
      factors.push_back(static_cast<double>(draw.between(-300, 900)) * 1e-4);
      shift.push_back(static_cast<double>(draw.between(-1000, 1000)) * (n % 3 == 0 ? 40.0 : 0.13));
      bias.push_back(static_cast<std::int32_t>(draw.between(-500, 500)));
    }
    for (std::int64_t i = 0; i < kRows * kColumns; ++i) {
      // near where the shift is taken off again, so that the result is a byte
      const auto n = static_cast<std::size_t>(i % kColumns);
      const double near = factors[n] != 0.0 ? -shift[n] / factors[n] : 0.0;
      sums.push_back(static_cast<std::int32_t>(near + static_cast<double>(draw.between(-9000, 9000))));
    }
  }
  double number(std::size_t i) const {
    const std::size_t n = i % kColumns;
    return (static_cast<double>(sums[i]) + bias[n]) * factors[n] + shift[n];
  }
  static constexpr std::int64_t kRows = 40;
  static constexpr std::int64_t kColumns = 37;
};

TEST(Int8, SumsAreShiftedInDoublesAndKeptWithinBounds) {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    const Shifted drawn(seed);
    const std::int32_t zero = seed % 2 == 0 ? 3 : -100;
    const bool is_signed = seed % 2 != 0;
    const SumScale scale(drawn.factors, drawn.bias, drawn.shift);
    ByteRange to{zero, is_signed};
    if (seed % 3 != 0) to.low = zero;
    if (seed % 3 == 2) to.high = zero + 60;
    std::vector<std::uint8_t> expected;
    for (std::size_t i = 0; i < drawn.sums.size(); ++i) {
      const double low = std::max<double>(to.low, is_signed ? -128 : 0);
      const double high = std::min<double>(to.high, is_signed ? 127 : 255);
      const double bounded = std::clamp(std::nearbyint(drawn.number(i)) + zero, low, high);
      expected.push_back(static_cast<std::uint8_t>(static_cast<int>(bounded)));
    }
    for (const auto target : targets_for_bytes()) {
      const OnlyTarget only(target);
      std::vector<std::uint8_t> Y(drawn.sums.size());
      requantize_rows(drawn.sums.data(), Shifted::kRows, scale, to, Y.data());
      ASSERT_EQ(Y, expected) << name_of_target(target) << " seed " << seed;
    }
  }
}

TEST(Int8, NumbersOfBytesAreAddedInDoublesAndRoundedOnce) {
  struct Case {
    double a, b;
    std::int32_t a_zero, b_zero;
    ByteRange range;
    bool a_signed, b_signed;
  };
  const Case cases[] = {
      {0.6, 1.0, 128, 3, {.zero = 120}, false, false},
      {0.5, 0.25, -7, 255, {.zero = 3, .low = 3}, true, false},  // ties
      {0.3, -0.7, 0, -128, {.zero = -128, .is_signed = true, .high = 90}, false, true},
      {1.0 / 3, 1.0 / 3 + 0x1p-40, 5, 6, {.zero = 1, .is_signed = true, .low = -5, .high = 100}, true, true},
      {300.0, 1e-9, 100, 100, {.zero = 50}, false, false},
      {1e30, 0.0, 12, 0, {.zero = 200}, false, true},
  };
  std::vector<std::uint8_t> A, B;
  for (int i = 0; i < 256 * 256 + 5; ++i) {
    A.push_back(static_cast<std::uint8_t>(i / 256));
    B.push_back(static_cast<std::uint8_t>(i));
  }
  const auto number = [](std::uint8_t byte, bool is_signed) {
    return static_cast<double>(is_signed ? static_cast<std::int8_t>(byte) : int{byte});
  };
  for (const Case& c : cases) {
    std::vector<std::uint8_t> expected;
    for (std::size_t i = 0; i < A.size(); ++i) {
      const double sum =
          (number(A[i], c.a_signed) - c.a_zero) * c.a + (number(B[i], c.b_signed) - c.b_zero) * c.b;
      const double low = std::max<double>(c.range.low, c.range.is_signed ? -128 : 0);
      const double high = std::min<double>(c.range.high, c.range.is_signed ? 127 : 255);
      const double bounded = std::clamp(std::nearbyint(sum) + c.range.zero, low, high);
      expected.push_back(static_cast<std::uint8_t>(static_cast<int>(bounded)));
    }
    for (const auto target : targets_for_bytes()) {
      const OnlyTarget only(target);
      std::vector<std::uint8_t> Y(A.size());
      add_bytes({A.data(), c.a_signed, c.a_zero, c.a}, {B.data(), c.b_signed, c.b_zero, c.b}, A.size(),
                c.range, Y.data());
      ASSERT_EQ(Y, expected) << name_of_target(target) << " a " << c.a;
    }
  }
}

TEST(Int8, SumsBecomeFloatsByOneRounding) {
  const Shifted drawn(3);
  for (const auto target : targets_for_bytes()) {
    const OnlyTarget only(target);
    std::vector<float> Y(drawn.sums.size() + 1, 77.0F);
    rescale_rows(drawn.sums.data(), Shifted::kRows, SumScale(drawn.factors, drawn.bias, drawn.shift),
                 Y.data());
    EXPECT_EQ(Y.back(), 77.0F) << "written behind the end";
    for (std::size_t i = 0; i < drawn.sums.size(); ++i)
      ASSERT_EQ(Y[i], static_cast<float>(drawn.number(i))) << name_of_target(target) << " element " << i;
  }
}

TEST(Int8, SumsCloseToHalvesAreRoundedAsInDoubles) {
  constexpr std::size_t kColumns = 37;
  std::mt19937 engine(5);
  for (int round = 0; round < 60; ++round) {
    // (2 i + 1) / 2 and its neighbours, times a number that is no power of two, are within an ULP of halves
    std::vector<double> factors;
    std::vector<std::int32_t> bias;
    std::vector<std::int32_t> sums;
    for (std::size_t n = 0; n < kColumns; ++n) {
      const auto halves = static_cast<double>(2 * static_cast<int>(engine() % 300) - 299) / 2;
      const auto sum = static_cast<std::int32_t>(engine() % 2'000'000'000 + 1);
      const double aside = static_cast<double>(static_cast<int>(engine() % 9) - 4);
      factors.push_back(halves / sum * (1.0 + aside * (round % 2 == 0 ? 0x1p-50 : 0x1p-22)));
      bias.push_back(static_cast<std::int32_t>(engine()));
      sums.push_back(
          static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) - static_cast<std::uint32_t>(bias[n])));
    }
    std::vector<std::uint8_t> expected;
    for (std::size_t n = 0; n < kColumns; ++n) {
      const double scaled = (static_cast<double>(sums[n]) + bias[n]) * factors[n];
      expected.push_back(static_cast<std::uint8_t>(std::clamp(std::nearbyint(scaled) + 128.0, 0.0, 255.0)));
    }
    for (const auto target : targets_for_bytes()) {
      const OnlyTarget only(target);
      std::vector<std::uint8_t> Y(kColumns);
      requantize_rows(sums.data(), 1, SumScale(factors, bias), {128, false}, Y.data());
      ASSERT_EQ(Y, expected) << name_of_target(target) << " round " << round;
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
