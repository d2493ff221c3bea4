// What tells the operators of one factory apart, for the normalisation family.
#pragma once

#include <memory>

#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

enum class GroupNormalizationKind { group, instance };

enum class LayerNormalizationKind { layer, rms };

enum class SoftmaxKind { softmax, log_softmax, hardmax };

std::unique_ptr<const Op> make_group_normalization(AttributeReader& node, GroupNormalizationKind kind);
std::unique_ptr<const Op> make_layer_normalization(AttributeReader& node, LayerNormalizationKind kind);
std::unique_ptr<const Op> make_softmax(AttributeReader& node, SoftmaxKind kind);

}  // namespace bnrun
