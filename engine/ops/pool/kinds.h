// What tells the operators of one factory apart, for the pool family.
#pragma once

#include <memory>

#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

/// How one window is reduced and what affine maps pass through it.
enum class Pooling { max, average, lp };

std::unique_ptr<const Op> make_global_pool(AttributeReader& node, Pooling kind);
std::unique_ptr<const Op> make_pool(AttributeReader& node, Pooling kind);

}  // namespace bnrun
