// First weights of a Dense layer.
#pragma once

#include <cstdint>
#include <span>

#include "bnrun/train_network.h"
#include "train/random.h"

namespace bnrun::train {

/// Draws W [inputs, units], row-major.
void draw_weights(Initializer initializer, std::int64_t inputs, std::int64_t units, Random& random,
                  std::span<double> W);

}  // namespace bnrun::train
