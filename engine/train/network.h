// What a Network is made of, for fit, check_gradients and export.
#pragma once

#include <vector>

#include "bnrun/train.h"
#include "train/stack.h"

namespace bnrun::train {

struct Network::State {
  State(const Shape& input, std::vector<LayerSpec> layers) : stack(input, std::move(layers)) {}

  Stack<float> stack;
  Scaling input_scaling;
  Scaling target_scaling;
};

/// Throws invalid_input unless the columns, labels and targets fit the network and every number is finite.
void check_data(const Network& network, const Dataset& data);

/// Rows classified correctly (shares of a row with several labels), or the sum over rows of the mean absolute
/// error in the data's units. `y` is what the network puts out for the batch.
double summed_metric(const Network& network, const Batch<float>& batch, std::span<const float> y);

/// The data as the first layer and the loss see it.
Dataset scaled(const Network& network, const Dataset& data);

}  // namespace bnrun::train
