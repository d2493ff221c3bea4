// Folding around convolutions and pools, and of ai.onnx.ml's Scaler: structure and numbers.
#include "api/model_access.h"
#include "bnrun/fold.h"
#include "support/fold_testing.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;

struct Network {
  GraphBuilder b;
  std::uint32_t seed = 1;

  ValueId image(std::int64_t channels = 4) { return b.input("x", DType::float32, {"N", channels, 6, 7}); }
  Tensor random(const Shape& shape, double low = -1.0, double high = 1.0) {
    return random_tensor(shape, seed++, low, high);
  }
  ValueId conv(ValueId x, const Shape& W, Attributes attributes = {}, bool bias = false) {
    std::vector<NodeInput> inputs{x, random(W)};
    if (bias) inputs.emplace_back(random({W[0]}));
    return b.op("Conv", inputs, std::move(attributes));
  }
  ValueId batch_normalization(ValueId x, std::int64_t channels, double least_scale = -2.0) {
    return b.op("BatchNormalization", {x, random({channels}, least_scale, 2.0), random({channels}),
                                       random({channels}), random({channels}, 0.2, 2.0)});
  }
};

const Attributes kPadded{{"pads", Ints{1, 1, 1, 1}}};

TEST(FoldConv, BatchNormalizationAfterConvGivesItABias) {
  Network n;
  n.b.output(n.b.op("Relu", {n.batch_normalization(n.conv(n.image(), {5, 4, 3, 3}, kPadded), 5)}));
  expect_fold(n.b.model(), {{"Conv", 1}, {"Relu", 1}});
}

TEST(FoldConv, ResidualBlockWithGroups) {
  Network n;
  const ValueId x = n.b.op("Relu", {n.image()});
  const ValueId wide = n.b.op("Relu", {n.batch_normalization(n.conv(x, {8, 4, 1, 1}), 8)});
  Attributes depthwise = kPadded;
  depthwise["group"] = 8;
  const ValueId deep =
      n.b.op("Relu", {n.batch_normalization(n.conv(wide, {8, 1, 3, 3}, depthwise, true), 8)});
  const ValueId narrow = n.batch_normalization(n.conv(deep, {4, 8, 1, 1}), 4);
  n.b.output(n.b.op("Relu", {n.b.op("Add", {x, narrow})}));
  expect_fold(n.b.model(), {{"Conv", 3}, {"Relu", 4}, {"Add", 1}});
}

TEST(FoldConv, MulAndAddPerChannelAfterConv) {
  Network n;
  const ValueId scaled = n.b.op("Mul", {n.conv(n.image(), {5, 4, 3, 3}), n.random({5, 1, 1})});
  n.b.output(n.b.op("Add", {n.random({1, 5, 1, 1}), scaled}));
  expect_fold(n.b.model(), {{"Conv", 1}});
}

TEST(FoldConv, BatchNormalizationBeforeConvWithoutPadding) {
  Network n;
  const ValueId x = n.batch_normalization(n.b.op("Relu", {n.image()}), 4);
  n.b.output(n.conv(x, {6, 2, 3, 3}, {{"group", 2}, {"strides", Ints{2, 2}}}));
  expect_fold(n.b.model(), {{"Relu", 1}, {"Conv", 1}});
}

TEST(FoldConv, PaddingStopsAShiftButNoScale) {
  Network alone;
  const ValueId shifted_by =
      alone.b.op("Add", {alone.b.op("Relu", {alone.image()}), alone.random({4, 1, 1})});
  alone.b.output(alone.conv(shifted_by, {5, 4, 3, 3}, kPadded));
  Model model = alone.b.model();
  EXPECT_EQ(fold(model).rewrites, 0U);
  Network shifted;
  shifted.b.output(shifted.conv(shifted.batch_normalization(shifted.b.op("Relu", {shifted.image()}), 4),
                                {5, 4, 3, 3}, kPadded));
  expect_fold(shifted.b.model(), {{"Relu", 1}, {"Sub", 1}, {"Conv", 1}});
  Network scaled;
  const ValueId x =
      scaled.b.op("Mul", {scaled.b.op("Relu", {scaled.image()}), scaled.random({4, 1, 1}, -2, -1)});
  scaled.b.output(scaled.conv(x, {5, 4, 3, 3}, kPadded));
  expect_fold(scaled.b.model(), {{"Relu", 1}, {"Conv", 1}});
}

