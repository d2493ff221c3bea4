// Learning rates over a training.
#pragma once

#include <cstdint>

#include "bnrun/train.h"

namespace bnrun::train {

/// Throws invalid_input when a number makes no sense.
void check_schedule(const Schedule& schedule);
void check_plateau(const Plateau& plateau);

/// The multiple of the optimiser's learning rate at `step` (from 0) of epochs of `steps_per_epoch`.
double rate_factor(const Schedule& schedule, std::int64_t step, std::int64_t steps_per_epoch, int epochs);

}  // namespace bnrun::train
