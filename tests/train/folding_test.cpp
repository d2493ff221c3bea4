// Folding while training: the same function as layer by layer, step by step; int8 as the exported model has it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "api/model_access.h"
#include "bnrun/session.h"
#include "bnrun/train_tune.h"
#include "graph/graph.h"
#include "samples.h"
#include "train/fit/optimizer.h"
#include "train/layers/quantiser.h"
#include "train/network.h"
#include "train/stack.h"

namespace bnrun::train {
namespace {

using Layers = std::vector<LayerSpec>;

// In one training step BatchNormalization folded with the batch's statistics is the same function,
// W' = W * scale / sigma and b' = (b - mean) * scale / sigma + B.
TEST(BatchNormalization, FoldedTrainingStepIsTheSameFunction) {
  constexpr std::int64_t kRows = 16;
  const std::vector<float> x = draw(kRows * 3, 21);
  Random random(22);
  Stack<double> plain(3, Layers{Dense{4}});
  Stack<double> normalized(3, Layers{Dense{4}, BatchNormalization{.epsilon = 1e-5}});
  for (double& weight : normalized.weights()) weight = random.uniform(0.5, 1.5);
  const auto from = normalized.weights();
  std::copy_n(from.begin(), 16, plain.weights().begin());

  const std::vector<double> features(x.begin(), x.end());
  const std::vector<double> targets(kRows * 4, 0.25);
  const Batch<double> batch{kRows, features.data(), nullptr, targets.data()};
  plain.forward(batch);
  const auto h = plain.output(batch);
  for (std::size_t c = 0; c < 4; ++c) {
    double mean = 0.0;
    double var = 0.0;
    for (std::size_t r = 0; r < kRows; ++r) mean += h[r * 4 + c] / kRows;
    for (std::size_t r = 0; r < kRows; ++r) var += (h[r * 4 + c] - mean) * (h[r * 4 + c] - mean) / kRows;
    const double factor = from[16 + c] / std::sqrt(var + 1e-5);
    for (std::size_t k = 0; k < 3; ++k) plain.weights()[k * 4 + c] *= factor;
    plain.weights()[12 + c] = (plain.weights()[12 + c] - mean) * factor + from[20 + c];
  }
  EXPECT_NEAR(plain.forward(batch), normalized.forward(batch), 1e-12);
  for (std::size_t i = 0; i < kRows * 4; ++i) {
    EXPECT_NEAR(plain.output(batch)[i], normalized.output(batch)[i], 1e-12);
  }
}

const Layers kNetwork{Dense{8, false},
                      BatchNormalization{},
                      Activation::relu,
                      Dense{8},
                      BatchNormalization{.epsilon = 1e-5},
                      Activation::tanh,
                      Dense{3},
                      Activation::softmax};

const Layers kImageNetwork{
    Conv2D{.filters = 3, .kernel = {3, 2}, .padding = Padding::same, .use_bias = false},
    BatchNormalization{},
    Activation::relu,
    Pooling2D{},
    Conv2D{.filters = 4, .kernel = {2, 2}, .strides = {1, 2}},
    BatchNormalization{.epsilon = 1e-5},
    Activation::tanh,
    Flatten{},
    Dense{3},
    Activation::softmax};

/// Two stacks of one network, the second folded.
template <class T>
struct Pair {
  explicit Pair(const Layers& layers) : Pair(Shape{4}, layers) {}
  Pair(const Shape& input, const Layers& layers) : plain(input, layers), folded(input, layers) {
    Random random(3);
    plain.initialize(random);
    std::ranges::copy(plain.weights(), folded.weights().begin());
    folded.set_folding(Folding::folded);
  }

  /// The largest difference of weights, gradients and statistics.
  double difference() {
    double worst = 0.0;
    const auto compare = [&worst](const auto& a, const auto& b) {
      for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    };
    compare(plain.weights(), folded.weights());
    compare(plain.gradients(), folded.gradients());
    compare(plain.statistics(), folded.statistics());
    return worst;
  }