TEST(FoldConv, AShiftThatIsHugeBeforeItIsScaledStaysBehindTheScale) {
  const auto left = [](float scale) {  // x*scale + 1 is (x + 1/scale)*scale
    Network n;
    const Tensor factor({1}, std::vector<float>{scale});
    const ValueId scaled = n.b.op("Mul", {n.b.op("Sigmoid", {n.image()}), factor});
    const ValueId shifted = n.b.op("Add", {scaled, Tensor({1}, std::vector<float>{1})});
    n.b.output(n.conv(shifted, {5, 4, 3, 3}, kPadded));
    return n.b.model();
  };
  expect_fold(left(0x1p-2F), {{"Sigmoid", 1}, {"Sub", 1}, {"Conv", 1}});
  expect_declined(left(0x1p-26F), Decline::padding);
}

TEST(FoldConv, AMapAlongAPixelRowIsNotPerChannel) {
  Network n;
  n.b.output(n.b.op("Mul", {n.conv(n.image(), {5, 4, 3, 3}), n.random({5})}));
  expect_declined(n.b.model(), Decline::axis_unproven);
}

TEST(FoldConv, ThroughMaxPoolWithPositiveScale) {
  Network n;
  const ValueId pooled = n.b.op("MaxPool", {n.conv(n.image(), {5, 4, 3, 3})},
                                {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 0, 0, 1}}});
  n.b.output(n.b.op("Tanh", {n.batch_normalization(pooled, 5, 0.5)}));
  expect_fold(n.b.model(), {{"Conv", 1}, {"MaxPool", 1}, {"Tanh", 1}});
}

TEST(FoldConv, ThroughAveragePools) {
  for (const bool counts_padding : {false, true}) {
    Network n;
    const ValueId pooled = n.b.op("AveragePool", {n.conv(n.image(), {5, 4, 3, 3})},
                                  {{"kernel_shape", Ints{2, 2}},
                                   {"pads", Ints{1, 0, 0, 1}},
                                   {"count_include_pad", counts_padding ? 1 : 0}});
    n.b.output(n.b.op("Tanh", {n.batch_normalization(pooled, 5)}));
    if (counts_padding)
      expect_fold(n.b.model(), {{"Conv", 1}, {"AveragePool", 1}, {"Add", 1}, {"Tanh", 1}});
    else
      expect_fold(n.b.model(), {{"Conv", 1}, {"AveragePool", 1}, {"Tanh", 1}});
  }
  Network global;
  const ValueId pooled = global.b.op("GlobalAveragePool", {global.conv(global.image(), {5, 4, 3, 3})});
  global.b.output(global.b.op("Flatten", {global.batch_normalization(pooled, 5)}));
  expect_fold(global.b.model(), {{"Conv", 1}, {"GlobalAveragePool", 1}, {"Flatten", 1}});
}

TEST(FoldConv, ConvTransposeBetweenTwoMaps) {
  Network n;
  const ValueId scaled = n.b.op("Mul", {n.b.op("Relu", {n.image()}), n.random({4, 1, 1})});
  const ValueId y = n.b.op("ConvTranspose", {scaled, n.random({4, 3, 2, 3})},
                           {{"group", 2}, {"strides", Ints{2, 1}}, {"pads", Ints{1, 0, 0, 1}}});
  n.b.output(n.batch_normalization(y, 6));
  expect_fold(n.b.model(), {{"Relu", 1}, {"ConvTranspose", 1}});
}

TEST(FoldScaler, IntoTheLayerThatReadsIt) {
  Network n;
  n.b.import("ai.onnx.ml", 2);
  const ValueId x = n.b.input("x", DType::float32, {"N", 3});
  const Attributes attributes{{"offset", std::vector<float>{1, -2, 0.5F}},
                              {"scale", std::vector<float>{2, 0.25F, -1}}};
  const ValueId scaled = n.b.node("Scaler", {x}, attributes, {""}, "ai.onnx.ml")[0];
  n.b.output(n.b.op("Gemm", {scaled, n.random({3, 5}), n.random({5})}));
  Graph graph = n.b.graph();
  infer_types(graph);
  expect_fold(make_model(graph), {{"Gemm", 1}});
}

}  // namespace
}  // namespace bnrun::testing
