#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "base/numbers.h"
#include "bnrun/train_recipe.h"

namespace bnrun::train {

double Recipe::weight_decay(std::int64_t weights) const {
  return std::min(0.75, 0.15 * static_cast<double>(weights) / static_cast<double>(rows));
}

Recipe choose_recipe(std::int64_t rows, int epochs, std::optional<std::int64_t> batch) {
  constexpr std::int64_t kStepsOfEpoch = 1000;
  constexpr std::int64_t kLargestBatch = 256;
  if (rows < 1 || epochs < 1 || batch.value_or(1) < 1)
    fail(ErrorCode::invalid_input, "{} epochs of {} rows in batches of {}", epochs, rows, batch.value_or(32));
  Recipe recipe{.rows = rows};
  while (recipe.batch < kLargestBatch && recipe.batch * kStepsOfEpoch < rows) recipe.batch *= 2;
  recipe.batch = batch.value_or(recipe.batch);
  recipe.steps = ceil_div(rows, recipe.batch) * epochs;
  const auto steps = static_cast<double>(recipe.steps);
  recipe.learning_rate = std::clamp(0.3 / std::sqrt(steps), 1e-3, 1e-2);
  recipe.bn_momentum = std::clamp(1.0 - 30.0 / steps, 0.9, 0.99);
  if (epochs >= 4) recipe.freeze_from = epochs / 2 + 1;
  return recipe;
}

}  // namespace bnrun::train