  Stack<T> plain;
  Stack<T> folded;
};

/// Trains both for three epochs of 10 steps; the largest difference after each step.
template <class T>
std::vector<double> train_both(Pair<T>& pair, const Optimizer& optimizer, int freeze_from) {
  const std::int64_t width = pair.plain.inputs();
  const Dataset data = labelled(320, width, 3);
  const std::vector<T> features(data.features.begin(), data.features.end());
  OptimizerState<T> for_plain(optimizer, pair.plain.weights().size());
  OptimizerState<T> for_folded(optimizer, pair.plain.weights().size());
  std::vector<double> differences;
  for (int epoch = 1; epoch <= 3; ++epoch) {
    for (auto* stack : {&pair.plain, &pair.folded}) stack->freeze_statistics(epoch >= freeze_from);
    for (std::int64_t first = 0; first < 320; first += 32) {
      const Batch<T> batch{32, features.data() + first * width, data.labels.data() + first, nullptr};
      for (auto* stack : {&pair.plain, &pair.folded}) {
        stack->forward(batch);
        stack->backward(batch);
      }
      for_plain.step(pair.plain.weights(), pair.plain.gradients());
      for_folded.step(pair.folded.weights(), pair.folded.gradients());
      differences.push_back(pair.difference());
    }
  }
  return differences;
}

struct FoldedCase {
  const char* name;
  Shape input;
  Layers layers;
  int freeze_from;  ///< the epoch in which statistics freeze
};

class FoldedTraining : public ::testing::TestWithParam<FoldedCase> {};

TEST_P(FoldedTraining, IsTheSameInDoubleStepByStep) {
  for (const Optimizer& optimizer :
       {Optimizer(Sgd{.learning_rate = 0.05, .momentum = 0.9}), Optimizer(Adam{})}) {
    Pair<double> pair(GetParam().input, GetParam().layers);
    ASSERT_EQ(pair.folded.stages().size() + 2, pair.plain.stages().size());
    const auto before = pair.plain.statistics();
    const auto differences = train_both(pair, optimizer, GetParam().freeze_from);
    for (std::size_t step = 0; step < differences.size(); ++step)
      ASSERT_LT(differences[step], 1e-12) << "step " << step + 1;
    EXPECT_NE(before, pair.plain.statistics());
  }
}

TEST_P(FoldedTraining, IsTheSameInFloatAfterThreeEpochs) {
  Pair<float> pair(GetParam().input, GetParam().layers);
  const auto differences =
      train_both(pair, Sgd{.learning_rate = 0.05, .momentum = 0.9}, GetParam().freeze_from);
  EXPECT_LT(differences.back(), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Networks, FoldedTraining,
                         ::testing::Values(FoldedCase{"Rows", {4}, kNetwork, 4},
                                           FoldedCase{"RowsFrozen", {4}, kNetwork, 2},
                                           FoldedCase{"Images", {6, 5, 2}, kImageNetwork, 4},
                                           FoldedCase{"ImagesFrozen", {6, 5, 2}, kImageNetwork, 2}),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(FoldedTraining, ScalesOfZeroAreNoDivision) {
  Pair<double> pair({Dense{5}, BatchNormalization{}, Dense{3}, Activation::softmax});
  for (auto* stack : {&pair.plain, &pair.folded}) std::fill_n(stack->weights().begin() + 25, 5, 0.0);
  for (const double difference : train_both(pair, Sgd{.learning_rate = 0.1}, 3)) EXPECT_LT(difference, 1e-12);
  for (const double weight : pair.folded.weights()) EXPECT_TRUE(std::isfinite(weight));
}

TEST(FoldedTraining, NormalizationsThatFoldIntoNoLayerStay) {
  struct Case {
    Layers layers;
    std::size_t stages;
  };
  const Case cases[] = {{{Dense{4}, BatchNormalization{}}, 1},
                        {{BatchNormalization{}, Dense{4}}, 2},
                        {{Dense{4}, Activation::relu, BatchNormalization{}, Dense{2}}, 4},
                        {{Dense{4}, BatchNormalization{}, Activation::relu, Shortcut{2}}, 4},
                        {{Dense{4}, BatchNormalization{}, Activation::relu, Shortcut{1}}, 3}};
  for (const auto& [layers, stages] : cases) {
    Stack<float> stack(4, layers);
    stack.set_folding(Folding::folded);
    EXPECT_EQ(stack.stages().size(), stages);
  }
}

std::vector<std::string> operators(const Model& model) {
  const Graph& graph = graph_of(model);
  std::vector<std::string> names;
  for (const NodeId id : graph.topological_order()) names.push_back(graph.node(id).op_type);
  return names;
}

/// In floats throughout, as the trainer has them: bytes are multiplied exactly otherwise.
std::vector<float> run(const Model& model, const Dataset& data) {
  const Tensor x({data.rows(), data.columns}, data.features);
  const auto outputs =
      Session(model, {.kernels = Kernels::packed}).run(std::vector<NamedTensor>{{"input", x}});
  const auto y = outputs[0].tensor.span<float>();
  return {y.begin(), y.end()};
}

TEST(FoldedTraining, ExportsWhatItTrainedWithoutBatchNormalization) {
  const Dataset data = labelled(96, 4, 3);
  Network network(4, kNetwork);
  network.set_input_scaling(Scaling::by(0.5, 4));
  network.set_folding(Folding::folded);
  fit(network, data, {.epochs = 4});
  const Model model = to_model(network);
  EXPECT_EQ(operators(model),
            (std::vector<std::string>{"Mul", "Gemm", "Relu", "Gemm", "Tanh", "Gemm", "Softmax"}));
  const auto expected = network.predict(data.features);
  const auto y = run(model, data);
  for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 1e-5F);
  network.set_folding(Folding::none);
  const auto unfolded = network.predict(data.features);
  for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(unfolded[i], expected[i], 1e-5F);
}

// -------- int8

TEST(Quantiser, RangesFollowAndHoldZero) {
  MovingRange range;
  range.observe(std::span<const float>(std::vector<float>{1.0F, 3.0F}));
  EXPECT_EQ(range.low(), 0.0);
  EXPECT_EQ(range.high(), 3.0);
  range.observe(std::span<const float>(std::vector<float>{-2.0F, 1.0F}));
  EXPECT_NEAR(range.low(), -0.02, 1e-15);
  EXPECT_DOUBLE_EQ(range.high(), 0.99 * 3.0 + 0.01);
  EXPECT_EQ(range.steps().rounded(0.0F), 0.0F);
}

TEST(Quantiser, RoundsHalfToEvenAndSaturates) {
  const InputSteps steps{.step = 0.5F, .zero_point = 10};
  EXPECT_EQ(steps.rounded(0.25F), 0.0F);
  EXPECT_EQ(steps.rounded(0.75F), 1.0F);
  EXPECT_EQ(steps.rounded(-100.0F), -5.0F);
  EXPECT_EQ(steps.rounded(1000.0F), 122.5F);
  const std::vector<float> W{1.0F, 0.0F, -2.54F, 0.0F};
  EXPECT_EQ(weight_steps(std::span<const float>(W), 2), (std::vector<float>{2.54F / 127.0F, 1.0F}));
}

class Int8 : public ::testing::TestWithParam<Layers> {};

TEST_P(Int8, ExportsTheBitsThatItEvaluates) {
  const Dataset data = labelled(200, 4, 3);
  Network network(4, GetParam());
  network.set_input_scaling(Scaling::standardize(data.features, 4));
  network.set_folding(Folding::int8);
  fit(network, data, {.epochs = 6, .freeze_statistics = 4});
  const Model model = to_model(network);
  const auto names = operators(model);
  const auto dense = std::ranges::count(names, "Gemm");
  EXPECT_GT(dense, 0);
  EXPECT_EQ(std::ranges::count(names, "BatchNormalization"), 0);
  EXPECT_EQ(std::ranges::count(names, "QuantizeLinear"), dense);
  EXPECT_EQ(std::ranges::count(names, "DequantizeLinear"), 3 * dense);
  EXPECT_EQ(run(model, data), network.predict(data.features));
}

INSTANTIATE_TEST_SUITE_P(Networks, Int8,
                         ::testing::Values(kNetwork, Layers{Dense{3}, Activation::softmax},
                                           Layers{Dense{6}, BatchNormalization{.scale = false},
                                                  Activation::gelu, Dense{6, false},
                                                  BatchNormalization{.center = false}, Shortcut{2}, Dense{3},
                                                  Activation::softmax}),
                         [](const auto& tested) { return "Network" + std::to_string(tested.index); });

TEST(Int8, IsTheFloatTrainingToTheBitUntilItIsToRound) {
  const Dataset data = labelled(200, 4, 3);
  const Layers layers{Dense{8}, BatchNormalization{}, Activation::relu, Dense{3}, Activation::softmax};
  struct Trained {
    std::vector<EpochReport> history;
    std::vector<float> weights;
    bool rounded;
  };
  const auto train = [&](Folding folding, FitOptions options) {
    Network network(4, layers);
    network.set_folding(folding);
    options.validation = 0.2;
    auto history = fit(network, data, options);
    const auto weights = network.state().stack.weights();
    const auto names = operators(to_model(network));
    return Trained{std::move(history),
                   {weights.begin(), weights.end()},
                   std::ranges::count(names, "QuantizeLinear") == 2};
  };
  const Trained in_float = train(Folding::none, {.epochs = 4});
  const Trained late = train(Folding::int8, {.epochs = 4, .quantise_from = 3});
  for (std::size_t e = 0; e < 2; ++e) {
    EXPECT_EQ(late.history[e].loss, in_float.history[e].loss);
    EXPECT_EQ(late.history[e].validation_loss, in_float.history[e].validation_loss);
  }
  EXPECT_NE(late.history[2].loss, in_float.history[2].loss);
  EXPECT_NE(late.weights, in_float.weights);
  const Trained never = train(Folding::int8, {.epochs = 4, .quantise_from = 5});
  EXPECT_EQ(never.weights, in_float.weights);
  EXPECT_NE(train(Folding::int8, {.epochs = 4}).history[0].loss, in_float.history[0].loss);
  EXPECT_TRUE(late.rounded && never.rounded && !in_float.rounded);
}

TEST(Int8, BeginsWithTheRangesOfAllRowsAndThoseOfWeightsThatRoundingAfterwardsHas) {
  const Dataset data = labelled(200, 4, 3);
  const auto make = [] {
    return Network(4, {Dense{8}, BatchNormalization{}, Activation::relu, Dense{3}, Activation::softmax});
  };
  Network after = make();
  fit(after, data, {.epochs = 2});
  after.set_folding(Folding::int8);
  calibrate_ranges(after, data);
  Network never = make();
  never.set_folding(Folding::int8);
  fit(never, data, {.epochs = 2, .quantise_from = 3});
  EXPECT_EQ(never.predict(data.features), after.predict(data.features));
}

TEST(Int8, KeepsTheBestOfTheEpochsThatRound) {
  Dataset data = labelled(200, 4, 2);
  for (std::size_t r = 0; r < 200; ++r) {
    data.features[4 * r] = r == 0 ? 1e3F : 0.0F;  // beside which all else rounds to zero
    data.labels[r] = data.features[4 * r + 1] > 0.0F ? 1 : 0;
  }
  FitOptions options{.epochs = 8, .optimizer = Adam{.learning_rate = 0.05}, .validation_data = data};
  options.restore_best = true;
  options.quantise_from = 6;
  Network network(4, {Dense{2}, Activation::softmax});
  network.set_folding(Folding::int8);
  Training training(network, data, options);
  while (!training.done()) training.run_epoch();
  training.finish();
  EXPECT_LT(training.history()[4].validation_loss, training.history()[5].validation_loss);
  EXPECT_GE(training.kept_epoch(), 6);
}

TEST(Int8, StoppedWithinTheFirstEpochThatRoundsKeepsTheOneBefore) {
  const Dataset data = labelled(200, 4, 3);
  const Layers layers{Dense{8}, BatchNormalization{}, Activation::relu, Dense{3}, Activation::softmax};
  const auto weights_of = [](Network& network) {
    const auto weights = network.state().stack.weights();
    return std::vector<float>(weights.begin(), weights.end());
  };
  Network before(4, layers);
  fit(before, data, {.epochs = 2});
  Network stopped(4, layers);
  stopped.set_folding(Folding::int8);
  int steps_to_come = std::numeric_limits<int>::max();
  FitOptions options{.epochs = 4};
  options.quantise_from = 3;
  options.stop = [&] { return --steps_to_come < 0; };
  Training training(stopped, data, options);
  training.run_epoch();
  training.run_epoch();
  steps_to_come = 3;
  training.run_epoch();
  ASSERT_TRUE(training.done());
  training.finish();
  EXPECT_EQ(training.kept_epoch(), 2);
  EXPECT_EQ(weights_of(stopped), weights_of(before));
}

TEST(Int8, TrainsWithTheStepsThatItExports) {
  const Dataset data = labelled(200, 4, 3);
  Network network(4, {Dense{8}, BatchNormalization{}, Activation::relu, Dense{3}, Activation::softmax});
  network.set_folding(Folding::int8);
  const auto history = fit(network, data, {.epochs = 30, .freeze_statistics = 10});
  EXPECT_LT(history.back().loss, history.front().loss);
  // With frozen statistics training computes what inference does, but for the steps of the bias.
  Stack<float>& stack = network.state().stack;
  const Batch<float> all{data.rows(), data.features.data(), data.labels.data(), nullptr};
  stack.freeze_statistics(true);
  stack.forward(all);
  const auto trained = stack.output(all);
  const auto inferred = network.predict(data.features);
  for (std::size_t i = 0; i < inferred.size(); ++i) ASSERT_NEAR(trained[i], inferred[i], 2e-3F);
}

}  // namespace
}  // namespace bnrun::train
