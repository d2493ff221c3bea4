#include "train/loss.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/fail.h"

namespace bnrun::train {
namespace {

/// log(1 + exp(z)) - z * t: the cross-entropy of sigmoid(z) and t.
double binary_entropy(double z, double t) {
  return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))) - z * t;
}

template <class T>
double log_sum_exp(const T* row, std::int64_t count) {
  const auto largest = static_cast<double>(*std::max_element(row, row + count));
  double sum = 0.0;
  for (std::int64_t c = 0; c < count; ++c) sum += std::exp(static_cast<double>(row[c]) - largest);
  return largest + std::log(sum);
}

/// The loss of an error of a prediction, and its slope.
std::pair<double, double> of_error(Loss loss, double error, double delta) {
  const double size = std::abs(error);
  const double sign = error > 0.0 ? 1.0 : error < 0.0 ? -1.0 : 0.0;
  if (loss == Loss::mean_absolute_error) return {std::isnan(error) ? error : size, sign};
  if (loss == Loss::mean_squared_error) return {error * error, 2.0 * error};
  if (size <= delta) return {0.5 * error * error, error};
  return {delta * (size - 0.5 * delta), delta * sign};
}

}  // namespace

std::string_view name_of(Loss loss) {
  constexpr std::array<std::string_view, 5> kNames{"cross-entropy", "mean squared error",
                                                   "binary cross-entropy", "mean absolute error", "Huber"};
  return kNames[static_cast<std::size_t>(loss)];
}

std::vector<double> balanced_class_weights(std::span<const std::int64_t> labels, std::int64_t classes) {
  std::vector<double> rows(static_cast<std::size_t>(classes));
  for (const std::int64_t label : labels) {
    if (label < 0 || label >= classes)
      fail(ErrorCode::invalid_input, "label {} is outside the classes 0 to {}", label, classes - 1);
    ++rows[static_cast<std::size_t>(label)];
  }
  for (double& count : rows) {
    if (count > 0.0) count = static_cast<double>(labels.size()) / (static_cast<double>(classes) * count);
  }
  return rows;
}

void check_loss(Loss loss, const LossOptions& options, std::int64_t outputs) {
  if (!(options.label_smoothing >= 0.0 && options.label_smoothing < 1.0))
    fail(ErrorCode::invalid_input, "label smoothing {}, expected 0 <= smoothing < 1",
         options.label_smoothing);
  if (!(options.huber_delta > 0.0) || !std::isfinite(options.huber_delta))
    fail(ErrorCode::invalid_input, "Huber's delta {}, expected a positive number", options.huber_delta);
  const auto& weights = options.class_weights;
  if (weights.empty()) return;
  if (loss != Loss::cross_entropy || weights.size() != static_cast<std::size_t>(outputs))
    fail(ErrorCode::invalid_input, "{} class weights for {} outputs and the loss {}", weights.size(), outputs,
         name_of(loss));
  const auto fits = [](double w) { return w >= 0.0 && std::isfinite(w); };
  if (!std::all_of(weights.begin(), weights.end(), fits))
    fail(ErrorCode::invalid_input, "a class weight is negative or not finite");
}

double Objective::row_weight(std::int64_t label) const {
  return options_.class_weights.empty() ? 1.0 : options_.class_weights[static_cast<std::size_t>(label)];
}

double Objective::wanted(std::int64_t label, std::int64_t c, std::int64_t classes) const {
  const double smoothing = options_.label_smoothing;
  return (c == label ? 1.0 - smoothing : 0.0) + smoothing / static_cast<double>(classes);
}

double Objective::smoothed(double target) const {
  return target * (1.0 - options_.label_smoothing) + 0.5 * options_.label_smoothing;
}

template <class T>
double Objective::operator()(const Batch<T>& batch, std::int64_t outputs, const T* logits, const T* y,
                             T* gradient) const {
  double loss = 0.0;
  if (loss_ == Loss::cross_entropy) {
    const double share = 1.0 / static_cast<double>(batch.rows);
    for (std::int64_t r = 0; r < batch.rows; ++r) {
      const T* row = logits + r * outputs;
      const std::int64_t label = batch.labels[r];
      const double weight = row_weight(label) * share;
      double inner = 0.0;
      for (std::int64_t c = 0; c < outputs; ++c) {
        const double target = wanted(label, c, outputs);
        if (target != 0.0) inner += target * static_cast<double>(row[c]);
        gradient[r * outputs + c] =
            static_cast<T>((static_cast<double>(y[r * outputs + c]) - target) * weight);
      }
      loss += weight * (log_sum_exp(row, outputs) - inner);
    }
    return loss;
  }
  const std::int64_t elements = batch.rows * outputs;
  const double share = 1.0 / static_cast<double>(elements);
  for (std::int64_t i = 0; i < elements; ++i) {
    const auto target = static_cast<double>(batch.targets[i]);
    const auto value = static_cast<double>(y[i]);
    std::pair<double, double> one;
    if (loss_ == Loss::binary_cross_entropy)
      one = {binary_entropy(static_cast<double>(logits[i]), smoothed(target)), value - smoothed(target)};
    else
      one = of_error(loss_, value - target, options_.huber_delta);
    loss += one.first;
    gradient[i] = static_cast<T>(one.second * share);
  }
  return loss * share;
}

double Objective::of_outputs(const Batch<float>& batch, std::int64_t outputs, const float* y) const {
  const auto log_of = [](double p) {
    return std::log(std::max(p, static_cast<double>(std::numeric_limits<float>::min())));
  };
  double loss = 0.0;
  if (loss_ == Loss::cross_entropy) {
    for (std::int64_t r = 0; r < batch.rows; ++r) {
      double inner = 0.0;
      for (std::int64_t c = 0; c < outputs; ++c) {
        const double target = wanted(batch.labels[r], c, outputs);
        if (target != 0.0) inner += target * log_of(static_cast<double>(y[r * outputs + c]));
      }
      loss -= row_weight(batch.labels[r]) * inner;
    }
    return loss / static_cast<double>(batch.rows);
  }
  const std::int64_t elements = batch.rows * outputs;
  for (std::int64_t i = 0; i < elements; ++i) {
    const auto target = static_cast<double>(batch.targets[i]);
    const auto value = static_cast<double>(y[i]);
    if (loss_ == Loss::binary_cross_entropy) {
      const double wish = smoothed(target);
      loss -= wish * log_of(value) + (1.0 - wish) * log_of(1.0 - value);
    } else {
      loss += of_error(loss_, value - target, options_.huber_delta).first;
    }
  }
  return loss / static_cast<double>(elements);
}

template double Objective::operator()(const Batch<float>&, std::int64_t, const float*, const float*,
                                      float*) const;
template double Objective::operator()(const Batch<double>&, std::int64_t, const double*, const double*,
                                      double*) const;

}  // namespace bnrun::train
