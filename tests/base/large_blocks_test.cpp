// Large blocks, and who gets them again: fresh memory is all zeros, what was in use is not.
#include "base/large_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <thread>
#include <vector>

namespace bnrun::testing {
namespace {

constexpr std::size_t kUnit = kLeastLargeBlock;

/// All bytes of it are `mark`.
class Block {
 public:
  Block(std::size_t bytes, char mark)
      : memory_(static_cast<char*>(allocate_large(bytes))), bytes_(bytes), found_(memory_[0]) {
    uniform_ = std::all_of(memory_, memory_ + bytes, [&](char c) { return c == found_; });
    std::fill_n(memory_, bytes, mark);
  }
  ~Block() { free_large(memory_, bytes_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  /// The mark of its last owner, 0 where there was none; -1: of several.
  int last_mark() const { return uniform_ ? found_ : -1; }
  bool on_cache_line() const { return reinterpret_cast<std::uintptr_t>(memory_) % 64 == 0; }

 private:
  char* memory_;
  std::size_t bytes_;
  char found_;
  bool uniform_ = false;
};

void use(std::size_t bytes, char mark) {
  const Block block(bytes, mark);
}
int last_mark_of(std::size_t bytes) {
  return Block(bytes, 9).last_mark();
}

TEST(LargeBlocks, AreFreshWhereNothingIsKept) {
  for (const std::size_t bytes : {kUnit, kUnit + 1, 3 * kUnit - 63}) {
    use(bytes, 1);
    const Block block(bytes, 1);
    EXPECT_EQ(block.last_mark(), 0) << bytes;
    EXPECT_TRUE(block.on_cache_line()) << bytes;
  }
}

TEST(LargeBlocks, ServeAgainWhileReuseLasts) {
  {
    const ReuseOfLargeBlocks reuse;
    use(kUnit + 100, 1);
    EXPECT_EQ(last_mark_of(kUnit + 100), 1);
  }
  EXPECT_EQ(last_mark_of(kUnit + 100), 0);
}

TEST(LargeBlocks, AreCutWhereLessIsWanted) {
  const ReuseOfLargeBlocks reuse;
  use(3 * kUnit, 1);
  const Block first(kUnit + 1, 2);
  const Block second(kUnit, 3);
  EXPECT_EQ(first.last_mark(), 1);
  EXPECT_EQ(second.last_mark(), 1);
  EXPECT_TRUE(second.on_cache_line());
  EXPECT_EQ(last_mark_of(kUnit), 0);  // the rest was too small to be worth keeping
}

TEST(LargeBlocks, TheSmallestThatIsLargeEnoughServes) {
  const ReuseOfLargeBlocks reuse;
  {
    const Block large(4 * kUnit, 1);
    const Block small(2 * kUnit, 2);
    const Block middle(3 * kUnit, 3);
  }
  const Block small(2 * kUnit, 4);
  const Block middle(3 * kUnit, 4);
  EXPECT_EQ(small.last_mark(), 2);
  EXPECT_EQ(middle.last_mark(), 3);
}

TEST(LargeBlocks, GoBackToTheSystemWhereNoneIsLargeEnough) {
  const ReuseOfLargeBlocks reuse;
  use(kUnit, 1);
  const Block larger(2 * kUnit, 2);
  EXPECT_EQ(larger.last_mark(), 0);
  EXPECT_EQ(last_mark_of(kUnit), 0);
}

TEST(LargeBlocks, OfOtherThreadsAreNotKept) {
  const ReuseOfLargeBlocks reuse;
  std::optional<Block> block;
  block.emplace(kUnit, 1);
  std::thread([&] { block.reset(); }).join();
  EXPECT_EQ(last_mark_of(kUnit), 0);
}

TEST(LargeBlocks, ReuseWithinReuseEndsFirst) {
  const ReuseOfLargeBlocks outer;
  {
    const ReuseOfLargeBlocks inner;
    use(kUnit, 1);
  }
  EXPECT_EQ(last_mark_of(kUnit), 0);
  EXPECT_EQ(last_mark_of(kUnit), 9);
}

TEST(LargeBlocks, MoreThanAreRememberedGoBack) {
  const ReuseOfLargeBlocks reuse;
  {
    std::vector<std::unique_ptr<Block>> many;
    for (int i = 0; i < 40; ++i) many.push_back(std::make_unique<Block>(kUnit, 1));
  }
  std::vector<std::unique_ptr<Block>> again;
  int kept = 0;
  for (int i = 0; i < 40; ++i) {
    again.push_back(std::make_unique<Block>(kUnit, 1));
    kept += again.back()->last_mark();
  }
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, 40);
}

TEST(LargeBlocks, ImpossibleOnesAreRefused) {
  EXPECT_THROW(allocate_large(SIZE_MAX), std::bad_alloc);
  EXPECT_THROW(allocate_large(SIZE_MAX / 2), std::bad_alloc);
}

}  // namespace
}  // namespace bnrun::testing
