// Convolutional networks as steps with channels last: which steps there are, where conversions stand, and that the
// numbers are those of the plain operators.
#include "program/layouts.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "bnrun/session.h"
#include "passes/prepare.h"
#include "program/compile.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

constexpr auto F32 = DType::float32;
using Ints = std::vector<std::int64_t>;

NodeInput conv(GraphBuilder& b, const NodeInput& x, std::int64_t in, std::int64_t out, std::int64_t kernel,
               std::uint32_t seed, Attributes attributes = {}) {
  const std::int64_t pad = kernel / 2;
  if (!attributes.contains("pads")) attributes.emplace("pads", Ints{pad, pad, pad, pad});
  const Tensor W = random_tensor({out, in, kernel, kernel}, seed, -0.5, 0.5);
  return b.op("Conv", {x, W, random_tensor({out}, seed + 1)}, attributes);
}

Tensor ints(const Ints& numbers) {
  return Tensor({static_cast<std::int64_t>(numbers.size())}, numbers);
}

ValueId value(const NodeInput& input) {
  return std::get<ValueId>(input);
}

std::vector<std::string> steps_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const Stage& stage : compile(graph).stages) {
    for (const Step& step : stage.steps) names.push_back(step.where);
  }
  return names;
}

std::size_t conversions(const std::vector<std::string>& steps) {
  std::size_t count = 0;
  for (const std::string& step : steps) count += step.rfind("conversion", 0) == 0 ? 1 : 0;
  return count;
}

/// A small network, its steps and how many of those convert layouts.
struct Network {
  std::string name;
  std::function<ValueId(GraphBuilder&, NodeInput)> body;  ///< of x[N,3,13,11]
  std::size_t steps;
  std::size_t conversions;
};

