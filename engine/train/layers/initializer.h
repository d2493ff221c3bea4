// First weights of a Dense layer or a convolution.
#pragma once

#include <cstdint>
#include <span>

#include "bnrun/train_network.h"
#include "train/random.h"

namespace bnrun::train {

/// Draws W [inputs, units], row-major. Of a convolution `inputs` counts channels times the elements of the
/// window, and `window` those elements.
void draw_weights(Initializer initializer, std::int64_t inputs, std::int64_t units, Random& random,
                  std::span<double> W, std::int64_t window = 1);

}  // namespace bnrun::train
