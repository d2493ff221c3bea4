// What the machine can do at best. How fast that is decides nothing here.
#include <gtest/gtest.h>

#include "bnrun/machine.h"
#include "kernels/limits/fma.h"
#include "support/expect_error.h"

namespace bnrun::testing {
namespace {

constexpr std::size_t kSmall = std::size_t{64} << 20;

TEST(MachineLimits, AreMeasuredForEachNumberOfThreads) {
  for (const int threads : {1, 2}) {
    const MachineLimits limits = measure_limits(threads, kSmall);
    EXPECT_EQ(limits.threads, threads);
    EXPECT_EQ(limits.flops > 0.0, !limits.vectors.empty());
    EXPECT_EQ(limits.vectors, widest_fma_loop().vectors);
    EXPECT_GT(limits.bytes_per_second, 0.0);
    EXPECT_GT(limits.cache_bytes, 0U);
    EXPECT_EQ(limits.buffer_bytes, kSmall);
  }
}

TEST(MachineLimits, ReadABufferThatNoCacheHoldsHoweverLittleIsAllowed) {
  EXPECT_EQ(measure_limits(1, 1).buffer_bytes, kSmall);
}

TEST(MachineLimits, OfNoThreadsAreRefused) {
  expect_error(ErrorCode::invalid_input, [] { measure_limits(0, kSmall); });
}

TEST(FmaLoop, CountsTwoOperationsForEachLane) {
  const FmaLoop loop = widest_fma_loop();
  // They are assembly, for x86-64 and AArch64; elsewhere there is none to count.
  if (loop.run == nullptr) GTEST_SKIP() << "no loop is written for this kind of processor";
  loop.run();  // no trap: the instructions exist
  const double lanes = loop.vectors == "AVX-512" ? 16 : loop.vectors == "AVX2" ? 8 : 4;
  EXPECT_EQ(loop.flops, 20000.0 * 12 * (loop.vectors == "SSE2" ? 1 : 2) * lanes);
}

TEST(BlasKernels, AreTheOnesThatTheLibraryChose) {
  const std::string name = blas_kernels();
  EXPECT_FALSE(name.empty());
  EXPECT_NE(name, "unknown");
}

}  // namespace
}  // namespace bnrun::testing
