#include "exec/row_cut.h"

#include "base/numbers.h"

namespace bnrun {
namespace {

std::int64_t even_size(const RowBlocks& blocks, std::int64_t rows, int threads) {
  if (threads < 2 || rows == 0 || blocks.least_rows >= blocks.rows) return blocks.rows;
  const std::int64_t share = ceil_div(rows, threads);
  if (share < blocks.least_rows)
    return ceil_div(rows, std::max(rows / blocks.least_rows, ceil_div(rows, blocks.rows)));
  const std::int64_t rounds =
      std::max(ceil_div(share, blocks.rows), std::min<std::int64_t>(2, share / blocks.least_rows));
  return ceil_div(share, rounds);
}

}  // namespace

RowCut::RowCut(const RowBlocks& blocks, std::int64_t rows, int threads)
    : rows_(rows), size_(static_cast<std::int32_t>(even_size(blocks, rows, threads))) {
  blocks_ = ceil_div(rows, size_);
}

std::int64_t RowCut::most_head_start(const RowBlocks& blocks, int threads) const {
  constexpr std::int64_t kFewRounds = 2;
  const std::int64_t rounds = blocks_ / threads;
  const bool even =
      rounds * threads == blocks_ && size_ == ceil_div(rows_, std::max<std::int64_t>(blocks_, 1));
  if (threads < 2 || rounds < 1 || rounds > kFewRounds || !even) return 0;
  return rounds * std::min<std::int64_t>(size_ / 4, blocks.most_rows - size_);
}

void RowCut::give_head_start(std::int64_t rows, int threads) {
  if (rows == 0) return;
  const std::int64_t rounds = blocks_ / threads;
  head_blocks_ = static_cast<std::int32_t>(rounds);
  size_ += static_cast<std::int32_t>(rows / rounds);
}

}  // namespace bnrun
