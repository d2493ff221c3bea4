// Layers as one writes them on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bnrun/train.h"

namespace bnrun {

/// "dense:32,bn,relu,dense": a dense layer without units is the last and has `outputs`; "nobias" and "he" may
/// follow its units, as in "dense:32:nobias". Classification ends in softmax whether it is written or not.
/// Throws cli::UsageError naming the part that is not understood.
std::vector<train::LayerSpec> parse_layers(std::string_view text, std::int64_t outputs, bool classification);

/// The network that is the same block again and again.
struct HiddenLayers {
  std::vector<std::int64_t> units{32, 32};
  std::string activation = "relu";
  bool batch_norm = true;
  bool before_activation = true;
};
/// The same in the notation of parse_layers.
std::string layers_text(const HiddenLayers& hidden);

}  // namespace bnrun
