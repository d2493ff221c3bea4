// Embeddings: learnt numbers in place of categories, from the text of a table to the exported model.
#include <gtest/gtest.h>

#include <limits>

#include "api/model_access.h"
#include "bnrun/fold.h"
#include "bnrun/session.h"
#include "graph/graph.h"
#include "samples.h"
#include "train/stack.h"

namespace bnrun::train {
namespace {

using Layers = std::vector<LayerSpec>;

/// Columns 1 and 3 of 4 hold categories: 3 values as 2 numbers, 2 values as 3.
const Embedding kTwo{{{1, 3, 2}, {3, 2, 3}}};

Dataset with_categories(Dataset data) {
  for (std::int64_t r = 0; r < data.rows(); ++r) {
    data.features[static_cast<std::size_t>(r * 4 + 1)] = static_cast<float>(r % 4);  // 3: none of them
    data.features[static_cast<std::size_t>(r * 4 + 3)] = static_cast<float>(r / 2 % 2);
  }
  return data;
}

TEST(Embedding, GradientsAgreeWithFiniteDifferences) {
  const Dataset data = with_categories(measured(9, 4, 3));
  EXPECT_LT(check_gradients(Network(4, {kTwo, Dense{3}}, 5), data), 1e-6);
  EXPECT_LT(check_gradients(Network(4, {kTwo, Dense{5}, BatchNormalization{}, Dense{3}}, 5), data), 1e-6);
  const Dataset alone{.columns = 1, .features = {0, 1, 2, 3, 0, 1}, .targets = draw(6, 3)};
  EXPECT_LT(
      check_gradients(Network(1, {Embedding{{{0, 3, 2}}}, Dense{4}, Activation::tanh, Dense{1}}, 5), alone),
      1e-6);
}

TEST(Embedding, PutsTheRowOfTheTableBehindTheOtherColumns) {
  Stack<float> stack(4, Layers{kTwo, Dense{1}});
  for (std::size_t i = 0; i < 12; ++i) stack.weights()[i] = static_cast<float>(i + 1);
  const std::vector<float> x{10, 2, 20, 0, 30, 3, 40, 1};
  std::vector<float> y(14);
  stack.layers()[0]->infer(2, x.data(), y.data());
  EXPECT_EQ(y, (std::vector<float>{10, 20, 5, 6, 7, 8, 9, 30, 40, 0, 0, 10, 11, 12}));
}

TEST(Embedding, WhatMakesNoSenseIsRefused) {
  const auto refuse = [](const Layers& layers, const char* message) {
    expect_refused([&] { Network(4, layers); }, message);
  };
  refuse({Dense{4}, kTwo, Dense{1}}, "an embedding behind other layers");
  refuse({Embedding{}, Dense{1}}, "an embedding of no columns");
  refuse({Embedding{{{4, 3, 2}}}, Dense{1}}, "an embedding of column 4");
  refuse({Embedding{{{-1, 3, 2}}}, Dense{1}}, "an embedding of column -1");
  refuse({Embedding{{{1, 3, 2}, {1, 3, 2}}}, Dense{1}}, "an embedding of column 1 behind 1");
  refuse({Embedding{{{1, 0, 2}}}, Dense{1}}, "0 values as 2 numbers");
  refuse({Embedding{{{1, 1 << 20, 1 << 20}}}, Dense{1}}, "values as 1048576 numbers");
  expect_refused([] { Network(Shape{2, 2, 1}, {kTwo, Flatten{}, Dense{1}}); }, "an embedding reads rows");
  Network network(4, {kTwo, Dense{1}});
  expect_refused([&] { network.set_input_scaling(Scaling::by(0.5, 4)); }, "column 2 holds categories");
  for (const float bad : {-1.0F, 4.0F, 0.5F}) {
    Dataset data = with_categories(measured(3, 4, 1));
    data.features[5] = bad;
    expect_refused([&] { evaluate(network, data); }, "row 2, column 2: ");
  }
}

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

TableColumns columns() {
  return {.numbers = {"a"}, .texts = {{"colour", {"blue", "green", "red"}}, {"size", {"L", "S"}}}};
}

/// 40 rows; red and missing colours are in none of the first 30.
Dataset rows() {
  Dataset data{.columns = 3};
  for (int r = 0; r < 40; ++r) {
    const float colour = r < 30 ? static_cast<float>(r % 2) : r % 2 == 0 ? 2.0F : kMissing;
    data.features.insert(data.features.end(),
                         {static_cast<float>(r) / 40.0F, colour, static_cast<float>(r / 3 % 2)});
    data.labels.push_back((r + r / 3) % 2);
  }
  return data;
}

std::vector<std::size_t> first(std::size_t count) {
  std::vector<std::size_t> list(count);
  for (std::size_t i = 0; i < count; ++i) list[i] = i;
  return list;
}

TEST(Embedding, TheExportedModelTakesTheTextsOfTheTable) {
  for (const bool refuse_unknown : {false, true}) {
    const auto preparation = Preparation::learn(take_rows(rows(), first(30)), columns(), MissingRule::error,
                                                refuse_unknown, {true, false});
    ASSERT_EQ(preparation.outputs(), 4);
    const auto prepared = preparation.apply(take_rows(rows(), first(30)));
    EXPECT_EQ((std::vector<float>(prepared.features.begin() + 4, prepared.features.begin() + 8)),
              (std::vector<float>{1.0F / 40.0F, 1, 1, 0}));
    Network network(4, {Embedding{{{1, 2, 3}}}, Dense{6}, BatchNormalization{}, Activation::relu, Dense{2},
                        Activation::softmax});
    fit(network, prepared, {.epochs = 20});
    Model model = to_model(network, {}, preparation);
    fold(model);
    for (const NodeId id : graph_of(model).topological_order())
      EXPECT_NE(graph_of(model).node(id).op_type, "BatchNormalization");
    const auto run = [&](const std::string& colour) {
      return Session(model).run({{"input", Tensor({1, 1}, std::vector<float>{0.5F})},
                                 {"colour", Tensor({1, 1}, std::vector<std::string>{colour})},
                                 {"size", Tensor({1, 1}, std::vector<std::string>{"S"})}});
    };
    const std::pair<const char*, float> known[] = {
        {"blue", 0.0F}, {"green", 1.0F}, {"red", 2.0F}, {"", 2.0F}};
    for (const auto& [colour, place] : known) {
      if (refuse_unknown && place == 2.0F) {
        EXPECT_THROW(run(colour), Error) << colour;
        continue;
      }
      const auto expected = network.predict(std::vector<float>{0.5F, place, 0.0F, 1.0F});
      EXPECT_NEAR(run(colour)[0].tensor.span<float>()[0], expected[0], 1e-6F) << colour;
    }
    if (refuse_unknown)
      expect_refused([&] { preparation.apply(rows()); }, "row 31: 'red' in column 'colour'");
    else
      EXPECT_EQ(preparation.apply(rows()).features[4 * 35 + 1], 2.0F);
  }
}

/// A hundred categories whose classes have no order: a number for each tells them apart.
TEST(Embedding, LearnsWhatEachCategoryStandsFor) {
  Dataset data{.columns = 1};
  for (int r = 0; r < 1000; ++r) {
    data.features.push_back(static_cast<float>(r % 100));
    data.labels.push_back(r % 100 * 7 % 13 < 6 ? 0 : 1);
  }
  Network network(1, {Embedding{{{0, 100, 2}}}, Dense{2}, Activation::softmax});
  fit(network, data, {.epochs = 30, .optimizer = Adam{.learning_rate = 0.05}});
  EXPECT_EQ(evaluate(network, data).metric, 1.0);
}

}  // namespace
}  // namespace bnrun::train
