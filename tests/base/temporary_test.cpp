#include "base/temporary.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <thread>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/elements.h"
#include "support/allocation_counter.h"

namespace bnrun::testing {
namespace {

std::uintptr_t address_of(const TemporaryBuffer<char>& buffer) {
  return reinterpret_cast<std::uintptr_t>(buffer.data());
}

class Temporary : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kWatched) GTEST_SKIP() << "under AddressSanitizer each block is new, so that it is watched";
  }
};

TEST_F(Temporary, BlocksComeBackWhereMemoryIsLent) {
  TemporaryMemory memory;
  const TemporaryMemory::Loan loan(memory);
  std::uintptr_t first = 0;
  {
    const TemporaryBuffer<char> buffer(1000);
    first = address_of(buffer);
    EXPECT_EQ(first % kCacheLine, 0U);
  }
  const auto before = allocations();
  {
    const TemporaryBuffer<char> smaller(10);
    EXPECT_EQ(address_of(smaller), first);
  }
  {
    const TemporaryBuffer<char> as_large(1000);
    EXPECT_EQ(address_of(as_large), first);
  }
  EXPECT_EQ(allocations(), before);
  const TemporaryBuffer<char> larger(2000);
  EXPECT_EQ(allocations(), before + 1);
}

TEST_F(Temporary, TheSmallestBlockThatHoldsThemIsTaken) {
  TemporaryMemory memory;
  const TemporaryMemory::Loan loan(memory);
  std::uintptr_t large = 0;
  std::uintptr_t small = 0;
  {
    const TemporaryBuffer<char> a(5000);
    const TemporaryBuffer<char> b(500);
    large = address_of(a);
    small = address_of(b);
  }
  const TemporaryBuffer<char> b(400);
  const TemporaryBuffer<char> a(4000);
  EXPECT_EQ(address_of(b), small);
  EXPECT_EQ(address_of(a), large);
}

TEST_F(Temporary, ManyBlocksAtOnceAreKeptUpToALimit) {
  TemporaryMemory memory;
  const TemporaryMemory::Loan loan(memory);
  const auto take_many = [] {
    std::vector<TemporaryBuffer<char>> buffers;
    for (std::size_t i = 0; i < 200; ++i) {
      buffers.emplace_back(64 * (i + 1));
      buffers.back().data()[64 * i] = 'x';
    }
  };
  take_many();
  const auto before = allocations();
  take_many();
  EXPECT_GT(allocations(), before);
  EXPECT_LT(allocations(), before + 200);
}

TEST_F(Temporary, LargeBlocksBecomeLargerAndNotMore) {
  constexpr std::size_t kLarge = std::size_t{1} << 20;
  TemporaryMemory memory;
  const TemporaryMemory::Loan loan(memory);
  for (std::size_t i = 1; i <= 8; ++i) {
    const TemporaryBuffer<char> growing(i * kLarge);
  }
  const auto before = allocations();
  const TemporaryBuffer<char> one(7 * kLarge);
  EXPECT_EQ(allocations(), before);
  const TemporaryBuffer<char> two(kLarge);
  EXPECT_EQ(allocations(), before + 1) << "the smaller ones are gone";
}

TEST_F(Temporary, SmallBlocksLeaveLargeOnesAlone) {
  TemporaryMemory memory;
  const TemporaryMemory::Loan loan(memory);
  { const TemporaryBuffer<char> large(1 << 20); }
  const TemporaryBuffer<char> small(10);
  const auto before = allocations();
  const TemporaryBuffer<char> large(1 << 20);
  EXPECT_EQ(allocations(), before);
}

TEST_F(Temporary, NothingIsKeptWhereNoneIsLent) {
  TemporaryMemory memory;
  TemporaryBuffer<char> taken;
  {
    const TemporaryMemory::Loan loan(memory);
    taken = TemporaryBuffer<char>(100);
  }
  taken = {};
  const auto before = allocations();
  const TemporaryMemory::Loan loan(memory);
  const TemporaryBuffer<char> another(100);
  EXPECT_EQ(allocations(), before + 1);
}

TEST_F(Temporary, LoansNest) {
  TemporaryMemory outer;
  TemporaryMemory inner;
  const TemporaryMemory::Loan loan(outer);
  { const TemporaryBuffer<char> buffer(100); }
  const auto before = allocations();
  {
    const TemporaryMemory::Loan another(inner);
    const TemporaryBuffer<char> buffer(100);
    EXPECT_EQ(allocations(), before + 1);
  }
  const TemporaryBuffer<char> buffer(100);
  EXPECT_EQ(allocations(), before + 1);
}

TEST_F(Temporary, BlocksMayBeGivenBackOnAnotherThread) {
  TemporaryMemory memory;
  const TemporaryMemory::Loan loan(memory);
  TemporaryVector<int> numbers(100, 7);
  std::thread([moved = std::move(numbers)]() mutable {
    EXPECT_EQ(moved[99], 7);
    moved = {};
  }).join();
}

TEST(ElementsOf, LieWhereTheyAreOfThatTypeAndAreConvertedElse) {
  const Tensor longs({3}, std::vector<std::int64_t>{1, -2, 3});
  const ElementsOf<std::int64_t> as_they_lie(longs);
  EXPECT_EQ(as_they_lie.data(), longs.data<std::int64_t>());
  const ElementsOf<double> converted(longs);
  ASSERT_EQ(converted.size(), 3U);
  EXPECT_EQ(converted[1], -2.0);
  const Tensor ints({2}, std::vector<std::int32_t>{4, 5});
  EXPECT_EQ(first_element<std::int64_t>(ints), 4);
  EXPECT_EQ(ElementsOf<float>(TensorView{}).size(), 0U);
  EXPECT_THROW(ElementsOf<std::int64_t>(Tensor({1}, std::vector<float>{1.0F})), Error);
}

TEST(Scalar, IsOneNumberOfAType) {
  EXPECT_EQ(Scalar(2.5, DType::float32).view().data<float>()[0], 2.5F);
  EXPECT_EQ(Scalar(2.5, DType::int64).view().data<std::int64_t>()[0], 2);
  EXPECT_EQ(Scalar(0.0, DType::string).view().data<std::string>()[0], "");
}

}  // namespace
}  // namespace bnrun::testing
