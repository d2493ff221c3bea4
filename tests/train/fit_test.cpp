// What moves the weights: optimisers, schedules, penalties, early stopping.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "bnrun/train_recipe.h"
#include "samples.h"
#include "train/fit/optimizer.h"
#include "train/fit/schedule.h"
#include "train/fit/steps.h"
#include "train/stack.h"

namespace bnrun::train {
namespace {

using Layers = std::vector<LayerSpec>;

TEST(Optimizer, SgdWithMomentumByHand) {
  OptimizerState<float> state(Sgd{.learning_rate = 0.5, .momentum = 0.5}, 1);
  std::vector<float> w{1.0F};
  state.step(w, std::vector<float>{1.0F});  // velocity -0.5
  EXPECT_EQ(w[0], 0.5F);
  state.step(w, std::vector<float>{1.0F});  // velocity -0.75
  EXPECT_EQ(w[0], -0.25F);
}

TEST(Optimizer, AdamFollowsItsFormula) {
  const Adam adam{.learning_rate = 0.01};
  OptimizerState<float> state(adam, 1);
  std::vector<float> w{1.0F};
  double expected = 1.0;
  double m = 0.0;
  double v = 0.0;
  for (int t = 1; t <= 3; ++t) {
    const double g = 0.5 * t;
    m = adam.beta_1 * m + (1.0 - adam.beta_1) * g;
    v = adam.beta_2 * v + (1.0 - adam.beta_2) * g * g;
    const double unbiased_m = m / (1.0 - std::pow(adam.beta_1, t));
    const double unbiased_v = v / (1.0 - std::pow(adam.beta_2, t));
    expected -= adam.learning_rate * unbiased_m / std::sqrt(unbiased_v);
    state.step(w, std::vector<float>{static_cast<float>(g)});
    EXPECT_NEAR(static_cast<double>(w[0]), expected, 2e-6);
  }
}

/// The weight, from 1, after gradients 1 and then -0.5.
double after_two_steps(const Optimizer& optimizer) {
  OptimizerState<double> state(optimizer, 1);
  std::vector<double> w{1.0};
  state.step(w, std::vector<double>{1.0});
  state.step(w, std::vector<double>{-0.5});
  return w[0];
}

TEST(Optimizer, OthersByHand) {
  // velocity -0.5, step -0.75; velocity 0, step 0.25
  EXPECT_DOUBLE_EQ(after_two_steps(Sgd{.learning_rate = 0.5, .momentum = 0.5, .nesterov = true}), 0.5);
  // squares 0.1 and 0.115
  EXPECT_NEAR(after_two_steps(RmsProp{.learning_rate = 0.1}),
              1.0 - 0.1 / std::sqrt(0.1) + 0.05 / std::sqrt(0.115), 1e-6);
  // steps s1 and 0.5 * s1 + s2
  EXPECT_NEAR(after_two_steps(RmsProp{.learning_rate = 0.1, .momentum = 0.5}),
              1.0 - 0.15 / std::sqrt(0.1) + 0.05 / std::sqrt(0.115), 1e-6);
  // up, then 0.9 * 0.01 - 0.1 * 0.5 is down
  EXPECT_DOUBLE_EQ(after_two_steps(Lion{.learning_rate = 0.25}), 1.0);
  EXPECT_DOUBLE_EQ(after_two_steps(Lion{.learning_rate = 0.25, .weight_decay = 0.5}), 0.625 * 0.875 + 0.25);
  const Adam adam{.learning_rate = 0.1};
  const double first = 1.0 - 0.1;
  EXPECT_NEAR(after_two_steps(AdamW{.learning_rate = 0.1, .weight_decay = 0.0}), after_two_steps(adam),
              1e-15);
  EXPECT_NEAR(after_two_steps(AdamW{.learning_rate = 0.1, .weight_decay = 0.5}),
              (0.95 - 0.1) * 0.95 + (after_two_steps(adam) - first), 1e-6);
}

TEST(Recipe, FollowsFromRowsAndEpochs) {
  struct {
    std::int64_t rows;
    int epochs;
    std::int64_t batch, steps;
    double rate, momentum;
    std::optional<int> freeze_from;
  } constexpr kCases[] = {
      {1437, 20, 32, 900, 0.01, 1.0 - 1.0 / 30.0, 11},  // a short one
      {100, 3, 32, 12, 0.01, 0.9, std::nullopt},        // hardly one
      {32000, 4, 32, 4000, 0.3 / std::numbers::sqrt2 / std::sqrt(2000.0), 0.99, 3},
      {32001, 5, 64, 2505, 0.3 / std::sqrt(2505.0), 1.0 - 30.0 / 2505.0, 3},
      {10'000'000, 20, 256, 781260, 0.001, 0.99, 11},  // Keras's rate
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.rows);
    const Recipe recipe = choose_recipe(c.rows, c.epochs);
    EXPECT_EQ(recipe.batch, c.batch);
    EXPECT_EQ(recipe.steps, c.steps);
    EXPECT_NEAR(recipe.learning_rate, c.rate, 1e-15);
    EXPECT_NEAR(recipe.bn_momentum, c.momentum, 1e-15);
    EXPECT_EQ(recipe.freeze_from, c.freeze_from);
  }
  EXPECT_EQ(choose_recipe(100, 20, 10).steps, 200);
  EXPECT_DOUBLE_EQ(choose_recipe(1000, 20).weight_decay(2000), 0.3);
  EXPECT_DOUBLE_EQ(choose_recipe(100, 20).weight_decay(2000), 0.75);
  expect_refused([] { choose_recipe(0, 20); }, "20 epochs of 0 rows");
}

TEST(Schedule, FactorsByHand) {
  using Kind = Schedule::Kind;
  const Schedule step{.kind = Kind::step, .factor = 0.5, .every = 2};
  EXPECT_EQ(rate_factor(step, 19, 10, 8), 1.0);
  EXPECT_EQ(rate_factor(step, 20, 10, 8), 0.5);
  EXPECT_EQ(rate_factor(step, 40, 10, 8), 0.25);
  const Schedule cosine{.kind = Kind::cosine, .factor = 0.2};
  EXPECT_EQ(rate_factor(cosine, 0, 10, 4), 1.0);
  EXPECT_NEAR(rate_factor(cosine, 20, 10, 4), 0.6, 1e-15);
  EXPECT_NEAR(rate_factor(cosine, 40, 10, 4), 0.2, 1e-15);
  const Schedule warm{.warm_up = 0.5};
  EXPECT_EQ(rate_factor(warm, 0, 10, 4), 0.2);
  EXPECT_EQ(rate_factor(warm, 4, 10, 4), 1.0);
  EXPECT_EQ(rate_factor(warm, 30, 10, 4), 1.0);
}

TEST(Gradients, ClipByValueAndByNorm) {
  std::vector<double> g{3.0, -4.0};
  clip(std::span(g), 0.0, 10.0);
  EXPECT_EQ(g, (std::vector<double>{3.0, -4.0}));
  clip(std::span(g), 0.0, 2.5);
  EXPECT_EQ(g, (std::vector<double>{1.5, -2.0}));
  clip(std::span(g), 1.75, 0.0);
  EXPECT_EQ(g, (std::vector<double>{1.5, -1.75}));
}

TEST(Gradients, PenaltyPullsKernelsAlone) {
  Stack<double> stack(2, Layers{Dense{2}, BatchNormalization{}, Dense{1}});
  std::ranges::fill(stack.weights(), 2.0);
  const double penalty = add_penalty<double>(0.25, stack.kernels(), stack.weights(), stack.gradients());
  EXPECT_EQ(penalty, 0.25 * 4.0 * 6.0);
  EXPECT_EQ(std::ranges::count(stack.gradients(), 1.0), 6);
  EXPECT_EQ(std::ranges::count(stack.gradients(), 0.0), 7);
}

TEST(EarlyStopping, EndsAndRestoresTheBest) {
  Network network = small();
  FitOptions options = overfitting();
  options.early_stopping = EarlyStopping{.patience = 4};
  options.restore_best = true;
  Training training(network, labelled(60, 4, 3), options);
  while (!training.done()) training.run_epoch();
  training.finish();
  const auto& history = training.history();
  ASSERT_LT(history.size(), 60U);
  const auto best =
      std::ranges::min_element(history, {}, [](const EpochReport& e) { return e.validation_loss.value(); });
  EXPECT_EQ(training.kept_epoch(), best->epoch);
  EXPECT_EQ(static_cast<std::size_t>(best->epoch) + 4, history.size());
  const Dataset data = labelled(60, 4, 3);
  const auto validation = take_rows(data, split_rows(data, 24, options.seed).drawn);
  EXPECT_EQ(evaluate(network, validation).loss, best->validation_loss.value());
}

/// The kernel halves at every step, and overflows on the row to watch until it is below 1.
TEST(EarlyStopping, ALossThatIsNoNumberIsNoBest) {
  Network network(
      1, {Dense{.units = 2, .use_bias = false, .initializer = Initializer::ones, .initial_scale = 4.0},
          Activation::softmax});
  const FitOptions options{.epochs = 5,
                           .optimizer = Sgd{.learning_rate = 0.5},
                           .validation_data = Dataset{.columns = 1, .features = {3e38F}, .labels = {0}},
                           .early_stopping = EarlyStopping{.patience = 100},
                           .restore_best = true,
                           .l2 = 0.5};
  Training training(network, {.columns = 1, .features = {0.0F, 0.0F}, .labels = {0, 1}}, options);
  while (!training.done()) training.run_epoch();
  training.finish();
  ASSERT_TRUE(std::isnan(training.history().front().validation_loss.value()));
  ASSERT_TRUE(std::isfinite(training.history().back().validation_loss.value()));
  EXPECT_TRUE(std::isfinite(
      training.history()[static_cast<std::size_t>(training.kept_epoch() - 1)].validation_loss.value()));
}

TEST(Plateau, LowersTheRateButNotBelowTheLeast) {
  Network network = small();
  FitOptions options = overfitting();
  options.plateau = Plateau{.patience = 2, .factor = 0.1, .least = 0.0005};
  const auto history = fit(network, labelled(60, 4, 3), options);
  std::vector<double> rates;
  for (const auto& epoch : history) {
    if (rates.empty() || rates.back() != epoch.learning_rate) rates.push_back(epoch.learning_rate);
  }
  ASSERT_EQ(rates.size(), 3U);
  EXPECT_DOUBLE_EQ(rates[1], 0.002);
  EXPECT_DOUBLE_EQ(rates[2], 0.0005);
}

TEST(Validation, RowsOfTheirOwnTakeNoneFromTraining) {
  Network network = small();
  FitOptions options = overfitting();
  options.epochs = 2;
  options.validation = 0.0;
  options.validation_data = labelled(30, 4, 3);
  const auto history = fit(network, labelled(60, 4, 3), options);
  EXPECT_EQ(history.back().validation_loss.value(), evaluate(network, labelled(30, 4, 3)).loss);
  options.validation = 0.5;
  expect_refused([&] { fit(network, labelled(60, 4, 3), options); }, "give one");
}

TEST(Folds, HoldOutEveryRowOnceAndSpreadTheClasses) {
  Dataset data{.columns = 1};
  for (std::int64_t r = 0; r < 23; ++r) data.labels.push_back(r < 11 ? 0 : 1);
  data.features.resize(23);
  const auto folds = fold_rows(data, 5, 3);
  std::vector<int> drawn(23);
  for (const RowSplit& fold : folds) {
    EXPECT_EQ(fold.drawn.size() + fold.rest.size(), 23U);
    std::array<int, 2> of_class{};
    for (const std::size_t row : fold.drawn) {
      ++drawn[row];
      ++of_class[static_cast<std::size_t>(data.labels[row])];
    }
    EXPECT_GE(of_class[0], 2);
    EXPECT_LE(of_class[0], 3);
    EXPECT_GE(of_class[1], 2);
    EXPECT_LE(of_class[1], 3);
  }
  EXPECT_EQ(std::ranges::count(drawn, 1), 23);
  expect_refused([&] { fold_rows(data, 1, 1); }, "1 folds");
  expect_refused([&] { fold_rows(data, 24, 1); }, "24 folds of 23 rows");
}

// -------- what ends a training

TEST(Training, StoppedInAnEpochKeepsTheBest) {
  Network network = small();
  FitOptions options = overfitting();
  int steps = 0;
  options.stop = [&] { return ++steps > 30; };  // 36 rows to train: 5 steps an epoch
  Training training(network, labelled(60, 4, 3), options);
  while (!training.done()) training.run_epoch();
  training.finish();
  EXPECT_TRUE(training.interrupted());
  EXPECT_EQ(training.history().size(), 6U);
  const auto& history = training.history();
  const auto best =
      std::ranges::min_element(history, {}, [](const EpochReport& e) { return e.validation_loss.value(); });
  EXPECT_EQ(training.kept_epoch(), best->epoch);
  const Dataset data = labelled(60, 4, 3);
  const auto validation = take_rows(data, split_rows(data, 24, options.seed).drawn);
  EXPECT_EQ(evaluate(network, validation).loss, best->validation_loss.value());
}

TEST(Training, DivergenceNamesTheStepAndLeavesTheLastGoodWeights) {
  Dataset data = measured(64, 4, 1);
  Network network(4, {Dense{16}, Activation::relu, Dense{1}});
  const Schedule schedule{.kind = Schedule::Kind::step, .factor = 1.0};
  FitOptions options{.epochs = 50, .optimizer = Sgd{.learning_rate = 1e30}, .schedule = schedule};
  Training training(network, data, options);
  const auto before = network.predict(data.features);
  const std::string message = testing::expect_error(ErrorCode::invalid_input, [&] {
    while (!training.done()) training.run_epoch();
  });
  EXPECT_NE(message.find("epoch 1, step 2: "), std::string::npos) << message;
  EXPECT_EQ(network.predict(data.features), before);
}

}  // namespace
}  // namespace bnrun::train
