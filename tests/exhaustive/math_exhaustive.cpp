// Every float through every elementary function: the largest error in ULP and whether a monotone one is.
// usage: math_exhaustive [STRIDE [FUNCTION]]; a stride of 1 takes minutes for each function.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "support/math_reference.h"

namespace bnrun::testing {
namespace {

struct Finding {
  double worst = 0.0;
  float where = 0.0F;
  std::int64_t falls = 0;
  float fell_at = 0.0F;
};

/// The floats from -inf up have ascending `rank`s from 0.
float float_of_rank(std::int64_t rank) {
  constexpr std::int64_t kPerSign = 0x7F800001;  // zero to infinity
  const auto bits = rank < kPerSign ? 0xFF800000 - static_cast<std::uint32_t>(rank)
                                    : static_cast<std::uint32_t>(rank - kPerSign);
  return std::bit_cast<float>(bits);
}

Finding examine(const MathFunction<float>& function, std::int64_t stride) {
  constexpr std::int64_t kCount = 2 * std::int64_t{0x7F800001};
  constexpr std::size_t kBlock = 4096;
  std::vector<float> x;
  std::vector<float> y(kBlock);
  Finding finding;
  float previous = -std::numeric_limits<float>::infinity();
  for (std::int64_t rank = 0; rank < kCount;) {
    x.clear();
    for (; x.size() < kBlock && rank < kCount; rank += stride) x.push_back(float_of_rank(rank));
    function.kernel(x, y.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double error = error_in_ulp(y[i], function.exact(static_cast<long double>(x[i])));
      if (error > finding.worst) {
        finding.worst = error;
        finding.where = x[i];
      }
      if (function.rises && y[i] < previous) {
        ++finding.falls;
        finding.fell_at = x[i];
      }
      if (!std::isnan(y[i])) previous = y[i];
    }
  }
  return finding;
}

int run(std::int64_t stride, std::string_view only) {
  bool good = true;
  for (const auto& function : math_functions<float>()) {
    if (!only.empty() && only != function.name) continue;
    const Finding finding = examine(function, stride);
    const bool kept = finding.worst <= function.ulp && finding.falls == 0;
    good = good && kept;
    std::printf("%-10s %.4f ULP at %.9g, promised %.2f", function.name, finding.worst,
                static_cast<double>(finding.where), function.ulp);
    if (function.rises) std::printf(", falls %lld times", static_cast<long long>(finding.falls));
    if (finding.falls != 0) std::printf(" (%.9g)", static_cast<double>(finding.fell_at));
    std::printf("%s\n", kept ? "" : "  BROKEN");
    std::fflush(stdout);
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace bnrun::testing

int main(int argc, char** argv) {
  return bnrun::testing::run(argc > 1 ? std::max(1LL, std::atoll(argv[1])) : 1, argc > 2 ? argv[2] : "");
}