const std::vector<Network>& networks() {
  static const std::vector<Network> all = {
      {"convolution with its activation",
       [](GraphBuilder& b, NodeInput x) { return b.op("Relu", {conv(b, x, 3, 8, 3, 1)}); }, 3, 2},
      {"residual block with the sum and the activation in the second convolution",
       [](GraphBuilder& b, NodeInput x) {
         const auto stem = b.op("Relu", {conv(b, x, 3, 8, 3, 1)});
         const auto first = b.op("Relu", {conv(b, stem, 8, 8, 3, 2)});
         return b.op("Relu", {b.op("Add", {conv(b, first, 8, 8, 3, 3), stem})});
       },
       5, 2},
      {"block with a convolution on its other path",
       [](GraphBuilder& b, NodeInput x) {
         const auto a = conv(b, x, 3, 8, 3, 1);
         const auto c = conv(b, x, 3, 8, 1, 3);
         return b.op("Relu", {b.op("Add", {a, c})});
       },
       4, 2},
      {"depthwise separable with Clip, pooled and classified",
       [](GraphBuilder& b, NodeInput x) {
         const auto clip = [&](const NodeInput& y) {
           return b.op("Clip",
                       {y, Tensor({}, std::vector<float>{0.0F}), Tensor({}, std::vector<float>{0.5F})});
         };
         const auto stem = clip(conv(b, x, 3, 20, 3, 1, {{"strides", Ints{2, 2}}}));
         const auto depth = clip(conv(b, stem, 1, 20, 3, 2, {{"group", std::int64_t{20}}}));
         const auto point = conv(b, depth, 20, 7, 1, 3);
         const auto flat = b.op("Flatten", {b.op("GlobalAveragePool", {point})});
         return b.op("Gemm", {flat, random_tensor({7, 5}, 9), random_tensor({5}, 10)});
       },
       8, 2},
      {"swish and hard swish written out",
       [](GraphBuilder& b, NodeInput x) {
         const auto a = value(conv(b, x, 3, 8, 3, 1));
         const auto y = b.op("Mul", {a, b.op("Sigmoid", {a})});
         const auto c = value(conv(b, y, 8, 8, 3, 2));
         return b.op("Mul", {c, b.op("HardSigmoid", {c}, {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}})});
       },
       4, 2},
      {"squeeze and excitation",
       [](GraphBuilder& b, NodeInput x) {
         const auto a = value(conv(b, x, 3, 8, 3, 1));
         const auto gate = b.op("Sigmoid", {conv(b, b.op("GlobalAveragePool", {a}), 8, 8, 1, 2)});
         return b.op("Mul", {a, gate});
       },
       6, 2},
      {"parts behind one another on the channels, pooled in between, with a scale left over",
       [](GraphBuilder& b, NodeInput x) {
         const auto stem = value(conv(b, x, 3, 6, 3, 1));
         const auto pooled =
             b.op("MaxPool", {stem},
                  {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{1, 1}}, {"pads", Ints{1, 1, 1, 1}}});
         const auto mean =
             b.op("AveragePool", {stem}, {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
         const auto joined = b.op("Concat", {stem, pooled, mean}, {{"axis", std::int64_t{1}}});
         const auto scaled = b.op("Mul", {joined, random_tensor({18, 1, 1}, 5)});
         const auto parts = b.node("Split", {scaled}, {{"axis", std::int64_t{1}}}, {"left", "right"});
         return b.op("Sub", {parts[0], parts[1]});
       },
       9, 2},
      {"transposed convolutions, the first of which begins the region",
       [](GraphBuilder& b, NodeInput x) {
         const auto rise = [&](const NodeInput& y, const Shape& W, Attributes attributes) {
           const std::int64_t M = W[1] * (attributes.contains("group") ? 2 : 1);
           return b.op("ConvTranspose", {y, random_tensor(W, 11, -0.5, 0.5), random_tensor({M}, 12)},
                       std::move(attributes));
         };
         const auto a =
             b.op("Relu", {rise(x, {3, 6, 4, 4}, {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}})});
         const auto c = rise(a, {6, 4, 3, 2},
                             {{"strides", Ints{2, 1}},
                              {"group", std::int64_t{2}},
                              {"pads", Ints{2, 0, 2, 1}},
                              {"output_padding", Ints{1, 0}}});
         return value(conv(b, c, 8, 3, 3, 5));
       },
       6, 2},
      {"a transposed convolution whose stride leaves outputs without a tap",
       [](GraphBuilder& b, NodeInput x) {
         return b.op("ConvTranspose", {x, random_tensor({3, 2, 2, 2}, 1)}, {{"strides", Ints{3, 3}}});
       },
       1, 0},
      {"transposed convolutions to few channels, and of few positions",
       [](GraphBuilder& b, NodeInput x) {
         const auto small = conv(b, x, 3, 40, 3, 1, {{"strides", Ints{13, 11}}});
         const auto risen = b.op("ConvTranspose", {small, random_tensor({40, 24, 4, 5}, 11, -0.5, 0.5)});
         return value(b.op(
             "ConvTranspose", {risen, random_tensor({24, 1, 5, 4}, 12, -0.5, 0.5), random_tensor({1}, 13)},
             {{"strides", Ints{3, 2}}, {"pads", Ints{2, 1, 3, 0}}, {"output_padding", Ints{1, 0}}}));
       },
       5, 2},
      {"a picture made larger, nearest and linear, between convolutions",
       [](GraphBuilder& b, NodeInput x) {
         const auto a = conv(b, x, 3, 6, 3, 1);
         const Tensor scales({4}, std::vector<float>{1, 1, 2, 3});
         const auto near = b.op("Resize", {a, ValueId{}, scales},
                                {{"mode", std::string("nearest")},
                                 {"coordinate_transformation_mode", std::string("asymmetric")}});
         const auto small = conv(b, near, 6, 4, 3, 3, {{"strides", Ints{2, 2}}});
         return value(conv(b,
                           b.op("Resize", {small, ValueId{}, Tensor({4}, std::vector<float>{1, 1, 1, 2})},
                                {{"mode", std::string("linear")}}),
                           4, 2, 1, 5));
       },
       7, 2},
      {"a picture padded between convolutions, by axes too",
       [](GraphBuilder& b, NodeInput x) {
         const auto a = conv(b, x, 3, 4, 1, 1);
         const auto framed =
             b.op("Pad", {a, Tensor({8}, Ints{0, 1, 2, 0, 0, 0, -1, 3}), Tensor({}, std::vector{0.5F})});
         return value(conv(b, framed, 5, 4, 3, 2));
       },
       5, 2},
      {"convolutions of bytes behind each other, the second in groups",
       [](GraphBuilder& b, NodeInput x) {
         const Tensor scale({}, std::vector{0.05F});
         const auto byte = [](std::uint8_t zero) { return Tensor({}, std::vector{zero}); };
         const auto weights = [](Shape shape, std::uint32_t seed) {
           return convert(random_tensor<float>(shape, seed, -100.0, 100.0), DType::int8);
         };
         const auto zeros = Tensor({}, std::vector{std::int8_t{0}});
         const auto q = b.op("QuantizeLinear", {x, scale, byte(120)});
         const auto y = b.op("QLinearConv",
                             {q, scale, byte(120), weights({6, 3, 3, 3}, 1), Tensor({}, std::vector{0.01F}),
                              zeros, Tensor({}, std::vector{0.3F}), byte(7),
                              Tensor({6}, std::vector<std::int32_t>{1, -2, 300, 4, 5, 6})},
                             {{"pads", Ints{1, 1, 1, 1}}});
         const auto z =
             b.op("QLinearConv",
                  {y, Tensor({}, std::vector{0.3F}), byte(7), weights({4, 3, 2, 2}, 2),
                   Tensor({}, std::vector{0.02F}), zeros, Tensor({}, std::vector{0.9F}), byte(130)},
                  {{"group", std::int64_t{2}}, {"strides", Ints{2, 1}}});
         return value(b.op("DequantizeLinear", {z, Tensor({}, std::vector{0.9F}), byte(130)}));
       },
       6, 2},
      {"channels put together, shifted and bounded as convolutions of one tap and of nine read them, padding "
       "after it",
       [](GraphBuilder& b, NodeInput x) {
         const auto stem = value(conv(b, x, 3, 6, 3, 1));
         const auto more = value(conv(b, stem, 6, 5, 3, 3));
         const auto shifted = [&](const NodeInput& y, std::int64_t channels) {
           return b.op("Relu", {b.op("Sub", {y, random_tensor({channels, 1, 1}, 5)})});
         };
         const auto two = b.op("Concat", {stem, more}, {{"axis", std::int64_t{1}}});
         const auto third = conv(b, shifted(two, 11), 11, 7, 1, 7);
         const auto three = b.op("Concat", {two, third}, {{"axis", std::int64_t{-3}}});
         return b.op("Relu", {conv(b, shifted(three, 18), 18, 20, 3, 9)});
       },
       7, 2},
      {"parts of parts before a stride, in groups, with a sum behind",
       [](GraphBuilder& b, NodeInput x) {
         const auto join = [&](const std::vector<NodeInput>& parts) {
           return b.op("Concat", parts, {{"axis", std::int64_t{1}}});
         };
         const auto a = value(conv(b, x, 3, 17, 3, 1));
         const auto c = value(conv(b, x, 3, 19, 1, 3));
         const auto e = value(conv(b, x, 3, 48, 5, 5, {{"strides", Ints{2, 2}}, {"pads", Ints{2, 2, 2, 2}}}));
         const auto parts = join({b.op("Relu", {a}), join({c, a}), c});
         const Attributes halved = {{"strides", Ints{2, 2}}, {"group", std::int64_t{2}}};
         return b.op("Add", {conv(b, parts, 36, 48, 1, 7, halved), e});
       },
       7, 2},
      {"parts with one bound for all, which are one reader's first input and what another adds",
       [](GraphBuilder& b, NodeInput x) {
         const auto parts = {conv(b, x, 3, 4, 3, 1), conv(b, x, 3, 4, 1, 3)};
         const auto joined = b.op("Concat", parts, {{"axis", std::int64_t{1}}});
         const auto added = b.op("Elu", {joined});
         const auto y = conv(b, b.op("Relu", {joined}), 8, 8, 3, 5,
                             {{"dilations", Ints{2, 1}}, {"pads", Ints{2, 1, 2, 1}}});
         return b.op("Add", {added, y});
       },
       7, 2},
      {"what is read otherwise: twice, by groups of one channel, scaled, or behind another activation",
       [](GraphBuilder& b, NodeInput x) {
         const auto join = [&](const NodeInput& y, const NodeInput& z) {
           return b.op("Concat", {y, z}, {{"axis", std::int64_t{1}}});
         };
         const auto stem = value(conv(b, x, 3, 4, 3, 1));
         const auto twice = join(stem, conv(b, stem, 4, 4, 1, 3));
         const auto depth = conv(b, join(conv(b, twice, 8, 4, 1, 5), conv(b, twice, 8, 4, 1, 6)), 1, 8, 3, 7,
                                 {{"group", std::int64_t{8}}});
         const auto pooled = b.op("MaxPool", {depth}, {{"kernel_shape", Ints{2, 2}}});
         const auto scaled = b.op("Mul", {pooled, random_tensor({8, 1, 1}, 8)});
         return value(conv(b, b.op("LeakyRelu", {scaled}), 8, 5, 3, 9));
       },
       12, 2},
      {"channels shuffled in two groups, whatever the batch, and taken apart",
       [](GraphBuilder& b, NodeInput x) {
         const auto stem = value(conv(b, x, 3, 10, 3, 1));
         const auto batch = b.op("Slice", {b.op("Shape", {stem}), ints({0}), ints({1})});
         const auto as = [&](const NodeInput& y, const Ints& rest) {
           return b.op("Reshape", {y, b.op("Concat", {batch, ints(rest)}, {{"axis", std::int64_t{0}}})});
         };
         const auto turned = b.op("Transpose", {as(stem, {2, 5, 13, 11})}, {{"perm", Ints{0, 2, 1, 3, 4}}});
         const auto mixed = value(as(turned, {10, 13, 11}));
         const auto left = conv(b, b.op("Slice", {mixed, ints({0}), ints({5}), ints({1})}), 5, 4, 1, 3);
         const auto right =
             conv(b, b.op("Slice", {mixed, ints({-1}), ints({4}), ints({1}), ints({-1})}), 5, 4, 1, 5);
         return b.op("Add", {left, right});
       },
       8, 2},
      {"parts that are an output as well",
       [](GraphBuilder& b, NodeInput x) {
         const auto pool = b.op("GlobalAveragePool", {conv(b, x, 3, 4, 3, 1)});
         const auto joined = b.op("Concat", {pool, conv(b, pool, 4, 2, 1, 3)}, {{"axis", std::int64_t{1}}});
         b.output(joined);
         return value(conv(b, joined, 6, 4, 1, 5));
       },
       8, 3},
      {"channels shuffled in six groups and in two of them, and rows of a picture taken backwards",
       [](GraphBuilder& b, NodeInput x) {
         const auto stem = conv(b, x, 3, 12, 3, 1);
         const auto shuffled = [&](const NodeInput& y, std::int64_t rows) {
           const auto matrix = b.op("Reshape", {y, ints({0, rows, 12 / rows, 13, -1})});
           const auto turned = b.op("Transpose", {matrix}, {{"perm", Ints{0, 2, 1, 3, 4}}});
           return b.op("Reshape", {turned, ints({0, -1, 13, 11})});
         };
         const auto rows =
             b.op("Slice", {shuffled(shuffled(stem, 6), 3), ints({12}), ints({1}), ints({-2}), ints({-3})});
         return value(conv(b, rows, 12, 4, 3, 3));
       },
       7, 2},
      {"what looks like a shuffle but turns the picture over",
       [](GraphBuilder& b, NodeInput x) {
         const auto stem = conv(b, x, 3, 6, 3, 1);
         const auto matrix = b.op("Reshape", {stem, ints({0, 2, 3, 13, 11})});
         const auto turned = b.op("Transpose", {matrix}, {{"perm", Ints{0, 2, 1, 3, 4}}});
         return value(conv(b, b.op("Reshape", {turned, ints({0, 6, 11, 13})}), 6, 4, 1, 3));
       },
       9, 4},
      {"a network whose exporter keeps channels last and turns them over around each convolution",
       [](GraphBuilder& b, NodeInput x) {
         const auto turn = [&](const NodeInput& y, const Ints& perm) {
           return b.op("Transpose", {y}, {{"perm", perm}});
         };
         const Ints to_last{0, 2, 3, 1};
         const Ints to_first{0, 3, 1, 2};
         auto y = turn(x, to_last);
         y = turn(b.op("Relu", {conv(b, turn(y, to_first), 3, 8, 3, 1)}), to_last);
         const auto dense =
             b.op("Add", {b.op("MatMul", {y, random_tensor({8, 6}, 3)}), random_tensor({6}, 4)});
         return turn(conv(b, turn(dense, to_first), 6, 4, 3, 5), to_last);
       },
       4, 0},
      {"a value turned over twice, which is an output as well",
       [](GraphBuilder& b, NodeInput x) {
         const auto y = value(conv(b, x, 3, 4, 3, 1));
         const auto last = b.op("Transpose", {y}, {{"perm", Ints{0, 2, 3, 1}}});
         b.output(last);
         const auto again = b.op("Transpose", {y}, {{"perm", Ints{0, 2, 3, 1}}});
         return b.op("Relu", {b.op("Add", {last, again})});
       },
       6, 2},
      {"signals of one axis, turned over between convolutions",
       [](GraphBuilder& b, NodeInput x) {
         const auto signal = b.op("Reshape", {x, ints({0, 3, 143})});
         const auto one = [&](const NodeInput& y, std::int64_t in, std::int64_t out, std::uint32_t seed) {
           return b.op("Conv", {y, random_tensor({out, in, 5}, seed, -0.5, 0.5)});
         };
         const auto turned = b.op("Transpose", {one(signal, 3, 7, 1)}, {{"perm", Ints{0, 2, 1}}});
         return one(b.op("Elu", {turned}), 139, 4, 2);
       },
       7, 3},
      {"an operator that needs the model's layout in the middle",
       [](GraphBuilder& b, NodeInput x) {
         const auto a = conv(b, x, 3, 4, 1, 1);
         const auto turned = b.op("Transpose", {a}, {{"perm", Ints{0, 1, 3, 2}}});
         return value(conv(b, turned, 4, 4, 1, 2));
       },
       7, 4},
      {"a constant picture added to what lies with channels last",
       [](GraphBuilder& b, NodeInput x) {
         return b.op("Add", {conv(b, x, 3, 4, 1, 1), random_tensor({1, 13, 11}, 4)});
       },
       4, 2},
  };
  return all;
}

