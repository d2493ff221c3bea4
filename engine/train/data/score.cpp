#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

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
    const bool known = std::ranges::none_of(row, [](float p) { return std::isnan(p); });
    score.correct += known && predicted == label ? 1 : 0;
    ++score.confusion[label * width + predicted];
  }
  return score;
}

namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

double ratio(double part, double whole) {
  return whole > 0.0 ? part / whole : 0.0;
}

/// Of column c of `width`; holds(r): whether row r is of that class. Ranks of Mann and Whitney: sum of the ranks of
/// the class's rows, equal ones sharing theirs.
template <class Holds>
double auc_of(std::span<const float> probabilities, std::size_t c, std::size_t width, Holds holds) {
  std::vector<std::pair<float, bool>> rows;
  for (std::size_t r = 0; r < probabilities.size() / width; ++r) {
    if (std::isnan(probabilities[r * width + c])) return kUndefined;
    rows.emplace_back(probabilities[r * width + c], holds(r));
  }
  std::sort(rows.begin(), rows.end());
  double rank_sum = 0.0;
  double hits = 0.0;
  for (std::size_t first = 0, end = 0; first < rows.size(); first = end) {
    while (end < rows.size() && rows[end].first == rows[first].first) ++end;
    const double rank = (static_cast<double>(first + end) + 1.0) / 2.0;
    for (std::size_t i = first; i < end; ++i) {
      if (!rows[i].second) continue;
      rank_sum += rank;
      ++hits;
    }
  }
  const double others = static_cast<double>(rows.size()) - hits;
  return hits * others > 0.0 ? (rank_sum - hits * (hits + 1.0) / 2.0) / (hits * others) : kUndefined;
}

/// Of `of.rows` rows of the class, `hits` among the rows predicted so.
void set_shares(ClassScore& of, double hits, double predicted) {
  of.precision = ratio(hits, predicted);
  of.recall = ratio(hits, static_cast<double>(of.rows));
  of.f1 = ratio(2.0 * of.precision * of.recall, of.precision + of.recall);
}

/// Of those that have rows, of `rows` in all; the AUC of those that not all rows are of.
ClassScore mean_of(std::span<const ClassScore> all, std::size_t rows) {
  ClassScore mean;
  double present = 0.0;
  double ranked = 0.0;
  for (const ClassScore& of : all) {
    if (of.rows == 0) continue;
    ++present;
    mean.precision += of.precision;
    mean.recall += of.recall;
    mean.f1 += of.f1;
    if (of.rows == static_cast<std::int64_t>(rows)) continue;
    ++ranked;
    mean.auc += of.auc;
  }
  for (double* part : {&mean.precision, &mean.recall, &mean.f1}) *part = ratio(*part, present);
  mean.auc = ranked > 0.0 ? mean.auc / ranked : kUndefined;
  return mean;
}

double calibration_error(std::span<const float> probabilities, std::span<const std::int64_t> labels,
                         std::size_t width) {
  constexpr std::size_t kRanges = 10;
  std::array<double, kRanges> difference{};  // sum of hits less sum of confidences
  for (std::size_t r = 0; r < labels.size(); ++r) {
    const auto row = probabilities.subspan(r * width, width);
    if (std::ranges::any_of(row, [](float p) { return std::isnan(p); })) return kUndefined;
    const auto largest = std::max_element(row.begin(), row.end());
    const auto confidence = static_cast<double>(*largest);
    const auto range = static_cast<std::size_t>(std::clamp(confidence * kRanges, 0.0, kRanges - 1.0));
    difference[range] += (largest - row.begin() == labels[r] ? 1.0 : 0.0) - confidence;
  }
  double sum = 0.0;
  for (const double d : difference) sum += std::abs(d);
  return ratio(sum, static_cast<double>(labels.size()));
}

}  // namespace

ClassificationReport report_classes(std::span<const float> probabilities,
                                    std::span<const std::int64_t> labels, std::int64_t classes) {
  const auto score = score_classes(probabilities, labels, classes);
  const auto width = static_cast<std::size_t>(classes);
  ClassificationReport report;
  for (std::size_t c = 0; c < width; ++c) {
    ClassScore of;
    std::int64_t predicted = 0;
    for (std::size_t other = 0; other < width; ++other) {
      of.rows += score.confusion[c * width + other];
      predicted += score.confusion[other * width + c];
    }
    set_shares(of, static_cast<double>(score.confusion[c * width + c]), static_cast<double>(predicted));
    of.auc = auc_of(probabilities, c, width,
                    [&](std::size_t r) { return labels[r] == static_cast<std::int64_t>(c); });
    report.classes.push_back(of);
  }
  report.mean = mean_of(report.classes, labels.size());
  report.mean.rows = score.rows;
  for (std::size_t r = 0; r < labels.size(); ++r) {
    const auto row = probabilities.subspan(r * width, width);
    const float own = row[static_cast<std::size_t>(labels[r])];
    report.log_loss -= std::log(std::max(static_cast<double>(own), 1e-38));
  }
  report.top_3 = top_accuracy(probabilities, labels, classes, 3);
  report.log_loss = ratio(report.log_loss, static_cast<double>(labels.size()));
  report.calibration_error = calibration_error(probabilities, labels, width);
  return report;
}

