// Losses: a number for a batch and its gradient with respect to the network's last linear values.
#pragma once

#include <cstdint>

#include "bnrun/train.h"

namespace bnrun::train {

/// Rows to learn from. Which of labels and targets is read depends on the loss.
template <class T>
struct Batch {
  std::int64_t rows = 0;
  const T* features = nullptr;           ///< [rows, inputs]
  const std::int64_t* labels = nullptr;  ///< [rows]
  const T* targets = nullptr;            ///< [rows, outputs]
};

/// The mean of -log softmax(logits)[label], from the logits, so that a probability of zero is no infinity.
/// `gradient` [rows, classes] receives (probability - (class == label)) / rows.
template <class T>
double cross_entropy(const Batch<T>& batch, std::int64_t classes, const T* logits, const T* probabilities,
                     T* gradient);

/// The mean of (y - target)^2. `gradient` [rows, outputs] receives 2 * (y - target) / (rows * outputs).
template <class T>
double mean_squared_error(const Batch<T>& batch, std::int64_t outputs, const T* y, T* gradient);

extern template double cross_entropy(const Batch<float>&, std::int64_t, const float*, const float*, float*);
extern template double cross_entropy(const Batch<double>&, std::int64_t, const double*, const double*,
                                     double*);
extern template double mean_squared_error(const Batch<float>&, std::int64_t, const float*, float*);
extern template double mean_squared_error(const Batch<double>&, std::int64_t, const double*, double*);

}  // namespace bnrun::train
