// Large blocks, and who gets them again.
#include "base/large_blocks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace bnrun::testing {
namespace {

constexpr std::size_t kUnit = kLeastLargeBlock;

TEST(LargeBlocks, CanBeWrittenToTheirEnds) {
  for (const std::size_t bytes : {kUnit, kUnit + 1, 3 * kUnit - 63}) {
    auto* const memory = static_cast<char*>(allocate_large(bytes));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 64, 0U) << bytes;
    memory[0] = memory[bytes - 1] = 1;
    free_large(memory, bytes);
  }
}

TEST(LargeBlocks, ServeAgainWhileReuseLasts) {
  ReuseOfLargeBlocks reuse;
  void* const first = allocate_large(kUnit + 100);
  free_large(first, kUnit + 100);
  EXPECT_EQ(reuse.kept(), 1U);
  void* const second = allocate_large(kUnit);
  EXPECT_EQ(second, first);
  EXPECT_EQ(reuse.kept(), 0U);
  free_large(second, kUnit);
}

TEST(LargeBlocks, TheSmallestThatFitsServes) {
  ReuseOfLargeBlocks reuse;
  const std::size_t sizes[] = {kUnit + 300, kUnit + 100, kUnit + 200};
  void* blocks[3];
  for (int i = 0; i < 3; ++i) blocks[i] = allocate_large(sizes[i]);
  for (int i = 0; i < 3; ++i) free_large(blocks[i], sizes[i]);
  EXPECT_EQ(reuse.kept(), 3U);
  void* const smallest = allocate_large(kUnit + 50);
  void* const middle = allocate_large(kUnit + 150);
  EXPECT_EQ(smallest, blocks[1]);
  EXPECT_EQ(middle, blocks[2]);
  free_large(smallest, kUnit + 50);
  free_large(middle, kUnit + 150);
}

TEST(LargeBlocks, AreAllFreedWhereNoneFits) {
  for (const std::size_t wanted : {2 * kUnit, kUnit}) {  // too small, much too large
    ReuseOfLargeBlocks reuse;
    const std::size_t had = wanted == kUnit ? 2 * kUnit : kUnit;
    for (void* block : {allocate_large(had), allocate_large(had)}) free_large(block, had);
    EXPECT_EQ(reuse.kept(), 2U);
    void* const block = allocate_large(wanted);
    EXPECT_EQ(reuse.kept(), 0U);
    free_large(block, wanted);
  }
}

TEST(LargeBlocks, OfOtherThreadsAreNotKept) {
  ReuseOfLargeBlocks reuse;
  void* const block = allocate_large(kUnit);
  std::thread([&] { free_large(block, kUnit); }).join();
  EXPECT_EQ(reuse.kept(), 0U);
}

TEST(LargeBlocks, ReuseWithinReuseEndsFirst) {
  ReuseOfLargeBlocks outer;
  {
    ReuseOfLargeBlocks inner;
    free_large(allocate_large(kUnit), kUnit);
    EXPECT_EQ(inner.kept(), 1U);
  }
  EXPECT_EQ(outer.kept(), 0U);
  free_large(allocate_large(kUnit), kUnit);
  EXPECT_EQ(outer.kept(), 1U);
}

TEST(LargeBlocks, MoreThanAreRememberedAreFreed) {
  ReuseOfLargeBlocks reuse;
  std::vector<void*> many;
  for (int i = 0; i < 40; ++i) many.push_back(allocate_large(kUnit));
  for (void* block : many) free_large(block, kUnit);
  EXPECT_GT(reuse.kept(), 0U);
  EXPECT_LT(reuse.kept(), 40U);
}

}  // namespace
}  // namespace bnrun::testing