double top_accuracy(std::span<const float> probabilities, std::span<const std::int64_t> labels,
                    std::int64_t classes, std::int64_t k) {
  score_classes(probabilities, labels, classes);  // judges sizes and labels
  if (k < 1) fail(ErrorCode::invalid_input, "the {} most probable classes, expected at least one", k);
  const auto width = static_cast<std::size_t>(classes);
  double among = 0.0;
  for (std::size_t r = 0; r < labels.size(); ++r) {
    const auto row = probabilities.subspan(r * width, width);
    const float own = row[static_cast<std::size_t>(labels[r])];
    // NaN is among none
    if (std::count_if(row.begin(), row.end(), [=](float p) { return !(p <= own); }) < k) ++among;
  }
  return ratio(among, static_cast<double>(labels.size()));
}

RegressionScore score_predictions(std::span<const float> predictions, std::span<const float> targets) {
  if (predictions.size() != targets.size()) {
    fail(ErrorCode::invalid_input, "{} predictions for {} targets", predictions.size(), targets.size());
  }
  RegressionScore score{.elements = static_cast<std::int64_t>(targets.size())};
  score.r2 = kUndefined;
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
  score.root_mean_squared_error = std::sqrt(score.mean_squared_error);
  // Not by the deviation: the mean of equal numbers may round to another one.
  if (std::ranges::adjacent_find(targets, std::ranges::not_equal_to()) != targets.end())
    score.r2 = 1.0 - score.mean_squared_error / deviation;
  return score;
}

std::vector<RegressionScore> score_targets(std::span<const float> predictions, std::span<const float> targets,
                                           std::int64_t outputs) {
  const auto width = static_cast<std::size_t>(outputs);
  if (outputs < 1 || predictions.size() != targets.size() || targets.size() % width != 0)
    fail(ErrorCode::invalid_input, "{} predictions for {} targets of rows of {}", predictions.size(),
         targets.size(), outputs);
  const auto column = [&](std::span<const float> values, std::size_t c) {
    std::vector<float> of;
    for (std::size_t i = c; i < values.size(); i += width) of.push_back(values[i]);
    return of;
  };
  std::vector<RegressionScore> scores;
  for (std::size_t c = 0; c < width; ++c)
    scores.push_back(score_predictions(column(predictions, c), column(targets, c)));
  return scores;
}

LabelReport report_labels(std::span<const float> probabilities, std::span<const float> targets,
                          std::int64_t labels) {
  const auto width = static_cast<std::size_t>(labels);
  if (labels < 1 || probabilities.size() != targets.size() || targets.size() % width != 0)
    fail(ErrorCode::invalid_input, "{} probabilities for {} targets of rows of {} labels",
         probabilities.size(), targets.size(), labels);
  const std::size_t rows = targets.size() / width;
  LabelReport report;
  std::vector<bool> right(rows, true);
  for (std::size_t c = 0; c < width; ++c) {
    ClassScore of;
    double hits = 0.0;
    double predicted = 0.0;
    for (std::size_t r = 0; r < rows; ++r) {
      const auto p = static_cast<double>(probabilities[r * width + c]);
      const bool holds = targets[r * width + c] > 0.5F;
      const bool same = !std::isnan(p) && (p > 0.5) == holds;
      if (holds) ++of.rows;
      if (p > 0.5) ++predicted;
      if (holds && p > 0.5) ++hits;
      if (same) ++report.accuracy;
      if (!same) right[r] = false;
      report.log_loss -= std::log(std::max(holds ? p : 1.0 - p, 1e-38));
    }
    set_shares(of, hits, predicted);
    of.auc = auc_of(probabilities, c, width, [&](std::size_t r) { return targets[r * width + c] > 0.5F; });
    report.labels.push_back(of);
  }
  report.mean = mean_of(report.labels, rows);
  report.mean.rows = static_cast<std::int64_t>(rows);
  const auto elements = static_cast<double>(targets.size());
  report.accuracy = ratio(report.accuracy, elements);
  report.log_loss = ratio(report.log_loss, elements);
  report.exact = ratio(static_cast<double>(std::ranges::count(right, true)), static_cast<double>(rows));
  return report;
}

}  // namespace bnrun::train
