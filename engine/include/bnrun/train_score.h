// Measures of predictions against what is true.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bnrun/export.h"

namespace bnrun::train {

struct ClassificationScore {
  std::int64_t rows = 0;
  std::int64_t correct = 0;
  std::vector<std::int64_t> confusion;  ///< [true class, predicted class]
  BNRUN_API double accuracy() const;
};
/// `probabilities` [rows, classes]; the first of equal largest ones counts. Throws invalid_input naming the
/// row whose label is outside.
BNRUN_API ClassificationScore score_classes(std::span<const float> probabilities,
                                            std::span<const std::int64_t> labels, std::int64_t classes);

struct RegressionScore {
  std::int64_t elements = 0;
  double mean_squared_error = 0.0;
  double mean_absolute_error = 0.0;
  double r2 = 0.0;  ///< 1 - squared error / squared deviation from the mean target; 0 when all are equal
};
BNRUN_API RegressionScore score_predictions(std::span<const float> predictions,
                                            std::span<const float> targets);

}  // namespace bnrun::train
