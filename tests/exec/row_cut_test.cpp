#include "exec/row_cut.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "bnrun/session.h"
#include "support/graph_building.h"

namespace bnrun {
namespace {

RowBlocks blocks_of(std::int64_t rows, std::int64_t least_rows, std::int64_t most_rows) {
  RowBlocks blocks;
  blocks.rows = rows;
  blocks.least_rows = least_rows;
  blocks.most_rows = most_rows;
  return blocks;
}

/// The blocks follow each other from row 0 to the end, and none is empty or too large.
void check_covers(const RowCut& cut, const RowBlocks& blocks, std::int64_t rows) {
  std::int64_t next = 0;
  for (std::int64_t block = 0; block < cut.blocks(); ++block) {
    EXPECT_EQ(cut.first_row(block), next) << block;
    EXPECT_GT(cut.rows_of(block), 0) << block;
    EXPECT_LE(cut.rows_of(block), blocks.most_rows) << block;
    next += cut.rows_of(block);
  }
  EXPECT_EQ(next, rows);
}

TEST(RowCut, CoversAllRowsWithAnyHeadStart) {
  for (const RowBlocks& blocks :
       {blocks_of(64, 10, 80), blocks_of(64, 64, 64), blocks_of(64, 64, 80), blocks_of(4, 3, 5),
        blocks_of(32, 9, 40), blocks_of(2, 1, 2), blocks_of(1, 1, 1)}) {
    for (std::int64_t rows = 0; rows < 700; ++rows) {
      for (const int threads : {1, 2, 3, 6, 16}) {
        const std::int64_t most = RowCut(blocks, rows, threads).most_head_start(blocks, threads);
        for (std::int64_t head_start = 0; head_start <= most; ++head_start) {
          SCOPED_TRACE(::testing::Message() << rows << " rows, " << threads << " threads, " << head_start);
          RowCut cut(blocks, rows, threads);
          const std::int64_t count = cut.blocks();
          cut.give_head_start(head_start, threads);
          EXPECT_EQ(cut.blocks(), count);
          check_covers(cut, blocks, rows);
        }
      }
    }
  }
}

TEST(RowCut, ThreadsGetEquallyManyBlocks) {
  const RowBlocks blocks = blocks_of(64, 10, 80);
  struct Case {
    std::int64_t rows;
    int threads;
    std::vector<std::int64_t> sizes;
  };
  const std::vector<Case> cases = {
      {256, 2, {64, 64, 64, 64}}, {100, 2, {25, 25, 25, 25}},
      {30, 2, {15, 15}},          {15, 2, {15}},
      {130, 1, {64, 64, 2}},      {390, 2, {49, 49, 49, 49, 49, 49, 49, 47}},
  };
  for (const Case& c : cases) {
    const RowCut cut(blocks, c.rows, c.threads);
    std::vector<std::int64_t> sizes;
    for (std::int64_t block = 0; block < cut.blocks(); ++block) sizes.push_back(cut.rows_of(block));
    EXPECT_EQ(sizes, c.sizes) << c.rows << " rows, " << c.threads << " threads";
    EXPECT_EQ(cut.has_blocks_for_all(c.threads), c.sizes.size() >= static_cast<std::size_t>(c.threads));
  }
}

TEST(RowCut, AHeadStartMovesRowsToTheCallersBlocks) {
  const RowBlocks blocks = blocks_of(64, 10, 80);
  RowCut cut(blocks, 256, 2);
  EXPECT_EQ(cut.most_head_start(blocks, 2), 32);
  cut.give_head_start(20, 2);
  ASSERT_EQ(cut.blocks(), 4);
  EXPECT_EQ(cut.rows_of(0), 74);
  EXPECT_EQ(cut.rows_of(1), 74);
  EXPECT_EQ(cut.rows_of(2), 54);
  EXPECT_EQ(cut.rows_of(3), 54);
}

TEST(RowCut, NoHeadStartWhereItHasNoUse) {
  const RowBlocks blocks = blocks_of(64, 10, 80);
  EXPECT_EQ(RowCut(blocks, 256, 1).most_head_start(blocks, 1), 0) << "one thread";
  EXPECT_EQ(RowCut(blocks, 15, 2).most_head_start(blocks, 2), 0) << "one block";
  EXPECT_EQ(RowCut(blocks, 4096, 2).most_head_start(blocks, 2), 0) << "many blocks for each thread";
  const RowBlocks fixed = blocks_of(64, 64, 64);
  EXPECT_EQ(RowCut(fixed, 128, 2).most_head_start(fixed, 2), 0) << "blocks of a fixed number of rows";
}

TEST(HeadStart, GrowsWhileTheCallerWaitsAndShrinksWhileItDoesNot) {
  HeadStart start;
  EXPECT_EQ(start.rows(), 0);
  start.learn(false, 10);
  EXPECT_EQ(start.rows(), 0);
  for (int i = 0; i < 40; ++i) start.learn(true, 10);
  EXPECT_EQ(start.rows(), 5);
  for (int i = 0; i < 400; ++i) start.learn(true, 10);
  EXPECT_EQ(start.rows(), 10);
  start.learn(true, 2);
  EXPECT_EQ(start.rows(), 10) << "a small batch forgets nothing";
  for (int i = 0; i < 400; ++i) start.learn(false, 10);
  EXPECT_EQ(start.rows(), 0);
}

TEST(HeadStart, OfOneBatchChangesNoBitOfAnother) {
  testing::GraphBuilder b;
  auto h = b.input("x", DType::float32, {"N", 16});
  for (int layer = 0; layer < 2; ++layer)
    h = b.op("Softmax",
             {b.op("Gemm", {h, testing::random_tensor({16, 16}, 1), testing::random_tensor({16}, 2)})});
  b.output(h);
  const Session one(b.model(), {.threads = 1});
  const Session two(b.model(), {.threads = 2});
  for (const std::int64_t learned : {128, 256}) {
    const Tensor x = testing::random_tensor({learned, 16}, 3);
    for (int i = 0; i < 300; ++i) two.run(std::vector<TensorView>{x});
    for (std::int64_t rows = 1; rows <= 300; ++rows) {
      const Tensor some = testing::random_tensor({rows, 16}, 4);
      const Tensor expected = one.run(std::vector<TensorView>{some})[0];
      const Tensor found = two.run(std::vector<TensorView>{some})[0];
      EXPECT_TRUE(std::ranges::equal(found.span<float>(), expected.span<float>())) << rows << " rows";
    }
  }
}

}  // namespace
}  // namespace bnrun