Graph graph_of_network(const Network& network, DType dtype = F32) {
  GraphBuilder b;
  b.output(network.body(b, b.input("x", dtype, {"N", 3, 13, 11})));
  return prepared(b.graph());
}

TEST(Layouts, RegionsAreConvertedAtTheirEndsAlone) {
  for (const Network& network : networks()) {
    const auto steps = steps_of(graph_of_network(network));
    EXPECT_EQ(steps.size(), network.steps) << network.name;
    EXPECT_EQ(conversions(steps), network.conversions) << network.name;
  }
}

TEST(Layouts, NumbersAreThoseOfThePlainOperators) {
  for (const Network& network : networks()) {
    GraphBuilder b;
    b.output(network.body(b, b.input("x", F32, {"N", 3, 13, 11})));
    const Model model = b.model();
    for (const std::int64_t images : {1, 3}) {
      const std::vector<NamedTensor> inputs = {{"x", random_tensor({images, 3, 13, 11}, 77)}};
      const auto plain = Session(model, {.kernels = Kernels::blas}).run(inputs);
      const auto fast = Session(model, {.kernels = Kernels::packed}).run(inputs);
      SCOPED_TRACE(network.name);
      expect_close(fast[0].tensor, plain[0].tensor, 1e-5, 1e-5);
    }
  }
}

