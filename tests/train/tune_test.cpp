// Networks that a model holds: read, gone on with, written back.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "api/model_access.h"
#include "bnrun/session.h"
#include "bnrun/train_tune.h"
#include "samples.h"
#include "train/network.h"

namespace bnrun::train {
namespace {

using Layers = std::vector<LayerSpec>;

std::vector<NamedTensor> as_input(const Dataset& data) {
  return {{"input", Tensor(Shape{data.rows(), data.columns}, data.features)}};
}

/// In floats throughout, as the trainer has them: bytes are multiplied exactly otherwise.
std::vector<float> run(const Model& model, const Dataset& data) {
  const Tensor y = Session(model, {.kernels = Kernels::packed}).run(as_input(data)).at(0).tensor;
  return {y.span<float>().begin(), y.span<float>().end()};
}

class LoadedLayers : public ::testing::TestWithParam<Layers> {};

TEST_P(LoadedLayers, GiveTheBitsThatTheyGaveAndGoOnAlike) {
  const Dataset data = measured(40, 4, 3);
  Network network(4, GetParam());
  network.set_input_scaling(Scaling::standardize(data.features, 4));
  network.set_target_scaling(Scaling::standardize(data.targets, 3));
  fit(network, data, {.epochs = 2});
  const Model model = to_model(network);

  LoadedNetwork loaded(model);
  EXPECT_FALSE(loaded.labels());
  const Dataset scaled{.columns = 4, .features = loaded.features(as_input(data)), .targets = data.targets};
  EXPECT_EQ(run(loaded.model(), data), run(model, data));

  // As the network that never was a model, but for Dropout, which inference knows nothing of, and its optimiser.
  const FitOptions more{.epochs = 2, .batch = 10};
  fit(loaded.network(), scaled, more);
  if (std::ranges::any_of(GetParam(), [](const auto& spec) { return std::holds_alternative<Dropout>(spec); }))
    return;
  fit(network, data, more);
  const auto wanted = run(to_model(network), data);
  const auto reached = run(loaded.model(), data);
  for (std::size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(reached[i], wanted[i], 1e-4F) << i;
}

INSTANTIATE_TEST_SUITE_P(
    All, LoadedLayers,
    ::testing::Values(
        Layers{Dense{6}, BatchNormalization{.momentum = 0.75, .epsilon = 1e-2}, Activation::relu, Dense{3}},
        Layers{BatchNormalization{}, Dense{6, false}, Activation::tanh, Dense{3}},
        Layers{Dense{6}, Activation::gelu, Dense{3}},
        Layers{Dense{6}, Activation::selu, Dropout{0.2}, Dense{3}},
        Layers{Dense{6}, LeakyRelu{0.1}, Dense{3}, Elu{0.5}},
        Layers{Dense{6}, LayerNormalization{}, Dense{3}},
        Layers{Dense{4}, Activation::sigmoid, Shortcut{2}, Dense{3}},
        Layers{Dense{6}, Dense{6}, Activation::relu, Dense{6}, BatchNormalization{}, Shortcut{4}, Dense{3}}));

TEST(LoadedNetwork, WhatPreparesColumnsAndWhatTheyAreCalledStays) {
  const Dataset raw{
      .columns = 2, .features = {1.0F, 0.0F, NAN, 1.0F, 3.0F, 0.0F, 2.0F, 1.0F}, .labels = {0, 1, 0, 1}};
  const TableColumns columns{.numbers = {"a"}, .texts = {{"colour", {"blue", "red"}}}};
  const auto preparation = Preparation::learn(raw, columns, MissingRule::mean);
  const Dataset data = preparation.apply(raw);
  Network network(data.columns,
                  {Dense{4}, BatchNormalization{}, Activation::relu, Dense{2}, Activation::softmax});
  fit(network, data, {.epochs = 3});
  const Model model = to_model(network, {.classes = {"no", "yes"}, .target = "answer"}, preparation);

  LoadedNetwork loaded(model);
  EXPECT_TRUE(loaded.labels());
  const std::vector<NamedTensor> inputs{
      {"input", Tensor(Shape{4, 1}, std::vector<float>{1.0F, NAN, 3.0F, 2.0F})},
      {"colour", Tensor(Shape{4, 1}, std::vector<std::string>{"blue", "red", "blue", "red"})}};
  EXPECT_EQ(loaded.features(inputs), data.features);
  const Model back = loaded.model();
  EXPECT_EQ(back.metadata().properties, model.metadata().properties);
  const Tensor before = Session(model).run(inputs)[0].tensor;
  const auto after = Session(back).run(inputs)[0];
  EXPECT_EQ(after.name, "probabilities");
  EXPECT_TRUE(std::ranges::equal(before.span<float>(), after.tensor.span<float>()));
}

TEST(LoadedNetwork, FoldsAndQuantisesToTheBitsThatItEvaluates) {
  const Dataset data = labelled(60, 4, 3);
  Network network(4, {Dense{8}, BatchNormalization{}, Activation::relu, Dense{3}, Activation::softmax});
  fit(network, data, {.epochs = 3});
  for (const Folding folding : {Folding::folded, Folding::int8}) {
    LoadedNetwork loaded(to_model(network));
    loaded.network().set_folding(folding);
    calibrate_ranges(loaded.network(), data);
    const auto y = loaded.network().predict(data.features);
    const auto written = run(loaded.model(), data);
    for (std::size_t i = 0; i < y.size(); ++i)
      ASSERT_NEAR(y[i], written[i], folding == Folding::int8 ? 0.0F : 1e-6F);
    const Model model = loaded.model();
    for (const NodeId id : graph_of(model).live_nodes())
      EXPECT_NE(graph_of(model).node(id).op_type, "BatchNormalization");
  }
}

TEST(Recalibrate, StatisticsAreThoseOfAllRows) {
  const Dataset data = measured(700, 3, 2);  // several blocks of rows
  Network network(
      3, {Dense{5}, BatchNormalization{}, Activation::relu, Dense{4}, BatchNormalization{}, Dense{2}});
  const auto before = network.weights();
  recalibrate(network, data);
  auto& stack = network.state().stack;
  std::vector<std::vector<double>> received(2);  // by each BatchNormalization
  std::vector<float> y(1400);
  stack.infer(700, data.features.data(), y.data(),
              [&](std::size_t s, std::int64_t, std::span<const float> values) {
                if (s == 0 || s == 3)
                  received[s / 3].insert(received[s / 3].end(), values.begin(), values.end());
              });
  for (std::size_t b = 0; b < 2; ++b) {
    const auto statistics = stack.layers()[b == 0 ? 1 : 4]->statistics();
    const std::size_t columns = statistics.size() / 2;
    for (std::size_t c = 0; c < columns; ++c) {
      double mean = 0.0;
      double squares = 0.0;
      for (std::size_t i = c; i < received[b].size(); i += columns) mean += received[b][i] / 700.0;
      for (std::size_t i = c; i < received[b].size(); i += columns)
        squares += (received[b][i] - mean) * (received[b][i] - mean) / 700.0;
      EXPECT_NEAR(statistics[c], mean, 1e-9);
      EXPECT_NEAR(statistics[columns + c], squares, 1e-9);
    }
  }
  const auto after = network.weights();
  for (std::size_t i = 0; i < after.size(); ++i) {
    const bool statistic = after[i].name.ends_with(".mean") || after[i].name.ends_with(".var");
    EXPECT_NE(std::ranges::equal(before[i].tensor.span<float>(), after[i].tensor.span<float>()), statistic)
        << after[i].name;
  }
}

TEST(Recalibrate, RangesAreThoseOfAllRowsAndHoldZero) {
  const Dataset data{.columns = 1, .features = {0.5F, 4.0F, 1.0F}, .targets = {0.0F, 0.0F, 0.0F}};
  Network network(1, {Dense{1}});
  network.set_folding(Folding::int8);
  calibrate_ranges(network, data);
  const auto range = network.state().stack.statistics();
  EXPECT_EQ(range, (std::vector<double>{0.0, 4.0, 1.0}));
}

}  // namespace
}  // namespace bnrun::train
