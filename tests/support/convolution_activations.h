// What random convolutions are followed by: in registers, bent, and in a pass of its own.
#pragma once

#include "kernels/math/activation.h"

namespace bnrun::testing {

inline constexpr Activation kConvolutionActivations[] = {{},
                                                         {Activation::Kind::relu},
                                                         {Activation::Kind::clip, 0.0, 1.5},
                                                         {Activation::Kind::leaky_relu, 0.1},
                                                         {Activation::Kind::hard_swish},
                                                         {Activation::Kind::sigmoid}};

}  // namespace bnrun::testing
