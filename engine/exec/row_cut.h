// How the rows of a stage are cut into blocks for threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "program/program.h"

namespace bnrun {

/// How many rows the caller's part is to be longer than without it, at the cost of the others: a helper begins later by
/// what handing over takes and ends later by what reporting back takes, together a quarter of a microsecond or several,
/// as near to each other as the processors are. It is learned from run to run. The bits of a row do not depend on it.
class HeadStart {
 public:
  std::int64_t rows() const { return units_ / kUnitsOfRow; }
  /// After a run in which more than `most` rows would not have been given: whether the caller had to wait for a helper.
  void learn(bool waited, std::int64_t most) {
    if (!waited)
      units_ = std::max<std::int64_t>(units_ - 1, 0);
    else if (units_ < kUnitsOfRow * most)
      ++units_;
  }

 private:
  /// One run moves little: rows are best left to the thread that has them in its cache.
  static constexpr std::int64_t kUnitsOfRow = 8;
  std::int64_t units_ = 0;
};

/// Blocks lie in the order of their rows. Those of the caller's part, which ThreadPool begins with, may be larger.
class RowCut {
 public:
  /// Threads get equally many blocks, two or more where that leaves the blocks large enough: one thread that is held up
  /// then holds up less. What is too little for that is one block, or a few of equal size.
  RowCut(const RowBlocks& blocks, std::int64_t rows, int threads);

  /// What a head start may be: none where threads get too few rows for it, or so many blocks that they even out by
  /// themselves.
  std::int64_t most_head_start(const RowBlocks& blocks, int threads) const;
  /// There are as many blocks as before. REQUIRES: 0 <= rows <= most_head_start(); not called before.
  void give_head_start(std::int64_t rows, int threads);

  std::int64_t blocks() const { return blocks_; }
  /// That of blocks() is the end.
  std::int64_t first_row(std::int64_t block) const {
    if (head_blocks_ == 0) return std::min(block * size_, rows_);
    if (block < head_blocks_) return block * size_;
    const std::int64_t head = std::int64_t{head_blocks_} * size_;
    return head + (block - head_blocks_) * (rows_ - head) / (blocks_ - head_blocks_);
  }
  std::int64_t rows_of(std::int64_t block) const { return first_row(block + 1) - first_row(block); }
  /// Threads work on blocks of their own; otherwise they share each step.
  bool has_blocks_for_all(int threads) const { return blocks_ >= threads; }

 private:
  std::int64_t rows_;
  std::int64_t blocks_;
  std::int32_t size_;  ///< of a block: of each, or of the first `head_blocks_`, which others share evenly
  std::int32_t head_blocks_ = 0;  ///< 0: all are alike
};

}  // namespace bnrun
