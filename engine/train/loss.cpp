#include "train/loss.h"

#include <algorithm>
#include <cmath>

namespace bnrun::train {

std::string_view name_of(Loss loss) {
  return loss == Loss::cross_entropy ? "cross-entropy" : "mean squared error";
}

template <class T>
double cross_entropy(const Batch<T>& batch, std::int64_t classes, const T* logits, const T* probabilities,
                     T* gradient) {
  const double share = 1.0 / static_cast<double>(batch.rows);
  double loss = 0.0;
  for (std::int64_t r = 0; r < batch.rows; ++r) {
    const T* row = logits + r * classes;
    const double largest = static_cast<double>(*std::max_element(row, row + classes));
    double sum = 0.0;
    for (std::int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(row[c]) - largest);
    loss += largest + std::log(sum) - static_cast<double>(row[batch.labels[r]]);
    for (std::int64_t c = 0; c < classes; ++c) {
      const T hit = c == batch.labels[r] ? T(1) : T(0);
      gradient[r * classes + c] = (probabilities[r * classes + c] - hit) * static_cast<T>(share);
    }
  }
  return loss * share;
}

template <class T>
double mean_squared_error(const Batch<T>& batch, std::int64_t outputs, const T* y, T* gradient) {
  const std::int64_t elements = batch.rows * outputs;
  const double share = 1.0 / static_cast<double>(elements);
  double loss = 0.0;
  for (std::int64_t i = 0; i < elements; ++i) {
    const T error = y[i] - batch.targets[i];
    loss += static_cast<double>(error) * static_cast<double>(error);
    gradient[i] = static_cast<T>(2.0 * share) * error;
  }
  return loss * share;
}

template double cross_entropy(const Batch<float>&, std::int64_t, const float*, const float*, float*);
template double cross_entropy(const Batch<double>&, std::int64_t, const double*, const double*, double*);
template double mean_squared_error(const Batch<float>&, std::int64_t, const float*, float*);
template double mean_squared_error(const Batch<double>&, std::int64_t, const double*, double*);

}  // namespace bnrun::train
