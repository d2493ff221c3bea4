// What tells the operators of one factory apart, for the activation family: the kinds of the kernel.
#pragma once

#include <memory>

#include "kernels/math/activation.h"
#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

std::unique_ptr<const Op> make_activation(AttributeReader& node, Activation::Kind kind);

}  // namespace bnrun