TEST(Layouts, BitsDependNeitherOnTheBatchNorOnTheThreads) {
  for (const Network& network : networks()) {
    GraphBuilder b;
    b.output(network.body(b, b.input("x", F32, {"N", 3, 13, 11})));
    const Model model = b.model();
    const Session one(model, {.threads = 1});
    const Session three(model, {.threads = 3});
    const Tensor X = random_tensor({4, 3, 13, 11}, 5);
    const Tensor all = one.run({{"x", X}})[0].tensor;
    const Tensor shared = three.run({{"x", X}})[0].tensor;
    ASSERT_EQ(all.bytes(), shared.bytes());
    EXPECT_EQ(std::memcmp(all.data<float>(), shared.data<float>(), all.bytes()), 0) << network.name;
    const std::int64_t image = 3 * 13 * 11;
    const std::size_t row = all.bytes() / 4;
    for (std::int64_t n = 0; n < 4; ++n) {
      const Tensor alone(Shape{1, 3, 13, 11},
                         std::vector<float>(X.data<float>() + n * image, X.data<float>() + (n + 1) * image));
      for (const Session* session : {&one, &three}) {
        const Tensor y = session->run({{"x", alone}})[0].tensor;
        EXPECT_EQ(
            std::memcmp(y.data<float>(), all.data<float>() + static_cast<std::size_t>(n) * row / 4, row), 0)
            << network.name << ", image " << n;
      }
    }
  }
}

