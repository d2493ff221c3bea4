// Optimisers: one update of all trainable weights from their gradients.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "bnrun/train.h"

namespace bnrun::train {

/// Throws invalid_input when a number makes no sense.
void check_optimizer(const Optimizer& optimizer);
double learning_rate_of(const Optimizer& optimizer);

/// The moments that an optimiser keeps from step to step.
template <class T>
class OptimizerState {
 public:
  OptimizerState(const Optimizer& optimizer, std::size_t weights);

  /// With the optimiser's own learning rate times `rate_factor`.
  void step(std::span<T> weights, std::span<const T> gradients, double rate_factor = 1.0);

  int steps() const { return steps_; }
  const std::vector<T>& first() const { return first_; }
  const std::vector<T>& second() const { return second_; }
  /// As these were. Throws invalid_input when their sizes are not those of this optimiser.
  void restore(int steps, std::vector<T> first, std::vector<T> second);

 private:
  void step(const Sgd& sgd, double rate, std::span<T> weights, std::span<const T> gradients);
  void step(const Adam& adam, double rate, std::span<T> weights, std::span<const T> gradients);
  void step(const AdamW& adam, double rate, std::span<T> weights, std::span<const T> gradients);
  void step(const RmsProp& rms, double rate, std::span<T> weights, std::span<const T> gradients);
  void step(const Lion& lion, double rate, std::span<T> weights, std::span<const T> gradients);

  Optimizer optimizer_;
  int steps_ = 0;
  std::vector<T> first_;   // velocity, or the mean of the gradients
  std::vector<T> second_;  // the mean of their squares
};

extern template class OptimizerState<float>;
extern template class OptimizerState<double>;

}  // namespace bnrun::train
