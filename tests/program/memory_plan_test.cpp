#include "program/memory_plan.h"

#include <gtest/gtest.h>

#include <random>

namespace bnrun {
namespace {

TEST(PlanMemory, ExactOffsets) {
  struct Case {
    const char* name;
    std::vector<Lifetime> lifetimes;
    std::vector<std::size_t> offsets;
    std::size_t bytes;
  };
  const Case cases[] = {
      {"nothing", {}, {}, 0},
      {"one, rounded up to a cache line", {{100, 0, 0}}, {0}, 128},
      {"a chain alternates between two places",
       {{64, 0, 1}, {64, 1, 2}, {64, 2, 3}, {64, 3, 4}},
       {0, 64, 0, 64},
       128},
      {"disjoint lifetimes share", {{64, 0, 1}, {128, 2, 3}}, {0, 0}, 128},
      {"both ends of a lifetime count", {{64, 0, 2}, {64, 2, 4}}, {0, 64}, 128},
      {"empty buffers take nothing", {{0, 0, 9}, {64, 0, 9}}, {0, 0}, 64},
      // The two long ones lie at 0 and 640 (behind what was at 512); the gap of 128 between 512 and 640 is
      // free from step 1 on.
      {"the smallest gap that fits is taken",
       {{512, 0, 9}, {128, 0, 0}, {64, 0, 9}, {128, 1, 9}},
       {0, 512, 640, 512},
       704},
  };
  for (const Case& c : cases) {
    const MemoryPlan plan = plan_memory(c.lifetimes);
    EXPECT_EQ(plan.offsets, c.offsets) << c.name;
    EXPECT_EQ(plan.bytes, c.bytes) << c.name;
  }
}

TEST(PlanMemory, BuffersAliveTogetherNeverOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    std::vector<Lifetime> lifetimes(random() % 30);
    std::size_t sum = 0;
    for (Lifetime& lifetime : lifetimes) {
      const std::size_t first = random() % 20;
      lifetime = {random() % 2000, first, first + random() % 6};
      sum += (lifetime.bytes + 63) / 64 * 64;
    }
    const MemoryPlan plan = plan_memory(lifetimes);
    EXPECT_LE(plan.bytes, sum);
    for (std::size_t i = 0; i < lifetimes.size(); ++i) {
      ASSERT_EQ(plan.offsets[i] % 64, 0U);
      ASSERT_LE(plan.offsets[i] + lifetimes[i].bytes, plan.bytes);
      for (std::size_t j = 0; j < i; ++j) {
        const bool together =
            lifetimes[i].first <= lifetimes[j].last && lifetimes[j].first <= lifetimes[i].last;
        const bool overlap = plan.offsets[i] < plan.offsets[j] + lifetimes[j].bytes &&
                             plan.offsets[j] < plan.offsets[i] + lifetimes[i].bytes;
        ASSERT_FALSE(together && overlap) << "round " << round << ": " << j << " and " << i;
      }
    }
  }
}

}  // namespace
}  // namespace bnrun
