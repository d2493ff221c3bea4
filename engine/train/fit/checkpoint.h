// What a training that is left keeps for the one that takes it up, as bytes.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "bnrun/train.h"

namespace bnrun::train {

/// Weights and statistics of a network at the end of an epoch.
struct Snapshot {
  int epoch = 0;
  double loss = 0.0;  ///< the watched one
  std::vector<float> weights;
  std::vector<double> statistics;
};

/// What changes in a training from epoch to epoch.
struct Progress {
  std::int64_t step = 0;
  double plateau_factor = 1.0;
  int epochs_since_plateau = 0;
  double plateau_loss = std::numeric_limits<double>::infinity();
  int epochs_without_gain = 0;
  double stopping_loss = std::numeric_limits<double>::infinity();
  bool stopped_early = false;
  std::vector<std::size_t> order;  ///< of the rows
  std::vector<EpochReport> history;
  Snapshot best;
  Snapshot last;  ///< good epoch
};

/// What stands behind it in the value of a fact tells two apart and says nothing to a reader.
inline constexpr std::string_view kUnreadable = " #";

struct Checkpoint {
  Facts facts;  ///< what the training depends on
  Progress progress;
  int optimizer_steps = 0;
  std::vector<float> first;   ///< moments of the optimiser
  std::vector<float> second;  ///< moments of the optimiser
  std::string random;         ///< Random::state
};

std::string to_bytes(const Checkpoint& from);
/// Throws invalid_input when these are not the bytes of a checkpoint, whole. That its numbers make sense for
/// a training is not asked here.
Checkpoint read_checkpoint(std::string_view bytes);

}  // namespace bnrun::train
