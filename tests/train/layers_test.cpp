// Layers and losses: gradients against finite differences, values by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "samples.h"
#include "train/layers/initializer.h"
#include "train/stack.h"

namespace bnrun::train {
namespace {

using Layers = std::vector<LayerSpec>;

struct GradientCase {
  const char* name;
  Layers layers;
};

class Gradients : public ::testing::TestWithParam<GradientCase> {};

TEST_P(Gradients, AgreeWithFiniteDifferencesUnderEitherLoss) {
  Layers layers = GetParam().layers;
  layers.push_back(Dense{3});
  EXPECT_LT(check_gradients(Network(4, layers, 5), measured(7, 4, 3)), 1e-6);
  layers.push_back(Activation::softmax);
  EXPECT_LT(check_gradients(Network(4, layers, 5), labelled(7, 4, 3)), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Layers, Gradients,
    ::testing::Values(
        GradientCase{"Dense", {Dense{5}}}, GradientCase{"DenseWithoutBias", {Dense{5, false}}},
        GradientCase{"He", {Dense{5, true, Initializer::he_uniform}}},
        GradientCase{"Linear", {Dense{5}, Activation::linear}},
        GradientCase{"Relu", {Dense{5}, Activation::relu}},
        GradientCase{"Tanh", {Dense{5}, Activation::tanh}},
        GradientCase{"Sigmoid", {Dense{5}, Activation::sigmoid}},
        GradientCase{"BatchNormalization", {Dense{5}, BatchNormalization{}}},
        GradientCase{"Uncentered", {Dense{5}, BatchNormalization{.center = false}}},
        GradientCase{"Unscaled", {Dense{5}, BatchNormalization{.scale = false}}},
        GradientCase{"Bare", {Dense{5}, BatchNormalization{.center = false, .scale = false}}},
        GradientCase{"BatchNormalizationFirst", {BatchNormalization{}, Dense{5}}},
        GradientCase{"BeforeRelu", {Dense{5}, BatchNormalization{}, Activation::relu, Dense{5}}},
        GradientCase{"AfterTanh", {Dense{5}, Activation::tanh, BatchNormalization{}, Dense{5, false}}},
        GradientCase{"Deep",
                     {Dense{6}, BatchNormalization{}, Activation::sigmoid, Dense{5}, BatchNormalization{},
                      Activation::tanh, Dense{4}, BatchNormalization{}}},
        GradientCase{"Gelu", {Dense{5}, Activation::gelu}},
        GradientCase{"Selu", {Dense{5, true, Initializer::lecun_normal}, Activation::selu}},
        GradientCase{"LeakyRelu", {Dense{5}, LeakyRelu{0.2}}}, GradientCase{"Elu", {Dense{5}, Elu{0.7}}},
        GradientCase{"SoftmaxWithin", {Dense{5}, Activation::softmax}},
        GradientCase{"Dropout", {Dense{9}, Dropout{0.4}, Activation::tanh, Dropout{0.2}}},
        GradientCase{"LayerNormalization", {Dense{5}, LayerNormalization{}}},
        GradientCase{"LayerNormalizationFirst", {LayerNormalization{}, Dense{5}}},
        GradientCase{"BareLayerNormalization",
                     {Dense{5}, LayerNormalization{.center = false, .scale = false}}},
        GradientCase{"Residual",
                     {Dense{5}, Dense{5}, BatchNormalization{}, Activation::tanh, Dense{5}, Shortcut{4}}},
        GradientCase{"ResidualOfTheFeatures", {Dense{6}, Activation::gelu, Dense{4}, Shortcut{3}}},
        GradientCase{
            "NestedResiduals",
            {Dense{5}, Dense{5}, Activation::tanh, Shortcut{2}, Dense{5}, Shortcut{4}, Shortcut{1}}}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(Gradients, LastLayerMayBeAnActivation) {
  for (const auto last : {Activation::tanh, Activation::sigmoid, Activation::relu, Activation::gelu}) {
    EXPECT_LT(check_gradients(Network(4, {Dense{5}, Dense{2}, last}), measured(6, 4, 2)), 1e-6);
  }
}

struct LossCase {
  const char* name;
  Loss loss;
  LossOptions options;
};

class LossGradients : public ::testing::TestWithParam<LossCase> {};

TEST_P(LossGradients, AgreeWithFiniteDifferences) {
  const auto& [name, loss, options] = GetParam();
  Layers layers{Dense{5}, BatchNormalization{}, Activation::tanh, Dense{3}};
  if (loss == Loss::cross_entropy) layers.push_back(Activation::softmax);
  if (loss == Loss::binary_cross_entropy) layers.push_back(Activation::sigmoid);
  Network network(4, layers, 5);
  network.set_loss(loss, options);
  Dataset data = loss == Loss::cross_entropy ? labelled(7, 4, 3) : measured(7, 4, 3);
  if (loss == Loss::binary_cross_entropy) {
    for (float& target : data.targets) target = target > 0.0F ? 1.0F : 0.25F;
  }
  EXPECT_LT(check_gradients(network, data), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Losses, LossGradients,
    ::testing::Values(LossCase{"CrossEntropy", Loss::cross_entropy, {}},
                      LossCase{"Smoothed", Loss::cross_entropy, {.label_smoothing = 0.1}},
                      LossCase{"Weighted", Loss::cross_entropy, {.class_weights = {0.5, 2.0, 0.0}}},
                      LossCase{"SmoothedAndWeighted",
                               Loss::cross_entropy,
                               {.label_smoothing = 0.2, .class_weights = {0.5, 2.0, 1.0}}},
                      LossCase{"Binary", Loss::binary_cross_entropy, {}},
                      LossCase{"SmoothedBinary", Loss::binary_cross_entropy, {.label_smoothing = 0.3}},
                      LossCase{"SquaredError", Loss::mean_squared_error, {}},
                      LossCase{"AbsoluteError", Loss::mean_absolute_error, {}},
                      LossCase{"Huber", Loss::huber, {}},
                      LossCase{"NarrowHuber", Loss::huber, {.huber_delta = 0.3}}),
    [](const auto& tested) { return std::string(tested.param.name); });

/// Worked out in Python from the formulas: probabilities 0.7, 0.3 of label 0, and 0.4, 0.6 of label 1.
TEST(Losses, ByHand) {
  const std::vector<float> y{0.7F, 0.3F, 0.4F, 0.6F};
  const std::vector<std::int64_t> labels{0, 1};
  const std::vector<float> targets{1.0F, 0.0F, 0.5F, 3.6F};
  const Batch<float> batch{2, nullptr, labels.data(), targets.data()};
  const std::vector<float> binary{1.0F, 0.0F, 0.0F, 1.0F};
  const Batch<float> zero_or_one{2, nullptr, nullptr, binary.data()};
  const auto of = [&](Loss loss, const LossOptions& options, const Batch<float>& rows) {
    return Objective(loss, options).of_outputs(rows, 2, y.data());
  };
  constexpr double kClose = 1e-6;
  EXPECT_NEAR(of(Loss::cross_entropy, {}, batch), 0.4337502838523616, kClose);
  EXPECT_NEAR(of(Loss::cross_entropy, {.label_smoothing = 0.2}, batch), 0.49638843227713, kClose);
  EXPECT_NEAR(of(Loss::cross_entropy, {.class_weights = {2.0, 1.0}}, batch), 0.612087755822, kClose);
  EXPECT_NEAR(of(Loss::binary_cross_entropy, {}, zero_or_one), 0.4337502838523616, kClose);
  EXPECT_NEAR(of(Loss::mean_squared_error, {}, batch), (0.09 + 0.09 + 0.01 + 9.0) / 4.0, kClose);
  EXPECT_NEAR(of(Loss::mean_absolute_error, {}, batch), (0.3 + 0.3 + 0.1 + 3.0) / 4.0, kClose);
  EXPECT_NEAR(of(Loss::huber, {}, batch), (0.045 + 0.045 + 0.005 + 2.5) / 4.0, kClose);
}

TEST(Losses, BalancedWeightsGiveEachClassTheSameSum) {
  const std::vector<std::int64_t> labels{0, 0, 0, 1, 2, 2};
  EXPECT_EQ(balanced_class_weights(labels, 4), (std::vector<double>{0.5, 1.5, 0.75, 0.0}));
  expect_refused([&] { balanced_class_weights(labels, 2); }, "label 2");
}

TEST(Losses, RefuseANetworkOrNumbersThatDoNotFit) {
  const auto with = [](Loss loss, const LossOptions& options, Activation last) {
    Network network(2, {Dense{2}, last});
    network.set_loss(loss, options);
  };
  expect_refused([&] { with(Loss::cross_entropy, {}, Activation::sigmoid); }, "needs softmax");
  expect_refused([&] { with(Loss::binary_cross_entropy, {}, Activation::softmax); }, "needs sigmoid");
  expect_refused([&] { with(Loss::cross_entropy, {.label_smoothing = 1.0}, Activation::softmax); },
                 "smoothing 1");
  expect_refused([&] { with(Loss::cross_entropy, {.class_weights = {1.0}}, Activation::softmax); },
                 "1 class weights");
  expect_refused([&] { with(Loss::huber, {.huber_delta = 0.0}, Activation::linear); }, "delta 0");
  Network binary(2, {Dense{1}, Activation::sigmoid});
  binary.set_loss(Loss::binary_cross_entropy);
  const Dataset outside{.columns = 2, .features = {1, 2}, .targets = {2}};
  expect_refused([&] { evaluate(binary, outside); }, "row 1: target 2");
}

TEST(Losses, OfOutputsIsTheLossOfTheStep) {
  for (const Loss loss : {Loss::mean_squared_error, Loss::mean_absolute_error, Loss::huber}) {
    Stack<float> stack(4, Layers{Dense{3}});
    Random random(3);
    stack.initialize(random);
    stack.set_objective(Objective(loss));
    const Dataset data = measured(9, 4, 3);
    const Batch<float> batch{9, data.features.data(), nullptr, data.targets.data()};
    const double of_step = stack.forward(batch);
    EXPECT_NEAR(stack.objective().of_outputs(batch, 3, stack.output(batch).data()), of_step, 1e-6);
  }
}

// -------- layers

TEST(Dropout, DropsItsShareAndKeepsTheMean) {
  Stack<float> stack(100, Layers{Dropout{0.3}, Dense{1}});
  const std::vector<float> ones(100 * 100, 1.0F);
  const std::vector<float> targets(100);
  const Batch<float> batch{100, ones.data(), nullptr, targets.data()};
  const auto dropped = [&](std::uint64_t step) {
    std::vector<float> y(ones.size());
    auto& layer = *stack.layers()[0];
    stack.begin({1, step});
    layer.forward(batch.rows, ones.data(), y.data());
    return y;
  };
  const auto y = dropped(1);
  const auto zeros = static_cast<double>(std::ranges::count(y, 0.0F));
  EXPECT_NEAR(zeros, 3000.0, 4.0 * std::sqrt(10000.0 * 0.3 * 0.7));
  EXPECT_EQ(std::ranges::count(y, static_cast<float>(1.0 / 0.7)),
            static_cast<std::ptrdiff_t>(10000.0 - zeros));
  EXPECT_EQ(y, dropped(1));
  EXPECT_NE(y, dropped(2));
  std::vector<float> inferred(ones.size());
  stack.layers()[0]->infer(100, ones.data(), inferred.data());
  EXPECT_EQ(inferred, ones);
}

TEST(Dropout, LayersOfANetworkDrawApart) {
  Stack<float> stack(50, Layers{Dropout{0.5}, Dropout{0.5}, Dense{1}});
  stack.begin({1, 1});
  const std::vector<float> ones(50, 1.0F);
  std::vector<float> first(50);
  std::vector<float> second(50);
  stack.layers()[0]->forward(1, ones.data(), first.data());
  stack.layers()[1]->forward(1, ones.data(), second.data());
  EXPECT_NE(first, second);
}

struct InitializerCase {
  Initializer initializer;
  double variance;
  double limit;  ///< no weight is larger
};

TEST(Initializers, HaveTheVarianceThatTheyState) {
  constexpr double kInputs = 200;
  constexpr double kUnits = 100;
  const double cut = 2.0 / 0.87962566103423978;
  const InitializerCase cases[] = {{Initializer::glorot_uniform, 2.0 / 300.0, std::sqrt(6.0 / 300.0)},
                                   {Initializer::glorot_normal, 2.0 / 300.0, cut * std::sqrt(2.0 / 300.0)},
                                   {Initializer::he_uniform, 2.0 / kInputs, std::sqrt(6.0 / kInputs)},
                                   {Initializer::he_normal, 2.0 / kInputs, cut * std::sqrt(2.0 / kInputs)},
                                   {Initializer::lecun_uniform, 1.0 / kInputs, std::sqrt(3.0 / kInputs)},
                                   {Initializer::lecun_normal, 1.0 / kInputs, cut * std::sqrt(1.0 / kInputs)},
                                   {Initializer::random_normal, 0.0025, 0.05 * 6.0},
                                   {Initializer::random_uniform, 0.0025 / 3.0, 0.05},
                                   {Initializer::truncated_normal, 0.0025 * 0.7737413, 0.1},
                                   {Initializer::orthogonal, 1.0 / kInputs, 1.0},
                                   {Initializer::zeros, 0.0, 0.0}};
  for (const auto& [initializer, variance, limit] : cases) {
    std::vector<double> W(200 * 100);
    Random random(7);
    draw_weights(initializer, 200, 100, random, W);
    double squares = 0.0;
    double largest = 0.0;
    for (const double w : W) {
      squares += w * w;
      largest = std::max(largest, std::abs(w));
    }
    EXPECT_NEAR(squares / (kInputs * kUnits), variance, 0.04 * variance) << name_of(initializer);
    EXPECT_LE(largest, limit * (1.0 + 1e-12)) << name_of(initializer);
  }
}

TEST(Initializers, OrthogonalVectorsAreSo) {
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{7, 4}, {4, 7}, {5, 5}}) {
    std::vector<double> W(rows * columns);
    Random random(3);
    draw_weights(Initializer::orthogonal, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns),
                 random, W);
    const std::size_t count = std::min(rows, columns);
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t b = 0; b < count; ++b) {
        double product = 0.0;
        for (std::size_t i = 0; i < std::max(rows, columns); ++i) {
          const auto at = [&](std::size_t v) {
            return rows <= columns ? W[v * columns + i] : W[i * columns + v];
          };
          product += at(a) * at(b);
        }
        EXPECT_NEAR(product, a == b ? 1.0 : 0.0, 1e-12);
      }
    }
  }
}

TEST(Initializers, InitialScaleMultipliesTheDrawnWeights) {
  const Network plain(3, {Dense{2}}, 5);
  const Network wide(3, {Dense{.units = 2, .initial_scale = 4.0}}, 5);
  const auto plain_weights = plain.weights();
  const auto wide_weights = wide.weights();
  const auto a = plain_weights[0].tensor.span<float>();
  const auto b = wide_weights[0].tensor.span<float>();
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(b[i], 4.0F * a[i]);
}

TEST(Network, ShortcutsAddWhatTheyName) {
  expect_refused([] { Network(3, {Dense{4}, Shortcut{1}}); }, "adds 3 values to 4");
  expect_refused([] { Network(3, {Dense{3}, Shortcut{2}}); }, "over 2 layers behind 1");
  expect_refused([] { Network(3, {Dense{3}, Shortcut{0}}); }, "over 0 layers");
  const Network network(2, {Dense{2}, Shortcut{1}}, 3);
  const Network alone(2, {Dense{2}}, 3);
  const std::vector<float> x{1.5F, -2.0F};
  const auto y = network.predict(x);
  const auto f = alone.predict(x);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(y[i], f[i] + x[i]);
}

TEST(Network, SpreadsAreThoseOfTheLayers) {
  Network network(2, {Dense{2}, Activation::relu});
  const std::vector<float> x{1, 2, 3, 4, -5, 6};
  const auto spreads = network.spreads(x);
  ASSERT_EQ(spreads.size(), 2U);
  const auto y = network.predict(x);
  double mean = 0.0;
  for (const float v : y) mean += static_cast<double>(v) / 6.0;
  EXPECT_NEAR(spreads[1].mean, mean, 1e-6);
  EXPECT_GE(spreads[1].mean, 0.0);
  EXPECT_GT(spreads[0].deviation, 0.0);
}

TEST(Network, SpreadsCountLayersHoweverTheyAreTrained) {
  Network network(2, {Dense{3}, BatchNormalization{}, Activation::relu, Dense{1}});
  const std::vector<float> x{1, 2, 3, 4, -5, 6};
  const auto apart = network.spreads(x);
  network.set_folding(Folding::folded);
  const auto together = network.spreads(x);
  ASSERT_EQ(together.size(), apart.size());
  for (const std::size_t layer : {1U, 2U, 3U}) EXPECT_NEAR(together[layer].mean, apart[layer].mean, 1e-5);
  EXPECT_EQ(together[0].mean, together[1].mean);
}

}  // namespace
}  // namespace bnrun::train
