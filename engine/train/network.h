// What a Network is made of, for fit, check_gradients and export.
#pragma once

#include <vector>

#include "bnrun/train.h"
#include "train/stack.h"

namespace bnrun::train {

struct Network::State {
  State(std::int64_t inputs, std::vector<LayerSpec> layers)
      : specs(std::move(layers)), stack(inputs, specs) {}

  std::vector<LayerSpec> specs;
  Stack<float> stack;
  Scaling input_scaling;
  Scaling target_scaling;
};

/// Throws invalid_input unless the columns, labels and targets fit the network and every number is finite.
void check_data(const Network& network, const Dataset& data);

/// The data as the first layer and the loss see it.
Dataset scaled(const Network& network, const Dataset& data);

}  // namespace bnrun::train
