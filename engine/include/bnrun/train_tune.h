// Going on with a network that a model holds, wherever it was trained.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bnrun/export.h"
#include "bnrun/model.h"
#include "bnrun/session.h"
#include "bnrun/train.h"

namespace bnrun::train {

/// A model as a network to train, and the way back. What stands before the first layer with weights (the
/// scaling of inputs, categories, missing values) stays as it is. Behind it there may be Gemm, MatMul and Add,
/// BatchNormalization, LayerNormalization, activations, Dropout, sums around residual blocks, and what only
/// moves or renames; at the end a map of each output, as of a scaled target. Movable, not thread-safe.
class BNRUN_API LoadedNetwork {
 public:
  /// `labels`: whether rows have a label; nullopt: the model decides: they have where it ends in softmax
  /// or sigmoid, or has several outputs that are no scaled targets. What then ends in neither is trained with softmax (sigmoid for a single
  /// output) behind it and written without.
  /// Throws unsupported, naming the node and what helps, when part of the model cannot be trained.
  explicit LoadedNetwork(const Model& model, std::optional<bool> labels = {});
  LoadedNetwork(LoadedNetwork&&) noexcept;
  LoadedNetwork& operator=(LoadedNetwork&&) noexcept;
  ~LoadedNetwork();

  Network& network();
  const Network& network() const;
  bool labels() const;

  /// What the network takes of these inputs of the model: [rows, network().inputs()].
  std::vector<float> features(std::span<const NamedTensor> inputs) const;

  /// The model with the network as it is now: its inputs, its output and its metadata stay; the nodes of the
  /// network are written as to_model does, folded or quantised where that is how it was trained.
  Model model() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Estimates what inference normalises and quantises with anew, layer by layer, and changes no weight: mean and
/// population variance of what each BatchNormalization receives over all rows, then with Folding::int8 the
/// range of what each Dense layer receives. Throws invalid_input when the rows do not fit.
BNRUN_API void recalibrate(Network& network, const Dataset& rows);

/// The last part of `recalibrate` alone.
BNRUN_API void calibrate_ranges(Network& network, const Dataset& rows);

}  // namespace bnrun::train
