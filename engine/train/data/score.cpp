#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "bnrun/train.h"

namespace bnrun::train {

double ClassificationScore::accuracy() const {
  return rows == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(rows);
}

ClassificationScore score_classes(std::span<const float> probabilities, std::span<const std::int64_t> labels,
                                  std::int64_t classes) {
  const auto width = static_cast<std::size_t>(classes);
  if (probabilities.size() != labels.size() * width) {
    fail(ErrorCode::invalid_input, "{} probabilities for {} rows of {} classes", probabilities.size(),
         labels.size(), classes);
  }
  ClassificationScore score;
  score.confusion.resize(width * width);
  for (std::size_t r = 0; r < labels.size(); ++r) {
    if (labels[r] < 0 || labels[r] >= classes) {
      fail(ErrorCode::invalid_input, "row {}: label {} is outside the classes 0 to {}", r + 1, labels[r],
           classes - 1);
    }
    const auto row = probabilities.subspan(r * width, width);
    const auto label = static_cast<std::size_t>(labels[r]);
    const auto predicted = static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    ++score.rows;
    score.correct += predicted == label ? 1 : 0;
    ++score.confusion[label * width + predicted];
  }
  return score;
}

RegressionScore score_predictions(std::span<const float> predictions, std::span<const float> targets) {
  if (predictions.size() != targets.size()) {
    fail(ErrorCode::invalid_input, "{} predictions for {} targets", predictions.size(), targets.size());
  }
  RegressionScore score{.elements = static_cast<std::int64_t>(targets.size())};
  if (targets.empty()) return score;
  const auto count = static_cast<double>(targets.size());
  double mean = 0.0;
  for (const float target : targets) mean += static_cast<double>(target) / count;
  double deviation = 0.0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto target = static_cast<double>(targets[i]);
    const double error = static_cast<double>(predictions[i]) - target;
    score.mean_squared_error += error * error / count;
    score.mean_absolute_error += std::abs(error) / count;
    deviation += (target - mean) * (target - mean) / count;
  }
  score.r2 = deviation > 0.0 ? 1.0 - score.mean_squared_error / deviation : 0.0;
  return score;
}

}  // namespace bnrun::train
