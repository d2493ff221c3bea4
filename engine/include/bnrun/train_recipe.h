// How to train where nothing was asked for: numbers that follow from how much there is to learn from.
#pragma once

#include <cstdint>
#include <optional>

#include "bnrun/export.h"

namespace bnrun::train {

/// For a training whose number of steps is known before. Keras's defaults suit trainings of some ten thousand
/// steps; a table of a thousand rows gives some hundred. Measured on tables of 120 to 160,000 rows
/// (docs/training.md).
struct Recipe {
  std::int64_t rows = 0;
  std::int64_t steps = 0;
  /// 32 as in Keras, and as many more (a power of two, at most 256) as keep an epoch near a thousand steps.
  std::int64_t batch = 32;
  /// Of Adam, falling to 0 by cosine: 0.3 / sqrt(steps), from 0.001 to 0.01. Where steps point anywhere a weight
  /// wanders by rate * sqrt(steps); so it comes as far in a short training as in a long one.
  double learning_rate = 1e-3;
  /// Of BatchNormalization: the running statistics remember a thirtieth of the training, from 0.9 to Keras's
  /// 0.99.
  double bn_momentum = 0.99;
  /// From this epoch on the running statistics stand still (FitOptions::freeze_statistics): the second half. It
  /// learns without the noise of the statistics of batches, which is worth most where rows are many. nullopt
  /// for fewer than four epochs.
  std::optional<int> freeze_from;

  /// Of AdamW: 0.15 for each weight learned per row, at most 0.75.
  BNRUN_API double weight_decay(std::int64_t weights) const;
};

/// For `rows` rows to learn from, with that batch where it is given. Throws invalid_input unless all are
/// positive.
BNRUN_API Recipe choose_recipe(std::int64_t rows, int epochs, std::optional<std::int64_t> batch = {});

}  // namespace bnrun::train
