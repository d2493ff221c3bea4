// Verification of folds of random networks: what was folded right agrees. BNRUN_VERDICT_NETWORKS is the number of
// networks, BNRUN_VERDICT_SEED the first seed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "bnrun/fold.h"
#include "bnrun/verify.h"
#include "support/random_graph.h"

namespace bnrun::testing {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Every fold agrees. Returns how many were compared.
std::size_t expect_agreement(std::uint64_t first, std::uint64_t count) {
  std::size_t compared = 0;
  double most = 0.0;
  VerifyOptions options;
  options.rows = 16;
  options.batches = 3;
  options.budget = 60.0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const RandomNetwork network = random_network(Recipe::of(seed));
    Model folded = network.model;
    if (!fold(folded).changed()) continue;
    const VerifyReport report = verify(network.model, folded, options);
    if (report.verdict == Verdict::not_compared || report.verdict == Verdict::nothing_finite) continue;
    ++compared;
    for (const OutputComparison& output : report.outputs) most = std::max(most, output.excess);
    EXPECT_TRUE(report.agree()) << "seed " << seed << ": " << report.why << [&] {
      std::string text;
      for (const OutputComparison& o : report.outputs)
        text += fmt::format(
            "\n  {} elements {} (finite {}): errors {:.3g} and {:.3g}, {:.3g} times what is allowed", o.name,
            o.elements, o.finite, o.error_of_a, o.error_of_b, o.excess);
      return text;
    }();
  }
  fmt::print("{} folds compared, the largest error is {:.2f} times what is allowed\n", compared, most);
  return compared;
}

TEST(Verdict, FoldsOfRandomNetworksAgree) {
  const std::uint64_t first = setting("BNRUN_VERDICT_SEED", 0);
  const std::uint64_t count = setting("BNRUN_VERDICT_NETWORKS", 300);
  EXPECT_GT(expect_agreement(first, count), count / 2);
}

/// Two that merge BatchNormalizations of large shifts, two with an alpha of 0 behind NaN, and one whose bias takes in
/// three maps that nearly cancel, one after the other.
TEST(Verdict, FoldsThatOnceLostDigitsAgree) {
  for (const std::uint64_t seed : {1524, 1825, 3652, 5735, 5878})
    EXPECT_EQ(expect_agreement(seed, 1), 1U) << seed;
}

}  // namespace
}  // namespace bnrun::testing
