// Operators that exist only in a Program: several of the graph in one.
#pragma once

#include <memory>
#include <optional>

#include "kernels/math/activation.h"
#include "kernels/gemm/dense.h"
#include "affine/channel_affine.h"
#include "op/op.h"

namespace bnrun {

/// Y = act(affine(X * W)), rows being all leading axes of X; `affine` lies on the last axis and includes the
/// bias. Returns nullptr when the affine map does not fit into the element type of W without loss of range.
std::shared_ptr<const Op> make_dense_op(const Tensor& W, const ChannelAffine& affine,
                                        const Activation& activation, MatrixBackend backend);

/// Y = act(scale[c] * X + shift[c]) for float32 and float64. The map is applied in double and rounded once,
/// as BatchNormalization itself does.
std::shared_ptr<const Op> make_channel_affine_op(const ChannelAffine& affine, const Activation& activation);

}  // namespace bnrun