TEST(Layouts, WeightsThatWereReadInAnotherLayoutAreNotKept) {
  const Program program = compile(graph_of_network(networks()[1]));
  for (const Tensor& constant : program.constants) EXPECT_FALSE(constant.defined());
}

/// Built packed and with BLAS, which knows no layouts; both give the same.
void expect_same_as_blas(const Model& model, const Tensor& x) {
  const std::vector<NamedTensor> inputs = {{"x", x}};
  const auto packed = Session(model, {.kernels = Kernels::packed}).run(inputs);
  const auto blas = Session(model, {.kernels = Kernels::blas}).run(inputs);
  expect_close(packed[0].tensor, blas[0].tensor, 1e-5, 1e-5);
}

TEST(Layouts, PoolThatListsNoIndicesIsAPoolOfOneOutput) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 3, 13, 11});
  const auto y = b.node("MaxPool", {conv(b, x, 3, 8, 3, 1)}, {{"kernel_shape", Ints{2, 2}}}, {"y", ""});
  b.output(y[0]);
  expect_same_as_blas(b.model(), random_tensor({2, 3, 13, 11}, 4));
}

TEST(Layouts, TransposedConvolutionsToFewChannelsEqualThePlainOperator) {
  const struct {
    Shape X;
    Shape W;
    Attributes attributes;
  } cases[] = {
      {{2, 40, 9}, {40, 2, 5}, {{"strides", Ints{2}}, {"pads", Ints{1, 2}}}},
      {{2, 40, 9}, {40, 1, 3}, {{"strides", Ints{3}}, {"output_shape", Ints{31}}}},
      {{1, 30, 3, 4, 5}, {30, 1, 2, 3, 4}, {{"strides", Ints{1, 2, 3}}, {"pads", Ints{0, 1, 2, 1, 0, 3}}}},
      {{1, 64, 40, 33}, {64, 3, 4, 4}, {{"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_LOWER")}}},
      {{3, 64, 1, 1}, {64, 20, 7, 7}, {}},
      {{1, 32, 2, 2}, {32, 2, 9, 9}, {{"pads", Ints{4, 4, 4, 3}}}},
      {{0, 32, 4, 4}, {32, 1, 4, 4}, {}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(to_string(c.X) + " " + to_string(c.W));
    GraphBuilder b;
    Dims dims(c.X.begin(), c.X.end());
    dims.front() = Dim::symbol("N");
    const auto x = b.input("x", ValueType{F32, dims});
    b.output(b.op("ConvTranspose", {x, random_tensor(c.W, 1, -0.5, 0.5), random_tensor({c.W[1]}, 2)},
                  c.attributes));
    expect_same_as_blas(b.model(), random_tensor(c.X, 3));
  }
}

