// Which convolutions are computed in tiles where that is asked for, and that the numbers stay within what is stated.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "bnrun/session.h"
#include "kernels/conv/winograd.h"
#include "passes/prepare.h"
#include "program/compile.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

constexpr auto F32 = DType::float32;
using Ints = std::vector<std::int64_t>;

const std::string kDirect = "convolution, packed";
const std::string kTile2 = "convolution, Winograd F(2x2,3x3)";
const std::string kTile4 = "convolution, Winograd F(4x4,3x3)";

/// One convolution of x[N,C,lines,positions].
struct Layer {
  std::string name;
  std::int64_t C, M;
  std::optional<std::int64_t> extent;  ///< absent: open
  std::string kernel;                  ///< what computes it where fast kernels may be taken
  Attributes attributes{};
  std::int64_t taps = 3;
  DType dtype = F32;
};

const std::vector<Layer>& layers() {
  const Attributes same{{"pads", Ints{1, 1, 1, 1}}};
  const auto with = [&](const char* name, Ints values) {
    Attributes attributes = same;
    attributes.emplace(name, std::move(values));
    return attributes;
  };
  static const std::vector<Layer> all = {
      {"many tiles", 32, 32, 24, kTile4, same},
      {"pads on no side", 32, 32, 26, kTile4},
      {"pads on some sides", 32, 32, 24, kTile4, {{"pads", Ints{0, 2, 1, 0}}}},
      {"extents that are open", 32, 32, std::nullopt, kTile4, same},
      {"weights of 36 matrices beyond the cache, few tiles", 256, 192, 8, kTile2, same},
      {"one tile", 256, 256, 3, kDirect, same},
      {"few channels", 3, 32, 24, kDirect, same},
      {"stride", 32, 32, 24, kDirect, with("strides", {2, 2})},
      {"stride along one axis", 32, 32, 24, kDirect, with("strides", {1, 2})},
      {"dilation", 32, 32, 24, kDirect, with("dilations", {1, 2})},
      {"other taps", 32, 32, 24, kDirect, {}, 5},
      {"double precision", 32, 32, 24, kDirect, same, 3, DType::float64},
  };
  return all;
}

Tensor weights(const Layer& layer, std::int64_t groups = 1) {
  const Shape shape{layer.M, layer.C / groups, layer.taps, layer.taps};
  return layer.dtype == F32 ? random_tensor(shape, 1, -0.5, 0.5) : random_tensor<double>(shape, 1, -0.5, 0.5);
}

NodeInput input(GraphBuilder& b, const Layer& layer) {
  const DimSpec H = layer.extent ? DimSpec(*layer.extent) : DimSpec("H");
  const DimSpec W = layer.extent ? DimSpec(*layer.extent) : DimSpec("W");
  return b.input("x", layer.dtype, {"N", layer.C, H, W});
}

std::string kernel_of(GraphBuilder& b, bool fast) {
  for (const Stage& stage : compile(prepared(b.graph()), {.fast = fast}).stages) {
    for (const Step& step : stage.steps) {
      if (step.kernel.starts_with("convolution")) return std::string(step.kernel);
    }
  }
  return "none";
}

TEST(FastKernels, TakeTheTileThatCostsLeastAndOnlyWhereAskedFor) {
  for (const Layer& layer : layers()) {
    for (const bool fast : {false, true}) {
      GraphBuilder b;
      b.output(b.op("Conv", {input(b, layer), weights(layer)}, layer.attributes));
      EXPECT_EQ(kernel_of(b, fast), fast ? layer.kernel : kDirect) << layer.name;
    }
  }
}

TEST(FastKernels, LeaveGroupsToOthers) {
  GraphBuilder b;
  const Layer layer{"groups", 32, 32, 24, kDirect};
  b.output(b.op("Conv", {input(b, layer), weights(layer, 2)}, {{"group", std::int64_t{2}}}));
  EXPECT_EQ(kernel_of(b, true), kDirect);
}

TEST(FastKernels, HoldTransformedWeightsAndNoOthers) {
  GraphBuilder b;
  const Layer& layer = layers()[0];
  b.output(b.op("Conv", {input(b, layer), weights(layer)}, layer.attributes));
  const Program program = compile(prepared(b.graph()), {.fast = true});
  for (const Tensor& constant : program.constants) EXPECT_FALSE(constant.defined());
  for (const Stage& stage : program.stages) {
    for (const Step& step : stage.steps) {
      if (step.kernel == kTile4) {
        EXPECT_EQ(step.constant_bytes, 36U * 32U * 32U * sizeof(float));
      }
    }
  }
}

