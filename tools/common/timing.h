// How long a model takes per row, measured in this process.
#pragma once

#include <cstdint>

#include "bnrun/model.h"

namespace bnrun::cli {

/// Median microseconds per row of two models.
struct Timing {
  std::int64_t rows = 0;  ///< of a batch
  double before = 0.0;
  double after = 0.0;
};

/// Runs two models as they are, unfolded, on batches of `rows` rows of one thread, in turns, so that a
/// machine that slows down slows down both; time the thread was not given does not count. Dynamic dimensions
/// of the inputs are taken for the batch. Throws as Session does, and unsupported for an input of unknown
/// rank.
Timing time_in_turns(const Model& before, const Model& after, std::int64_t rows);

}  // namespace bnrun::cli
