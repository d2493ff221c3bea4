// The conversion between layouts as a step.
#pragma once

#include <memory>

#include "op/op.h"

namespace bnrun {

/// X[N,C,D1,...] as X[N,D1,...,C], or back.
std::shared_ptr<const Op> make_layout_op(bool to_channels_last);

}  // namespace bnrun