TEST(FastKernels, ComputeConvolutionsWithinTheBoundThatIsStated) {
  for (const Layer& layer : layers()) {
    if (layer.dtype != F32) continue;
    GraphBuilder b;
    const Tensor W = weights(layer);
    b.output(b.op("Conv", {input(b, layer), W}, layer.attributes));
    const Model model = b.model();
    const std::int64_t extent = layer.extent.value_or(17);
    const Tensor X = random_tensor({2, layer.C, extent, extent}, 3);
    const auto plain = Session(model, {.kernels = Kernels::packed}).run({{"x", X}})[0].tensor;
    const auto fast = Session(model, {.kernels = Kernels::fast}).run({{"x", X}})[0].tensor;
    double largest_x = 0.0;
    for (const float x : X.span<float>()) largest_x = std::max(largest_x, std::abs(static_cast<double>(x)));
    double sum_w = 0.0;  // of no output channel more
    const std::int64_t per_channel = W.shape().elements() / layer.M;
    for (std::int64_t m = 0; m < layer.M; ++m) {
      double sum = 0.0;
      for (std::int64_t k = 0; k < per_channel; ++k)
        sum += std::abs(static_cast<double>(W.data<float>()[m * per_channel + k]));
      sum_w = std::max(sum_w, sum);
    }
    // That of either, as both round.
    const double bound = 2.0 * Winograd::error_factor(4, layer.C) * largest_x * sum_w;
    ASSERT_EQ(plain.shape(), fast.shape());
    for (std::size_t i = 0; i < plain.span<float>().size(); ++i) {
      ASSERT_NEAR(static_cast<double>(plain.span<float>()[i]), static_cast<double>(fast.span<float>()[i]),
                  bound)
          << layer.name;
    }
  }
}

/// Two convolutions with all that may follow them, between others.
Model block() {
  GraphBuilder b;
  const auto conv = [&](const NodeInput& x, std::int64_t in, std::int64_t out, std::uint32_t seed) {
    return b.op("Conv", {x, random_tensor({out, in, 3, 3}, seed, -0.2, 0.2), random_tensor({out}, seed + 1)},
                {{"pads", Ints{1, 1, 1, 1}}});
  };
  const auto norm = [&](const NodeInput& x, std::uint32_t seed) {
    return b.op("BatchNormalization", {x, random_tensor({40}, seed, 0.5, 2), random_tensor({40}, seed + 1),
                                       random_tensor({40}, seed + 2), random_tensor({40}, seed + 3, 0.2, 3)});
  };
  const auto stem = b.op("Relu", {conv(b.input("x", F32, {"N", 32, 15, 18}), 32, 40, 1)});
  const auto first = norm(conv(stem, 40, 40, 5), 3);
  const auto gated = b.op("Mul", {first, b.op("Sigmoid", {first})});
  const auto second = norm(conv(gated, 40, 40, 7), 9);
  b.output(b.op("Relu", {b.op("Add", {second, stem})}));
  return b.model();
}

TEST(FastKernels, TakeAlongWhatFollows) {
  const Session fast(block(), {.kernels = Kernels::fast});
  const Tensor X = random_tensor({2, 32, 15, 18}, 4);
  const TensorView views[] = {X};
  std::size_t tiles = 0;
  const auto steps = fast.profile(views, 1).steps;
  for (const StepProfile& step : steps) tiles += step.kernel == kTile4 ? 1 : 0;
  EXPECT_EQ(tiles, 3U);
  EXPECT_EQ(steps.size(), 5U);  // two of them conversions of layout
  const auto plain = Session(block(), {.fold = std::nullopt, .kernels = Kernels::blas}).run({{"x", X}});
  expect_close(fast.run({{"x", X}})[0].tensor, plain[0].tensor, 1e-4, 1e-4);
}

TEST(FastKernels, BitsDependNeitherOnTheBatchNorOnTheThreads) {
  const Session one(block(), {.threads = 1, .kernels = Kernels::fast});
  const Session three(block(), {.threads = 3, .kernels = Kernels::fast});
  const std::int64_t image = 32 * 15 * 18;
  const Tensor X = random_tensor({4, 32, 15, 18}, 5);
  const Tensor all = one.run({{"x", X}})[0].tensor;
  const Tensor shared = three.run({{"x", X}})[0].tensor;
  ASSERT_EQ(all.bytes(), shared.bytes());
  EXPECT_EQ(std::memcmp(all.data<float>(), shared.data<float>(), all.bytes()), 0);
  const std::int64_t result = all.shape().elements() / 4;
  for (std::int64_t n = 0; n < 4; ++n) {
    const Tensor alone(Shape{1, 32, 15, 18},
                       std::vector<float>(X.data<float>() + n * image, X.data<float>() + (n + 1) * image));
    for (const Session* session : {&one, &three}) {
      const Tensor y = session->run({{"x", alone}})[0].tensor;
      EXPECT_EQ(std::memcmp(y.data<float>(), all.data<float>() + n * result, y.bytes()), 0) << "image " << n;
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
