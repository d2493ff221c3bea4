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

/// One class against all others. A share of no rows is 0, as is the harmonic mean of two such.
struct ClassScore {
  std::int64_t rows = 0;   ///< that have its label
  double precision = 0.0;  ///< of the rows predicted so, how many are
  double recall = 0.0;     ///< of the rows that are so, how many are predicted
  double f1 = 0.0;         ///< their harmonic mean
  /// That a row of the class has a larger probability of it than one of another class, equal ones counted
  /// half: the area under the ROC curve (Hanley and McNeil 1982). NaN where there are no two such rows, or a
  /// probability is NaN.
  double auc = 0.0;
};

struct ClassificationReport {
  std::vector<ClassScore> classes;
  /// Of the classes that have rows, the AUC of those that not all rows are of: NaN where there are none. Its rows are
  /// all.
  ClassScore mean;
  double top_3 = 0.0;     ///< rows whose label is among the three most probable classes
  double log_loss = 0.0;  ///< mean of -log(probability of the label)
  /// Mean over rows of |accuracy - confidence| in ten equal ranges of the largest probability: Guo et al.
  /// 2017, arXiv 1706.04599.
  double calibration_error = 0.0;
};
/// Of what score_classes takes, with the same errors.
BNRUN_API ClassificationReport report_classes(std::span<const float> probabilities,
                                              std::span<const std::int64_t> labels, std::int64_t classes);

/// The share of rows whose label is among the `k` most probable classes, equal ones counted in its favour.
BNRUN_API double top_accuracy(std::span<const float> probabilities, std::span<const std::int64_t> labels,
                              std::int64_t classes, std::int64_t k);

struct RegressionScore {
  std::int64_t elements = 0;
  double mean_squared_error = 0.0;
  double mean_absolute_error = 0.0;
  double root_mean_squared_error = 0.0;
  /// 1 - squared error / squared deviation from the mean target; NaN where all targets are equal.
  double r2 = 0.0;
};
BNRUN_API RegressionScore score_predictions(std::span<const float> predictions,
                                            std::span<const float> targets);

/// Each output [rows, outputs] by itself.
BNRUN_API std::vector<RegressionScore> score_targets(std::span<const float> predictions,
                                                     std::span<const float> targets, std::int64_t outputs);

/// Of labels that may hold at once, predicted where their probability is above 0.5.
struct LabelReport {
  std::vector<ClassScore> labels;  ///< `rows` are those that have it
  ClassScore mean;                 ///< of the labels that some row has, as in ClassificationReport
  double accuracy = 0.0;           ///< share of labels of rows that are predicted as they are
  double exact = 0.0;              ///< share of rows all of whose labels are
  double log_loss = 0.0;           ///< mean over rows and labels of -log(probability of what is)
};
/// `probabilities` and `targets` [rows, labels], a target above 0.5 being one that holds. NaN is wrong. Throws
/// invalid_input when the sizes do not fit.
BNRUN_API LabelReport report_labels(std::span<const float> probabilities, std::span<const float> targets,
                                    std::int64_t labels);

}  // namespace bnrun::train
