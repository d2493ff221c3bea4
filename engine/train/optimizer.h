// Optimisers: one update of all trainable weights from their gradients.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "bnrun/train.h"

namespace bnrun::train {

/// Throws invalid_input when a number makes no sense.
void check_optimizer(const Optimizer& optimizer);

/// The moments that an optimiser keeps from step to step.
class OptimizerState {
 public:
  OptimizerState(const Optimizer& optimizer, std::size_t weights);
  void step(std::span<float> weights, std::span<const float> gradients);

 private:
  void step(const Sgd& sgd, std::span<float> weights, std::span<const float> gradients);
  void step(const Adam& adam, std::span<float> weights, std::span<const float> gradients);

  Optimizer optimizer_;
  int steps_ = 0;
  std::vector<float> first_;   // velocity, or the mean of the gradients
  std::vector<float> second_;  // the mean of their squares
};

}  // namespace bnrun::train
