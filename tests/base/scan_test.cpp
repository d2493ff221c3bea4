// Scans over elements, wherever what they look for stands.
#include "base/scan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace bnrun::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kElements = 37;  // whole vectors and a rest

/// Halves in [-1, 1] but for one element.
Tensor with(DType dtype, std::size_t place, double value) {
  std::vector<double> values(kElements);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 5) / 2.0 - 1.0;
  values[place] = value;
  return convert(Tensor(Shape{kElements}, values), dtype);
}

class Scan : public ::testing::TestWithParam<DType> {};

TEST_P(Scan, FindsWhatIsNotFiniteWhereverItStands) {
  for (std::size_t place = 0; place < kElements; ++place) {
    for (const double value : {kInfinity, -kInfinity, kNaN, -kNaN})
      EXPECT_FALSE(reach_of(with(GetParam(), place, value)).finite) << place << " " << value;
    for (const double value : {0.0, -0.0, 1.0, 30000.0})
      EXPECT_TRUE(reach_of(with(GetParam(), place, value)).finite) << place << " " << value;
  }
}

TEST_P(Scan, FindsTheLargestMagnitudeAndLeavesNaNOut) {
  for (std::size_t place = 0; place < kElements; ++place) {
    EXPECT_EQ(reach_of(with(GetParam(), place, -24.0)).largest, 24.0) << place;
    EXPECT_EQ(reach_of(with(GetParam(), place, kNaN)).largest, 1.0) << place;
    EXPECT_EQ(reach_of(with(GetParam(), place, -kInfinity)).largest, kInfinity) << place;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Scan,
                         ::testing::Values(DType::float32, DType::float64, DType::float16, DType::bfloat16),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST(ScanOfNothing, HasNoMagnitudeAndIsFinite) {
  const Tensor none(DType::float32, Shape{0});
  EXPECT_TRUE(reach_of(none).finite);
  EXPECT_EQ(reach_of(none).largest, 0.0);
  EXPECT_TRUE(reach_of(Tensor(DType::int64, Shape{3})).finite);
  EXPECT_EQ(reach_of(Tensor(Shape{1}, std::vector<std::int64_t>{5})).largest, 0.0);
}

}  // namespace
}  // namespace bnrun::testing
