// Layers as one writes them on the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bnrun/train.h"
#include "task.h"

namespace bnrun {

/// "dense(32) bn relu dense": layers with spaces or commas between them; numbers and words of a layer stand in
/// brackets or behind colons, as in "dense:32:nobias". A dense layer without units is the last and has
/// `outputs`. Classification ends in softmax, labels end in sigmoid, whether it is written or not. `usual`: what `bn` alone means. Throws cli::UsageError naming the
/// part that is not understood.
///
///     dense(UNITS, nobias, INITIALIZER, scale=S)  bn(momentum=M, epsilon=E, nocenter, noscale)
///     ln(epsilon=E, nocenter, noscale)  dropout(RATE)  leaky_relu(ALPHA)  elu(ALPHA)
///     relu selu gelu tanh sigmoid softmax linear  residual(LAYERS)
///     conv(FILTERS, SIZE, same, strides=SIZE, nobias, INITIALIZER, scale=S)  maxpool(SIZE, same, strides=SIZE)
///     avgpool(SIZE, same, strides=SIZE)  gap  flatten, where a SIZE is 5 or 3x5
std::vector<train::LayerSpec> parse_layers(std::string_view text, std::int64_t outputs, Task task,
                                           const train::BatchNormalization& usual = {});

struct KerasNetwork {
  std::vector<train::LayerSpec> layers;
  std::vector<std::int64_t> input;  ///< extents of one row, channels last; empty: it does not say
};
/// The network as Keras's model.to_json() writes it, Sequential or functional without branches. The last Dense
/// layer must have `outputs` units. Throws invalid_input naming the layer, and its setting, that is not known
/// here: no setting is passed over unless it says what is done anyway.
KerasNetwork parse_keras(const std::string& json, const std::string& file, std::int64_t outputs, Task task);
/// Appends what the layers of such a task end in; what speaks against that, "": nothing.
std::string end_layers(Task task, std::vector<train::LayerSpec>& layers);

/// A size such as "5" or "3x5"; nullopt where it is none.
std::optional<train::Size2D> read_size(std::string_view text);

/// The initialiser of that name; "he" is he_uniform. False when there is none.
bool find_initializer(std::string_view name, train::Initializer& found);

/// The network that is the same block again and again.
struct HiddenLayers {
  enum class Normalization { before, after, none, layer };
  std::vector<std::int64_t> units{32, 32};
  std::string activation = "relu";
  Normalization normalization = Normalization::before;  ///< of the batch, before or after the activation
  double dropout = 0.0;                                 ///< behind each block
};
/// The same in the notation of parse_layers.
std::string layers_text(const HiddenLayers& hidden);

}  // namespace bnrun
