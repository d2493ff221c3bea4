#include "train/network.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/fail.h"

namespace bnrun::train {
namespace {

/// The node name stem of a layer and its type in a summary.
std::pair<std::string_view, std::string_view> kind_of(const LayerSpec& spec) {
  if (std::holds_alternative<Dense>(spec)) return {"dense", "Dense"};
  if (std::holds_alternative<BatchNormalization>(spec)) return {"batch_normalization", "BatchNormalization"};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kActivations{{
      {"linear", "Linear"},
      {"relu", "ReLU"},
      {"tanh", "Tanh"},
      {"sigmoid", "Sigmoid"},
      {"softmax", "Softmax"},
  }};
  return kActivations[static_cast<std::size_t>(std::get<Activation>(spec))];
}

void check_scaling(const Scaling& scaling, std::int64_t columns) {
  const auto width = static_cast<std::size_t>(columns);
  if (!scaling.identity() && (scaling.factor.size() != width || scaling.offset.size() != width)) {
    fail(ErrorCode::invalid_input, "a scaling of {} columns for {} values per row", scaling.factor.size(),
         width);
  }
  for (std::size_t c = 0; c < scaling.factor.size(); ++c) {
    if (!std::isfinite(scaling.offset[c]) || !std::isfinite(scaling.factor[c]) || scaling.factor[c] == 0.0F) {
      fail(ErrorCode::invalid_input, "column {} is scaled by (x - {}) * {}", c + 1, scaling.offset[c],
           scaling.factor[c]);
    }
  }
}

void check_finite(const std::vector<float>& values, std::int64_t columns, std::string_view what) {
  const auto bad = std::find_if_not(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
  if (bad == values.end()) return;
  const auto position = bad - values.begin();
  fail(ErrorCode::invalid_input, "row {}, {} {}: {} is not a finite number", position / columns + 1, what,
       position % columns + 1, *bad);
}

}  // namespace

Network::Network(std::int64_t inputs, std::vector<LayerSpec> layers, std::uint64_t seed)
    : state_(std::make_unique<State>(inputs, std::move(layers))) {
  Random random(seed);
  state_->stack.initialize(random);
}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

std::int64_t Network::inputs() const {
  return state_->stack.inputs();
}
std::int64_t Network::outputs() const {
  return state_->stack.outputs();
}
Loss Network::loss() const {
  const auto* last = std::get_if<Activation>(&state_->specs.back());
  return last != nullptr && *last == Activation::softmax ? Loss::cross_entropy : Loss::mean_squared_error;
}
const Scaling& Network::input_scaling() const {
  return state_->input_scaling;
}
const Scaling& Network::target_scaling() const {
  return state_->target_scaling;
}

std::vector<LayerSummary> Network::layers() const {
  std::vector<LayerSummary> list;
  for (std::size_t i = 0; i < state_->specs.size(); ++i) {
    const auto [stem, type] = kind_of(state_->specs[i]);
    const auto number = 1 + std::ranges::count(list, type, &LayerSummary::type);
    const auto& layer = *state_->stack.layers()[i];
    list.push_back({fmt::format("{}_{}", stem, number), std::string(type), layer.outputs(), layer.trainable(),
                    layer.fixed()});
  }
  return list;
}

std::vector<Weight> Network::weights() const {
  std::vector<Weight> list;
  const auto infos = layers();
  for (std::size_t i = 0; i < infos.size(); ++i) {
    for (auto& [name, tensor] : state_->stack.layers()[i]->weights()) {
      list.push_back({infos[i].name + "." + name, std::move(tensor)});
    }
  }
  return list;
}

void Network::set_input_scaling(Scaling scaling) {
  check_scaling(scaling, inputs());
  state_->input_scaling = std::move(scaling);
}

void Network::set_target_scaling(Scaling scaling) {
  if (loss() == Loss::cross_entropy) fail(ErrorCode::invalid_input, "labels cannot be scaled");
  check_scaling(scaling, outputs());
  state_->target_scaling = std::move(scaling);
}

std::vector<float> Network::predict(std::span<const float> features) const {
  const auto columns = static_cast<std::size_t>(inputs());
  if (features.size() % columns != 0) {
    fail(ErrorCode::invalid_input, "{} numbers are no whole rows of {}", features.size(), columns);
  }
  std::vector<float> rows(features.begin(), features.end());
  state_->input_scaling.apply(rows);
  const std::size_t count = rows.size() / columns;
  std::vector<float> y(count * static_cast<std::size_t>(outputs()));
  state_->stack.infer(static_cast<std::int64_t>(count), rows.data(), y.data());
  state_->target_scaling.inverted().apply(y);
  return y;
}

void check_data(const Network& network, const Dataset& data) {
  if (data.columns != network.inputs()) {
    fail(ErrorCode::invalid_input, "the data has {} columns, the network {} inputs", data.columns,
         network.inputs());
  }
  if (data.features.empty() || data.features.size() % static_cast<std::size_t>(data.columns) != 0) {
    fail(ErrorCode::invalid_input, "{} numbers are no whole rows of {}", data.features.size(), data.columns);
  }
  check_finite(data.features, data.columns, "column");
  const auto rows = static_cast<std::size_t>(data.rows());
  if (network.loss() == Loss::cross_entropy) {
    if (data.labels.size() != rows) {
      fail(ErrorCode::invalid_input, "{} labels for {} rows", data.labels.size(), rows);
    }
    for (std::size_t r = 0; r < rows; ++r) {
      if (data.labels[r] < 0 || data.labels[r] >= network.outputs()) {
        fail(ErrorCode::invalid_input, "row {}: label {} is outside the classes 0 to {}", r + 1,
             data.labels[r], network.outputs() - 1);
      }
    }
    return;
  }
  if (data.targets.size() != rows * static_cast<std::size_t>(network.outputs())) {
    fail(ErrorCode::invalid_input, "{} targets for {} rows of {} outputs", data.targets.size(), rows,
         network.outputs());
  }
  check_finite(data.targets, network.outputs(), "target");
}

Dataset scaled(const Network& network, const Dataset& data) {
  Dataset result = data;
  network.input_scaling().apply(result.features);
  network.target_scaling().apply(result.targets);
  return result;
}

Evaluation evaluate(const Network& network, const Dataset& data) {
  check_data(network, data);
  const auto predictions = network.predict(data.features);
  if (network.loss() == Loss::cross_entropy) {
    const std::int64_t classes = network.outputs();
    double loss = 0.0;
    for (std::size_t r = 0; r < data.labels.size(); ++r) {
      const auto i = r * static_cast<std::size_t>(classes) + static_cast<std::size_t>(data.labels[r]);
      loss -= std::log(static_cast<double>(std::max(predictions[i], std::numeric_limits<float>::min())));
    }
    return {loss / static_cast<double>(data.rows()),
            score_classes(predictions, data.labels, classes).accuracy()};
  }
  const auto score = score_predictions(predictions, data.targets);
  std::vector<float> y(predictions.begin(), predictions.end());
  std::vector<float> targets = data.targets;
  network.target_scaling().apply(y);
  network.target_scaling().apply(targets);
  return {score_predictions(y, targets).mean_squared_error, score.mean_absolute_error};
}

}  // namespace bnrun::train
