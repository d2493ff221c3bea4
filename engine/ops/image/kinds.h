// What tells the operators of one factory apart, for the image family.
#pragma once

#include <memory>

#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

enum class DepthSpaceKind { depth_to_space, space_to_depth };

enum class ResizeKind { resize, upsample };

std::unique_ptr<const Op> make_depth_space(AttributeReader& node, DepthSpaceKind kind);
std::unique_ptr<const Op> make_resize(AttributeReader& node, ResizeKind kind);

}  // namespace bnrun
