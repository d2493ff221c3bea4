// The steps of an epoch: which rows each takes, gathered.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "bnrun/train.h"
#include "train/loss.h"

namespace bnrun::train {

/// Rows of the step that begins at `first`: a full batch, or what is left (see FitOptions::batch).
inline std::size_t step_rows(std::size_t first, std::size_t rows, std::size_t batch, bool needs_two) {
  const std::size_t left = rows - first;
  return left <= batch || (needs_two && left == batch + 1) ? left : batch;
}

inline std::int64_t steps_of_epoch(std::size_t rows, std::size_t batch, bool needs_two) {
  std::int64_t steps = 0;
  for (std::size_t first = 0; first < rows; ++steps) first += step_rows(first, rows, batch, needs_two);
  return steps;
}

/// The rows of one step, gathered in shuffled order.
class Gatherer {
 public:
  explicit Gatherer(const Dataset& data) : data_(data) {}

  Batch<float> gather(std::span<const std::size_t> rows) {
    take(rows, data_.features, features_);
    take(rows, data_.labels, labels_);
    take(rows, data_.targets, targets_);
    return {static_cast<std::int64_t>(rows.size()), features_.data(), labels_.data(), targets_.data()};
  }

 private:
  template <class V>
  void take(std::span<const std::size_t> rows, const std::vector<V>& from, std::vector<V>& to) const {
    const std::size_t width = from.size() / static_cast<std::size_t>(data_.rows());
    to.resize(rows.size() * width);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(rows[i] * width), width,
                  to.begin() + static_cast<std::ptrdiff_t>(i * width));
    }
  }

  const Dataset& data_;
  std::vector<float> features_;
  std::vector<std::int64_t> labels_;
  std::vector<float> targets_;
};

/// Adds the gradient of l2 * (sum of squares of the kernels); returns that penalty.
template <class T>
double add_penalty(double l2, std::span<const std::pair<std::size_t, std::size_t>> kernels,
                   std::span<const T> weights, std::span<T> gradients) {
  double squares = 0.0;
  for (const auto& [first, count] : kernels) {
    for (std::size_t i = first; i < first + count; ++i) {
      squares += static_cast<double>(weights[i]) * static_cast<double>(weights[i]);
      gradients[i] += static_cast<T>(2.0 * l2) * weights[i];
    }
  }
  return l2 * squares;
}

/// Cuts each gradient to the size `by_value`, then all down to the Euclidean norm `by_norm`; 0 does not.
template <class T>
void clip(std::span<T> gradients, double by_value, double by_norm) {
  if (by_value > 0.0) {
    for (T& g : gradients) g = std::clamp(g, static_cast<T>(-by_value), static_cast<T>(by_value));
  }
  if (by_norm == 0.0) return;
  double squares = 0.0;
  for (const T g : gradients) squares += static_cast<double>(g) * static_cast<double>(g);
  const double norm = std::sqrt(squares);
  if (!(norm > by_norm)) return;
  for (T& g : gradients) g *= static_cast<T>(by_norm / norm);
}

}  // namespace bnrun::train
