// What the data of a model look like, as far as the model itself tells.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "affine/channel_affine.h"
#include "bnrun/verify.h"
#include "graph/graph.h"

namespace bnrun {

/// The numbers of one input: spread(u) for u in [-1, 1], per channel.
struct InputSource {
  std::string origin;
  ChannelAffine spread;
};

/// One for each input of the graph, empty for one with a default. Without a range, from the first operator behind the input that tells: a
/// BatchNormalization (mean +- 3 deviations), a scaler (what it maps to +-3), a division by 255.
std::vector<InputSource> sources_of(const Graph& graph, const std::optional<InputRange>& range);

}  // namespace bnrun
