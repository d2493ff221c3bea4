// What fit and tune do alike: rows held out, and epoch after epoch.
#pragma once

#include <string>

#include "bnrun/train.h"
#include "common/console.h"

namespace bnrun {

/// How many of `rows` rows "--holdout" keeps apart: digits alone are a number of rows, others a fraction.
/// Throws cli::UsageError when it is neither, or nothing would be left.
std::size_t held_out_rows(const std::string& text, std::size_t rows);

struct Loop {
  const cli::Console& console;
  std::string checkpoint;   ///< empty: none
  std::string tensorboard;  ///< a folder; empty: none
  bool resume = false;
  int progress = 2;
  int epochs = 0;
  bool classification = false;
};

/// Trains, with checkpoints, until it is done or interrupted.
void train_on(const Loop& loop, train::Training& training);

}  // namespace bnrun
