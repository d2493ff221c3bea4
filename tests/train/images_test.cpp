// Networks over images: gradients, shapes, first weights, export, what they learn.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "api/model_access.h"
#include "bnrun/fold.h"
#include "bnrun/session.h"
#include "graph/graph.h"
#include "io/csv.h"
#include "samples.h"
#include "support/allocation_counter.h"
#include "train/fit/optimizer.h"
#include "train/parts.h"
#include "train/stack.h"
#include "verify/interpret.h"

namespace bnrun::train {
namespace {

using Layers = std::vector<LayerSpec>;

Conv2D conv(std::int64_t filters, const Size2D& kernel, Padding padding = Padding::valid,
            const Size2D& strides = {1, 1}) {
  return {.filters = filters, .kernel = kernel, .strides = strides, .padding = padding};
}

Pooling2D pool(Pooling2D::Kind kind, const Size2D& window, const Size2D& strides,
               Padding padding = Padding::valid) {
  return {.kind = kind, .window = window, .strides = strides, .padding = padding};
}

constexpr auto kMax = Pooling2D::Kind::maximum;
constexpr auto kMean = Pooling2D::Kind::average;
constexpr auto kSame = Padding::same;

// -------- every layer

struct Case {
  const char* name;
  Layers layers;  ///< over 6x5x2, to a row
};

const Case kCases[] = {
    {"Convolution", {conv(3, {3, 2}), Flatten{}}},
    {"SameConvolution", {conv(3, {3, 3}, kSame), Activation::tanh, Flatten{}}},
    {"EvenKernels", {conv(2, {2, 4}, kSame), Flatten{}}},
    {"Strides", {conv(3, {3, 2}, kSame, {2, 3}), Flatten{}}},
    {"ValidStrides", {conv(3, {2, 2}, Padding::valid, {3, 2}), Flatten{}}},
    {"StridesBeyondTheKernel", {conv(3, {1, 1}, kSame, {2, 2}), Flatten{}}},
    {"WithoutBias", {Conv2D{.filters = 3, .kernel = {2, 2}, .use_bias = false}, Flatten{}}},
    {"TwoConvolutions",
     {conv(3, {3, 3}, kSame), Activation::sigmoid, conv(4, {2, 2}), Activation::tanh, Flatten{}}},
    {"ConvBN", {conv(3, {3, 3}), BatchNormalization{}, Activation::relu, Flatten{}}},
    {"ConvBNAfterTheActivation",
     {conv(3, {3, 3}), Activation::tanh, BatchNormalization{}, conv(2, {2, 2}), Flatten{}}},
    {"NormalizationFirst", {BatchNormalization{}, conv(3, {2, 2}), Flatten{}}},
    {"MaxPooling", {conv(3, {2, 2}, kSame), pool(kMax, {2, 2}, {2, 2}), Flatten{}}},
    {"SameMaxPooling", {conv(3, {2, 2}, kSame), pool(kMax, {3, 3}, {2, 2}, kSame), Flatten{}}},
    {"OverlappingMaxPooling", {conv(3, {1, 1}), pool(kMax, {3, 2}, {1, 1}), Flatten{}}},
    {"AveragePooling", {conv(3, {2, 2}, kSame), pool(kMean, {2, 2}, {2, 2}), Flatten{}}},
    {"SameAveragePooling", {conv(3, {2, 2}, kSame), pool(kMean, {3, 3}, {2, 2}, kSame), Flatten{}}},
    {"GlobalAverage", {conv(4, {3, 3}, kSame), BatchNormalization{}, GlobalAveragePooling2D{}}},
    {"Residual",
     {conv(2, {3, 3}, kSame), BatchNormalization{}, Activation::tanh, conv(2, {3, 3}, kSame), Shortcut{4},
      Flatten{}}},
    {"DropoutAndElu", {conv(3, {2, 2}), Dropout{0.3}, Elu{0.5}, LeakyRelu{0.1}, Flatten{}}},
    {"FlattenFirst", {Flatten{}, Dense{4}, Activation::gelu}},
};
const Shape kImage{6, 5, 2};

class Images : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Layers, Images, ::testing::ValuesIn(kCases),
                         [](const auto& tested) { return std::string(tested.param.name); });

Layers with_head(Layers layers) {
  layers.push_back(Dense{3});
  return layers;
}

TEST_P(Images, GradientsAgreeWithFiniteDifferences) {
  Network network(kImage, with_head(GetParam().layers), 5);
  EXPECT_LT(check_gradients(network, measured(4, 60, 3)), 1e-6);
  network.set_folding(Folding::folded);
  EXPECT_LT(check_gradients(network, measured(4, 60, 3)), 1e-6);
}

/// The exported model, unfolded and folded, as the trainer evaluates; each way the rows may lie.
TEST_P(Images, ExportEqualsTheTrainersOwnInference) {
  Network network(kImage, with_head(GetParam().layers), 5);
  const Dataset data = measured(12, 60, 3);
  network.set_input_scaling(Scaling::standardize(data.features, 60));
  fit(network, data, {.epochs = 3, .batch = 4});
  const auto expected = network.predict(data.features);
  for (const Shape& row : {Shape{}, Shape{6, 5, 2}, Shape{6, 10}}) {
    Model model = to_model(network, {.row = row});
    Shape batch = row.rank() == 0 ? Shape{60} : row;
    batch.insert(0, data.rows());
    const Tensor x(batch, data.features);
    for (const bool folds : {false, true}) {
      SessionOptions options;
      if (!folds) options.fold.reset();
      const auto outputs = Session(model, options).run({{"input", x}});
      ASSERT_EQ(outputs[0].tensor.shape(), (Shape{12, 3}));
      for (std::size_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(outputs[0].tensor.span<float>()[i], expected[i], 1e-5F) << to_string(row) << " " << i;
    }
    const TensorView inputs[] = {x};
    const auto truth = interpret(graph_of(model), inputs);
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(truth[0].span<float>()[i], expected[i], 1e-5F) << i;
  }
}

TEST(ImageExport, OneChannelNeedsNoTranspose) {
  const Network network(Shape{4, 4, 1}, {conv(2, {3, 3}), Flatten{}, Dense{2}});
  const auto operators = [&](const Shape& row) {
    std::vector<std::string> list;
    const Model model = to_model(network, {.row = row});
    const Graph& graph = graph_of(model);
    for (const NodeId id : graph.topological_order()) list.push_back(graph.node(id).op_type);
    return list;
  };
  const std::vector<std::string> expected{"Reshape", "Conv", "Transpose", "Flatten", "Gemm"};
  for (const Shape& row : {Shape{}, Shape{4, 4}, Shape{4, 4, 1}}) EXPECT_EQ(operators(row), expected);
  expect_refused([&] { to_model(network, {.row = Shape{4, 5}}); }, "rows of 4x5 for a network of 16 inputs");
}

// -------- shapes

TEST(ImageShapes, FollowTheFormulasOfKeras) {
  const auto shape_of = [](const LayerSpec& layer) {
    return Network(Shape{7, 10, 3}, {layer, conv(1, {1, 1}), Flatten{}, Dense{1}}).layers()[0].shape;
  };
  EXPECT_EQ(shape_of(conv(5, {3, 4})), (Shape{5, 7, 5}));
  EXPECT_EQ(shape_of(conv(5, {3, 4}, kSame)), (Shape{7, 10, 5}));
  EXPECT_EQ(shape_of(conv(5, {3, 4}, Padding::valid, {2, 3})), (Shape{3, 3, 5}));
  EXPECT_EQ(shape_of(conv(5, {3, 4}, kSame, {2, 3})), (Shape{4, 4, 5}));
  EXPECT_EQ(shape_of(pool(kMax, {2, 3}, {2, 3})), (Shape{3, 3, 3}));
  EXPECT_EQ(shape_of(pool(kMean, {2, 3}, {2, 3}, kSame)), (Shape{4, 4, 3}));
}

TEST(ImageShapes, WhatALayerCannotReadIsRefused) {
  const auto refuse = [](const Shape& input, const Layers& layers, const char* message) {
    expect_refused([&] { Network(input, layers); }, message);
  };
  refuse({4}, {conv(2, {1, 1}), Dense{1}}, "a convolution reads images, not rows of 4 numbers");
  refuse({4}, {pool(kMax, {1, 1}, {1, 1}), Dense{1}}, "a pooling layer reads images");
  refuse({4}, {GlobalAveragePooling2D{}, Dense{1}}, "a global average reads images");
  refuse({4, 4, 1}, {Dense{1}}, "a dense layer reads rows of numbers, not images of 4x4x1: a flatten layer");
  refuse({4, 4, 1}, {LayerNormalization{}, Flatten{}, Dense{1}}, "a LayerNormalization reads rows");
  refuse({4, 4, 1}, {Activation::softmax, Flatten{}, Dense{1}}, "a softmax reads rows");
  refuse({4, 4, 1}, {conv(2, {1, 1})}, "puts out images of 4x4x2");
  refuse({4, 4, 1}, {Flatten{}}, "at least one dense layer or convolution");
  refuse({4, 4}, {Flatten{}, Dense{1}}, "a network of 4x4 inputs");
  refuse({4, 0, 1}, {Flatten{}, Dense{1}}, "a network of 4x0x1 inputs");
  refuse({4, 4, 1}, {conv(2, {5, 1}), Flatten{}, Dense{1}}, "5x1 on an image of 4x4, which is smaller");
  refuse({4, 4, 1}, {conv(0, {1, 1}), Flatten{}, Dense{1}}, "0 filters");
  refuse({4, 4, 1}, {conv(2, {0, 1}), Flatten{}, Dense{1}}, "a convolution of 0x1");
  refuse({4, 4, 1}, {pool(kMax, {2, 2}, {0, 1}), Flatten{}, Dense{1}}, "with strides of 0x1");
  refuse({4, 4, 1}, {conv(2, {3, 3}), Shortcut{1}, Flatten{}, Dense{1}}, "adds 4x4x1 values to 2x2x2");
}

TEST(ImageShapes, Int8NamesTheConvolutionThatItIsNotFor) {
  Network network(Shape{4, 4, 1}, {conv(2, {3, 3}), Flatten{}, Dense{2}});
  expect_refused([&] { network.set_folding(Folding::int8); },
                 "conv2d_1: a convolution cannot be trained in int8");
  EXPECT_EQ(network.folding(), Folding::none);
}

// -------- first weights

/// As Keras counts: a window of 5x4 over 6 channels are 120 inputs, and 80 filters 1600 outputs.
TEST(Initializers, OfAConvolutionCountTheWindow) {
  const std::pair<Initializer, double> cases[] = {{Initializer::glorot_uniform, 2.0 / 1720.0},
                                                  {Initializer::glorot_normal, 2.0 / 1720.0},
                                                  {Initializer::he_normal, 2.0 / 120.0},
                                                  {Initializer::lecun_uniform, 1.0 / 120.0}};
  for (const auto& [initializer, variance] : cases) {
    Stack<double> stack(
        Shape{5, 4, 6},
        Layers{Conv2D{.filters = 80, .kernel = {5, 4}, .initializer = initializer}, Flatten{}});
    Random random(7);
    stack.initialize(random);
    double squares = 0.0;
    for (const double w : stack.weights()) squares += w * w;  // the biases are 0
    EXPECT_NEAR(squares / (120.0 * 80.0), variance, 0.05 * variance) << name_of(initializer);
  }
}

// -------- pooling

TEST(Pooling, ByHand) {
  const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8, 9};
  const auto pooled = [&](const Pooling2D& layer) {
    const Stack<float> stack(Shape{3, 3, 1}, Layers{layer, Flatten{}, Dense{1}});
    std::vector<float> y(static_cast<std::size_t>(stack.layers()[0]->outputs()));
    stack.layers()[0]->infer(1, x.data(), y.data());
    return y;
  };
  EXPECT_EQ(pooled(pool(kMax, {2, 2}, {1, 1})), (std::vector<float>{5, 6, 8, 9}));
  EXPECT_EQ(pooled(pool(kMean, {2, 2}, {1, 1})), (std::vector<float>{3, 4, 6, 7}));
  EXPECT_EQ(pooled(pool(kMax, {2, 2}, {2, 2}, kSame)), (std::vector<float>{5, 6, 8, 9}));
  EXPECT_EQ(pooled(pool(kMean, {2, 2}, {2, 2}, kSame)), (std::vector<float>{3, 4.5F, 7.5F, 9}));
}

TEST(Pooling, OfEqualLargestTheFirstTakesTheGradient) {
  Stack<float> stack(Shape{1, 3, 1}, Layers{pool(kMax, {1, 2}, {1, 1}), Flatten{}, Dense{1}});
  const std::vector<float> x{2, 2, 1};
  const std::vector<float> dy{1, 10};
  std::vector<float> y(2);
  std::vector<float> dx(3);
  auto& layer = *stack.layers()[0];
  layer.forward(1, x.data(), y.data());
  layer.backward(1, x.data(), y.data(), dy.data(), dx.data());
  EXPECT_EQ(dx, (std::vector<float>{1, 10, 0}));
}

// -------- threads and memory

struct Trained {
  std::vector<Weight> weights;
  std::vector<EpochReport> history;
};

Trained trained(const Shape& input, const Layers& layers, Folding folding, int threads) {
  const Dataset data = labelled(150, input.elements(), 4);
  Network network(input, layers, 3);
  network.set_folding(folding);
  auto history = fit(network, data, {.epochs = 2, .batch = 48, .validation = 0.2, .threads = threads});
  return {network.weights(), std::move(history)};
}

TEST(Threads, ChangeNoBit) {
  struct Threaded {
    Shape input;
    Layers layers;
  };
  const Threaded cases[] = {
      {{20, 20, 2},
       {conv(8, {5, 5}, kSame), BatchNormalization{}, Activation::gelu, Pooling2D{}, conv(8, {3, 3}),
        Activation::relu, pool(kMean, {2, 2}, {2, 2}), Dropout{0.2}, Flatten{}, Dense{4},
        Activation::softmax}},
      {{300},
       {Dense{256}, BatchNormalization{}, Activation::tanh, Dense{200}, Dense{4}, Activation::softmax}}};
  for (const auto& [input, layers] : cases) {
    for (const Folding folding : {Folding::none, Folding::folded}) {
      const Trained one = trained(input, layers, folding, 1);
      for (const int threads : {2, 3}) {
        const Trained more = trained(input, layers, folding, threads);
        for (std::size_t i = 0; i < one.weights.size(); ++i)
          EXPECT_TRUE(identical(one.weights[i].tensor, more.weights[i].tensor)) << one.weights[i].name;
        for (std::size_t e = 0; e < one.history.size(); ++e) {
          EXPECT_EQ(one.history[e].loss, more.history[e].loss);
          EXPECT_EQ(one.history[e].validation_loss, more.history[e].validation_loss);
        }
      }
    }
  }
}

/// Operations that a batch of 48 costs these are far above the least that threads are woken for.
TEST(Threads, ShareWhatIsLarge) {
  EXPECT_EQ(parts_of(48, 1000), 1);
  EXPECT_EQ(parts_of(48, 1 << 24), 8);
  EXPECT_EQ(parts_of(3, 1 << 24), 3);
  std::vector<std::int64_t> ends;
  each_part(nullptr, 11, 4, [&](std::int64_t, std::int64_t first, std::int64_t count, int) {
    ends.push_back(first + count);
  });
  EXPECT_EQ(ends, (std::vector<std::int64_t>{2, 5, 8, 11}));
}

std::size_t allocations_of_a_step(Stack<float>& stack, const Batch<float>& batch,
                                  OptimizerState<float>& optimizer) {
  const auto before = testing::allocations();
  stack.begin({1, 1});
  stack.forward(batch);
  stack.backward(batch);
  optimizer.step(stack.weights(), stack.gradients());
  return testing::allocations() - before;
}

TEST(Step, AllocatesNothingAfterTheFirst) {
  const Layers images{conv(4, {3, 3}, kSame),
                      BatchNormalization{},
                      Activation::relu,
                      Pooling2D{},
                      conv(4, {2, 2}),
                      LeakyRelu{},
                      pool(kMean, {2, 2}, {1, 1}),
                      Flatten{},
                      Dense{3},
                      Activation::softmax};
  const Layers rows{Dense{8},    BatchNormalization{}, Activation::relu, Dense{8},
                    Shortcut{3}, LayerNormalization{}, Dropout{0.1},     Activation::gelu,
                    Dense{3},    Activation::softmax};
  const Layers categories{Embedding{{{0, 2, 3}}}, Dense{3}, Activation::softmax};
  const std::pair<Shape, Layers> cases[] = {{{6, 6, 1}, images}, {{8}, rows}, {{4}, categories}};
  for (const auto& [input, layers] : cases) {
    for (const Folding folding : {Folding::none, Folding::folded}) {
      Stack<float> stack(input, layers);
      stack.set_folding(folding);
      Random random(1);
      stack.initialize(random);
      const Dataset data = labelled(16, input.elements(), 3);
      const Batch<float> batch{16, data.features.data(), data.labels.data(), nullptr};
      OptimizerState<float> optimizer(Adam{}, stack.weights().size());
      for (int i = 0; i < 2; ++i) allocations_of_a_step(stack, batch, optimizer);
      EXPECT_EQ(allocations_of_a_step(stack, batch, optimizer), 0U) << to_string(input);
    }
  }
}

// -------- what they learn

const Layers kLeNet{conv(6, {5, 5}, kSame),
                    BatchNormalization{},
                    Activation::relu,
                    Pooling2D{},
                    conv(16, {3, 3}, kSame),
                    BatchNormalization{},
                    Activation::relu,
                    Pooling2D{},
                    Flatten{},
                    Dense{64},
                    BatchNormalization{},
                    Activation::relu,
                    Dense{10},
                    Activation::softmax};

std::size_t normalizations(const Model& model) {
  const Graph& graph = graph_of(model);
  return static_cast<std::size_t>(std::ranges::count_if(
      graph.topological_order(), [&](NodeId id) { return graph.node(id).op_type == "BatchNormalization"; }));
}

/// LeNet on 8x8 digits, 360 held out.
TEST(LeNet, LearnsDigitsFoldsWholeAndRunsAlike) {
  const auto table = io::read_csv(BNRUN_SOURCE_DIR "/models/data/digits.csv.gz");
  Dataset digits{.columns = 64};
  for (std::size_t r = 0; r < table.rows(); ++r) {
    for (std::size_t c = 0; c < 64; ++c) digits.features.push_back(static_cast<float>(table.numbers(c)[r]));
    digits.labels.push_back(static_cast<std::int64_t>(table.numbers(64)[r]));
  }
  const auto split = split_rows(digits, 360, 1);
  const auto held_out = take_rows(digits, split.drawn);
  for (const Folding folding : {Folding::none, Folding::folded}) {
    Network network(Shape{8, 8, 1}, kLeNet);
    network.set_input_scaling(Scaling::by(1.0 / 16.0, 64));
    network.set_folding(folding);
    fit(network, take_rows(digits, split.rest), {.epochs = 6});
    EXPECT_GE(evaluate(network, held_out).metric, 0.97);
    Model model = to_model(network);
    EXPECT_EQ(normalizations(model), folding == Folding::none ? 3U : 0U);
    fold(model);
    EXPECT_EQ(normalizations(model), 0U);
    const auto outputs = Session(model).run({{"input", Tensor(Shape{360, 64}, held_out.features)}});
    const auto expected = network.predict(held_out.features);
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(outputs[0].tensor.span<float>()[i], expected[i], 1e-5F);
  }
}

}  // namespace
}  // namespace bnrun::train