TEST(Layouts, NoChannelsAreShuffledInNoGroups) {
  GraphBuilder b(14);
  const auto x = b.input("x", F32, {2, 0, 3});
  const Attributes literally = {{"allowzero", std::int64_t{1}}};
  const auto matrix = b.op("Reshape", {x, ints({2, 0, 5, 3})}, literally);
  const auto turned = b.op("Transpose", {matrix}, {{"perm", Ints{0, 2, 1, 3}}});
  b.output(b.op("Reshape", {turned, ints({2, 0, 3})}, literally));
  const auto y = Session(b.model()).run({{"x", Tensor(F32, {2, 0, 3})}});
  EXPECT_EQ(y[0].tensor.shape(), (Shape{2, 0, 3}));
}

TEST(Layouts, TransposeOfAnotherRankIsRefusedWhereverItStands) {
  GraphBuilder b;
  const auto x = b.input("x", ValueType{F32, std::nullopt});
  b.output(b.op("Transpose", {x}, {{"perm", Ints{0, 3, 1, 2}}}));
  const Session session(b.model());
  EXPECT_EQ(session.run({{"x", random_tensor({2, 3, 4, 5}, 1)}})[0].tensor.shape(), (Shape{2, 5, 3, 4}));
  EXPECT_THROW(session.run({{"x", random_tensor({2, 3, 4}, 1)}}), Error);
}

