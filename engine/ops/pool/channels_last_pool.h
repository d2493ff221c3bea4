// MaxPool and AveragePool where the channels lie last.
#pragma once

#include <memory>
#include <optional>

#include "op/op.h"
#include "ops/pool/kinds.h"

namespace bnrun {

/// Of X[N,D1,...,C] in float32 or float64, to the bits what the pool of X[N,C,D1,...] gives. `window` nullopt: one
/// window over all. kind: max or average.
std::shared_ptr<const Op> make_channels_last_pool(Pooling kind, const std::optional<WindowAttributes>& window,
                                                  bool count_include_pad);

}  // namespace bnrun
