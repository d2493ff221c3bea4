// Layers of a model that holds their data and weights as bytes, computed on these: exact sums, and what they stand for as
// floats or as bytes again.
#pragma once

#include <memory>
#include <optional>

#include "affine/channel_affine.h"
#include "graph/integer_product.h"
#include "kernels/math/activation.h"
#include "op/op.h"

namespace bnrun {

/// Whether numbers behind an activation have the bytes that those in front of it have, within bounds: it is a clip, say.
bool is_bound(const Activation& activation);

/// Y = act(affine(sums + bias)) of `product`, whose own map and output are left aside for these: float32, each in double and rounded
/// once in front of the activation. Or with `output` those numbers in its bytes, worked out in double.
/// X and Y have their channels last, as those of convolutions have. REQUIRES: is_bound(activation) where there is `output`.
std::shared_ptr<const Op> make_byte_op(const IntegerProduct& product, const ChannelAffine& affine,
                                       const Activation& activation, const std::optional<ByteOutput>& output);

/// The bytes of `output` for act(sum), input i being those of term i: worked out in double.
/// REQUIRES: is_bound(activation).
std::shared_ptr<const Op> make_byte_sum_op(const IntegerSum& sum, const Activation& activation,
                                           const ByteOutput& output);

}  // namespace bnrun