TEST(Layouts, MorePartsThanAConvolutionReadsStayPutTogether) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 3, 5, 5});
  const std::vector<NodeInput> parts(130, conv(b, x, 3, 1, 1, 1));
  b.output(value(conv(b, b.op("Concat", parts, {{"axis", std::int64_t{1}}}), 130, 4, 3, 3)));
  expect_same_as_blas(b.model(), random_tensor({2, 3, 5, 5}, 4));
}

TEST(Layouts, ImageWithoutColumnsHasNoneLater) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 64, "H", "W"});
  b.output(b.op("Conv", {x, random_tensor({4, 64, 1, 1}, 1)},
                {{"strides", Ints{1, 8}}, {"auto_pad", std::string("SAME_UPPER")}}));
  expect_same_as_blas(b.model(), Tensor(F32, {1, 64, 5, 0}));
}

TEST(Layouts, PaddingAndDilationsOfAnySizeTakeNoMemoryOfTheirSize) {
  for (const auto& [shape, attributes] :
       {std::pair(Shape{1, 4, 3, 9},
                  Attributes{{"dilations", Ints{1 << 26, 1}}, {"pads", Ints{1 << 26, 1, 1 << 26, 1}}}),
        std::pair(Shape{1, 4, 3, 5},
                  Attributes{{"strides", Ints{1, 1 << 27}}, {"pads", Ints{1, 1 << 30, 1, 1 << 30}}})}) {
    GraphBuilder b;
    const auto x = b.input("x", F32, {"N", 4, "H", "W"});
    b.output(value(conv(b, x, 4, 4, 3, 1, attributes)));
    expect_same_as_blas(b.model(), random_tensor(shape, 4));
  }
}

TEST(Layouts, ConstantImageIsReadAsItLies) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 4, 3, 3});
  const auto image = conv(b, random_tensor({1, 3, 3, 3}, 7), 3, 4, 3, 1);
  b.output(b.op("Add", {x, image}));
  Graph graph = b.graph();
  infer_types(graph);  // and computes nothing ahead
  const auto steps = steps_of(graph);
  for (const std::string& step : steps) EXPECT_EQ(step.find("conversion"), std::string::npos) << step;
}

}  // namespace
}  // namespace bnrun::testing
