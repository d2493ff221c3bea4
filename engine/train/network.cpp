#include "train/network.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/fail.h"

namespace bnrun::train {
namespace {

/// The node name stem of a layer and its type in a summary.
using Naming = std::pair<std::string_view, std::string_view>;

struct KindOf {
  Naming operator()(const Dense& /*spec*/) const { return {"dense", "Dense"}; }
  Naming operator()(const BatchNormalization& /*spec*/) const {
    return {"batch_normalization", "BatchNormalization"};
  }
  Naming operator()(const LayerNormalization& /*spec*/) const {
    return {"layer_normalization", "LayerNormalization"};
  }
  Naming operator()(const Dropout& /*spec*/) const { return {"dropout", "Dropout"}; }
  Naming operator()(const LeakyRelu& /*spec*/) const { return {"leaky_relu", "LeakyReLU"}; }
  Naming operator()(const Elu& /*spec*/) const { return {"elu", "ELU"}; }
  Naming operator()(const Shortcut& /*spec*/) const { return {"add", "Add"}; }
  Naming operator()(const Conv2D& /*spec*/) const { return {"conv2d", "Conv2D"}; }
  Naming operator()(const Pooling2D& spec) const {
    if (spec.kind == Pooling2D::Kind::maximum) return {"max_pooling2d", "MaxPooling2D"};
    return {"average_pooling2d", "AveragePooling2D"};
  }
  Naming operator()(const GlobalAveragePooling2D& /*spec*/) const {
    return {"global_average_pooling2d", "GlobalAveragePooling2D"};
  }
  Naming operator()(const Embedding& /*spec*/) const { return {"embedding", "Embedding"}; }
  Naming operator()(const Flatten& /*spec*/) const { return {"flatten", "Flatten"}; }
  Naming operator()(Activation kind) const {
    constexpr std::array<Naming, 7> kActivations{{
        {"linear", "Linear"},
        {"relu", "ReLU"},
        {"tanh", "Tanh"},
        {"sigmoid", "Sigmoid"},
        {"softmax", "Softmax"},
        {"gelu", "GELU"},
        {"selu", "SELU"},
    }};
    return kActivations[static_cast<std::size_t>(kind)];
  }
};

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

std::vector<Embedding::Column> embedded_columns(const Network& network) {
  const auto* embedding = std::get_if<Embedding>(&network.state().stack.specs().front());
  return embedding == nullptr ? std::vector<Embedding::Column>() : embedding->columns;
}

/// That what an Embedding reads are places in its tables.
void check_categories(const Network& network, const Dataset& data) {
  for (const auto& [column, values, width] : embedded_columns(network)) {
    for (std::int64_t r = 0; r < data.rows(); ++r) {
      const float place = data.features[static_cast<std::size_t>(r * data.columns + column)];
      if (!(place >= 0.0F && place <= static_cast<float>(values)) || place != std::floor(place))
        fail(ErrorCode::invalid_input, "row {}, column {}: {} is no category from 0 to {}", r + 1, column + 1,
             place, values);
    }
  }
}

}  // namespace

Network::Network(std::int64_t inputs, std::vector<LayerSpec> layers, std::uint64_t seed)
    : Network(Shape{inputs}, std::move(layers), seed) {}
Network::Network(const Shape& input, std::vector<LayerSpec> layers, std::uint64_t seed)
    : state_(std::make_unique<State>(input, std::move(layers))) {
  Random random(seed);
  state_->stack.initialize(random);
}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

std::int64_t Network::inputs() const {
  return state_->stack.inputs();
}
const Shape& Network::input_shape() const {
  return state_->stack.shapes()[0];
}
std::int64_t Network::outputs() const {
  return state_->stack.outputs();
}
Loss Network::loss() const {
  return state_->stack.objective().loss();
}
const LossOptions& Network::loss_options() const {
  return state_->stack.objective().options();
}
Folding Network::folding() const {
  return state_->stack.folding();
}
void Network::set_folding(Folding folding) {
  const auto summaries = layers();
  const auto convolution = std::ranges::find(summaries, "Conv2D", &LayerSummary::type);
  if (folding == Folding::int8 && convolution != summaries.end())
    fail(ErrorCode::invalid_input, "{}: a convolution cannot be trained in int8, but folded in float32",
         convolution->name);
  state_->stack.set_folding(folding);
}
const Scaling& Network::input_scaling() const {
  return state_->input_scaling;
}
const Scaling& Network::target_scaling() const {
  return state_->target_scaling;
}

std::vector<LayerSummary> Network::layers() const {
  std::vector<LayerSummary> list;
  const auto& specs = state_->stack.specs();
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto [stem, type] = std::visit(KindOf{}, specs[i]);
    const auto number = 1 + std::ranges::count(list, type, &LayerSummary::type);
    auto& layer = *state_->stack.layers()[i];
    list.push_back({fmt::format("{}_{}", stem, number), std::string(type), layer.outputs(),
                    state_->stack.shapes()[i + 1], layer.trainable(),
                    static_cast<std::int64_t>(layer.statistics().size())});
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

void Network::set_loss(Loss loss, LossOptions options) {
  const auto* last = std::get_if<Activation>(&state_->stack.specs().back());
  const auto ends_in = [&](Activation kind) { return last != nullptr && *last == kind; };
  if (loss == Loss::cross_entropy && !ends_in(Activation::softmax))
    fail(ErrorCode::invalid_input, "cross-entropy needs softmax as the last layer");
  if (loss == Loss::binary_cross_entropy && !ends_in(Activation::sigmoid))
    fail(ErrorCode::invalid_input, "binary cross-entropy needs sigmoid as the last layer");
  check_loss(loss, options, outputs());
  state_->stack.set_objective(Objective(loss, std::move(options)));
}

void Network::set_input_scaling(Scaling scaling) {
  check_scaling(scaling, inputs());
  for (const auto& [column, values, width] : embedded_columns(*this)) {
    const auto c = static_cast<std::size_t>(column);
    if (!scaling.identity() && (scaling.offset[c] != 0.0F || scaling.factor[c] != 1.0F))
      fail(ErrorCode::invalid_input, "column {} holds categories of an embedding, which cannot be scaled",
           column + 1);
  }
  state_->input_scaling = std::move(scaling);
}

void Network::set_target_scaling(Scaling scaling) {
  if (loss() == Loss::cross_entropy || loss() == Loss::binary_cross_entropy)
    fail(ErrorCode::invalid_input, "labels cannot be scaled");
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

std::vector<Spread> Network::spreads(std::span<const float> features) const {
  std::vector<float> rows(features.begin(), features.end());
  state_->input_scaling.apply(rows);
  const auto& stack = state_->stack;
  struct Sums {
    double count = 0.0, sum = 0.0, squares = 0.0;
  };
  std::vector<Sums> sums(stack.stages().size());
  std::vector<float> y(rows.size() / count_of(inputs()) * count_of(outputs()));
  const auto add = [&](std::size_t stage, std::int64_t /*rows*/, std::span<const float> values) {
    for (const float value : values) {
      const auto wide = static_cast<double>(value);
      sums[stage].sum += wide;
      sums[stage].squares += wide * wide;
    }
    sums[stage].count += static_cast<double>(values.size());
  };
  stack.infer(static_cast<std::int64_t>(rows.size()) / inputs(), rows.data(), y.data(), add);
  std::vector<Spread> result;
  for (std::size_t s = 0; s < sums.size(); ++s) {
    const double mean = sums[s].sum / sums[s].count;
    const Spread spread{mean, std::sqrt(std::max(0.0, sums[s].squares / sums[s].count - mean * mean))};
    result.resize(stack.stages()[s].last + 1, spread);
  }
  return result;
}

void check_data(const Network& network, const Dataset& data) {
  if (data.columns != network.inputs()) {
    fail(ErrorCode::invalid_input, "the data has {} columns, the network {} inputs", data.columns,
         network.inputs());
  }
  if (data.features.empty()) fail(ErrorCode::invalid_input, "the data has no rows");
  if (data.features.size() % static_cast<std::size_t>(data.columns) != 0) {
    fail(ErrorCode::invalid_input, "{} numbers are no whole rows of {}", data.features.size(), data.columns);
  }
  check_finite(data.features, data.columns, "column");
  check_categories(network, data);
  const auto rows = static_cast<std::size_t>(data.rows());
  if (network.state().stack.objective().takes_labels()) {
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
  if (network.loss() != Loss::binary_cross_entropy) return;
  const auto outside = [](float t) { return t < 0.0F || t > 1.0F; };
  const auto bad = std::find_if(data.targets.begin(), data.targets.end(), outside);
  if (bad != data.targets.end())
    fail(ErrorCode::invalid_input, "row {}: target {} of a binary cross-entropy, expected 0 to 1",
         (bad - data.targets.begin()) / network.outputs() + 1, *bad);
}

Dataset scaled(const Network& network, const Dataset& data) {
  Dataset result = data;
  network.input_scaling().apply(result.features);
  network.target_scaling().apply(result.targets);
  return result;
}

double summed_metric(const Network& network, const Batch<float>& batch, std::span<const float> y) {
  const auto width = static_cast<std::size_t>(network.outputs());
  double sum = 0.0;
  if (network.loss() == Loss::cross_entropy) {
    for (std::size_t r = 0; r < y.size() / width; ++r) {
      const auto row = y.subspan(r * width, width);
      sum += std::max_element(row.begin(), row.end()) - row.begin() == batch.labels[r] ? 1.0 : 0.0;
    }
    return sum;
  }
  const auto& factor = network.target_scaling().factor;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (network.loss() == Loss::binary_cross_entropy) {
      sum += (y[i] > 0.5F) == (batch.targets[i] > 0.5F) ? 1.0 : 0.0;
      continue;
    }
    const double error = std::abs(static_cast<double>(y[i]) - static_cast<double>(batch.targets[i]));
    sum += factor.empty() ? error : error / std::abs(static_cast<double>(factor[i % width]));
  }
  return sum / static_cast<double>(width);
}

Evaluation evaluate(const Network& network, const Dataset& data) {
  check_data(network, data);
  const Dataset seen = scaled(network, data);
  const auto& stack = network.state().stack;
  std::vector<float> y(count_of(data.rows() * network.outputs()));
  stack.infer(data.rows(), seen.features.data(), y.data());
  const Batch<float> rows{data.rows(), seen.features.data(), seen.labels.data(), seen.targets.data()};
  return {stack.objective().of_outputs(rows, network.outputs(), y.data()),
          summed_metric(network, rows, y) / static_cast<double>(data.rows())};
}

}  // namespace bnrun::train
