// Layers between DequantizeLinear and QuantizeLinear: which of them are computed on bytes, and what comes out, beside the
// same model in double and beside the operators that are defined on bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/elements.h"
#include "bnrun/session.h"
#include "passes/prepare.h"
#include "passes/widen.h"
#include "support/graph_building.h"
#include "verify/interpret.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;
using KernelNames = std::vector<std::string>;

enum class Form { dense, transposed, words, image, strided, grouped, depthwise, line };
enum class Bias { none, floats, steps, other_steps, steps_of_channels };
enum class Bend { none, relu, clip, leaky, swish };

/// One layer behind x, and what surrounds it.
struct Layer {
  Form form = Form::dense;
  DType x = DType::uint8;
  DType w = DType::int8;
  bool per_channel = false;
  bool w_zeros = false;
  Bias bias = Bias::none;
  Bend bend = Bend::none;
  DType y = DType::undefined;  ///< undefined: floats

  bool is_dense() const { return form <= Form::words; }
  std::int64_t channels() const { return form == Form::depthwise ? 12 : form == Form::line ? 5 : 18; }
};

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  Tensor bytes(DType dtype, const Shape& shape) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < shape.elements(); ++i)
      values.push_back(static_cast<double>(dtype == DType::int8 ? between(-128, 127) : between(0, 255)));
    return tensor_of(dtype, shape, values);
  }
  float scale() { return static_cast<float>(between(20, 90)) * 1e-3F; }

 private:
  std::mt19937 engine_;
};

Layer random_layer(std::uint32_t seed) {
  Draw draw(seed);
  const auto byte = [&] { return draw.between(0, 1) == 0 ? DType::int8 : DType::uint8; };
  Layer layer;
  layer.form = static_cast<Form>(draw.between(0, 7));
  layer.x = byte();
  layer.w = byte();
  layer.per_channel = draw.between(0, 1) == 1;
  layer.w_zeros = draw.between(0, 1) == 1;
  layer.bias = static_cast<Bias>(draw.between(0, 4));
  layer.bend = static_cast<Bend>(draw.between(0, 4));
  if (draw.between(0, 2) != 0) layer.y = byte();
  return layer;
}

Shape x_shape(const Layer& layer, std::int64_t rows) {
  switch (layer.form) {
    case Form::dense:
    case Form::transposed:
      return {rows, 37};
    case Form::words:
      return {rows, 5, 37};
    case Form::line:
      return {rows, 7, 11};
    case Form::depthwise:
      return {rows, 12, 9, 8};
    default:
      return {rows, 6, 9, 8};
  }
}

/// Constants of one layer, the same for every model that is made of it.
struct Constants {
  Tensor W, w_scale, w_zero, x_scale, x_zero, bias, bias_scale, y_scale, y_zero;
  Attributes attributes;

  Constants(const Layer& layer, std::uint32_t seed) {
    Draw draw(seed);
    const std::int64_t M = layer.channels();
    switch (layer.form) {
      case Form::dense:
      case Form::words:
        W = draw.bytes(layer.w, {37, M});
        break;
      case Form::transposed:
        W = draw.bytes(layer.w, {M, 37});
        attributes = {{"transB", std::int64_t{1}}};
        break;
      case Form::image:
        W = draw.bytes(layer.w, {M, 6, 3, 3});
        attributes = {{"pads", Ints{1, 1, 1, 1}}};
        break;
      case Form::strided:
        W = draw.bytes(layer.w, {M, 6, 2, 3});
        attributes = {{"strides", Ints{2, 1}}, {"dilations", Ints{1, 2}}, {"pads", Ints{0, 2, 1, 1}}};
        break;
      case Form::grouped:
        W = draw.bytes(layer.w, {M, 2, 1, 1});
        attributes = {{"group", std::int64_t{3}}};
        break;
      case Form::depthwise:
        W = draw.bytes(layer.w, {M, 1, 3, 3});
        attributes = {{"group", M}, {"pads", Ints{1, 1, 1, 1}}};
        break;
      case Form::line:
        W = draw.bytes(layer.w, {M, 7, 1});
        break;
    }
    const Shape count = layer.per_channel ? Shape{M} : Shape{};
    std::vector<float> scales;
    for (std::int64_t i = 0; i < count.elements(); ++i) scales.push_back(draw.scale());
    w_scale = Tensor(count, scales);
    w_zero = layer.w_zeros ? draw.bytes(layer.w, count) : Tensor(layer.w, count);
    x_scale = Tensor({}, std::vector<float>{draw.scale()});
    x_zero = draw.bytes(layer.x, {});
    if (layer.bias == Bias::floats) bias = random_tensor({M}, seed, -40.0, 40.0);
    if (layer.bias != Bias::none && layer.bias != Bias::floats) {
      std::vector<std::int32_t> steps;
      for (std::int64_t m = 0; m < M; ++m)
        steps.push_back(static_cast<std::int32_t>(draw.between(-9000, 9000)));
      bias = Tensor({M}, steps);
      const bool many = layer.per_channel || layer.bias == Bias::steps_of_channels;
      std::vector<float> of_bias;
      for (std::int64_t m = 0; m < (many ? M : 1); ++m) {
        const float product = x_scale.data<float>()[0] * w_scale.data<float>()[layer.per_channel ? m : 0];
        of_bias.push_back(layer.bias == Bias::other_steps ? product * 0.75F : product);
      }
      bias_scale = Tensor(many ? Shape{M} : Shape{}, of_bias);
    }
    y_scale = Tensor({}, std::vector<float>{draw.scale() * 20.0F});
    if (layer.y != DType::undefined) y_zero = draw.bytes(layer.y, {});
  }
};

class Net {
 public:
  GraphBuilder b{21};
  ValueId x, layer_input, layer_output;

  /// What is behind the layer may be left out.
  Net(const Layer& layer, const Constants& c, bool whole = true, const DimSpec& rows = "N") {
    ValueType type = ValueType::of(layer.x, x_shape(layer, 1));
    type.dims->front() = rows;
    x = b.input("x", type);
    layer_input = b.op("DequantizeLinear", {x, c.x_scale, c.x_zero});
    const std::int64_t w_axis = layer.form == Form::dense || layer.form == Form::words ? 1 : 0;
    std::vector<NodeInput> inputs{layer_input,
                                  b.op("DequantizeLinear", {c.W, c.w_scale, c.w_zero}, {{"axis", w_axis}})};
    ValueId bias;
    if (c.bias.defined())
      bias = c.bias_scale.defined()
                 ? b.op("DequantizeLinear", {c.bias, c.bias_scale}, {{"axis", std::int64_t{0}}})
                 : b.constant(c.bias);
    if (layer.form == Form::words) {
      layer_output = b.op("MatMul", inputs);
      if (bias.valid()) layer_output = b.op("Add", {bias, layer_output});
    } else {
      if (bias.valid()) inputs.emplace_back(bias);
      layer_output = b.op(layer.is_dense() ? "Gemm" : "Conv", inputs, c.attributes);
    }
    ValueId y = layer_output;
    if (layer.bend == Bend::relu) y = b.op("Relu", {y});
    if (layer.bend == Bend::clip)
      y = b.op("Clip", {y, Tensor({}, std::vector<float>{-3.3F}), Tensor({}, std::vector<float>{40.1F})});
    if (layer.bend == Bend::leaky) y = b.op("LeakyRelu", {y}, {{"alpha", 0.25F}});
    if (layer.bend == Bend::swish) y = b.op("Mul", {y, b.op("Sigmoid", {y})});
    if (whole && c.y_zero.defined()) y = b.op("QuantizeLinear", {y, c.y_scale, c.y_zero});
    b.output(y);
  }
};

/// Of everything but conversions of layout, sorted.
KernelNames kernels_of(const Model& model, const SessionOptions& options, const std::vector<Tensor>& inputs) {
  const Session session(model, options);
  const std::vector<TensorView> views(inputs.begin(), inputs.end());
  KernelNames kernels;
  for (const StepProfile& step : session.profile(views, 1).steps) {
    if (step.kernel != "layout") kernels.emplace_back(step.kernel);
  }
  std::ranges::sort(kernels);
  return kernels;
}

Tensor run(const Model& model, const Tensor& x, const SessionOptions& options = {}) {
  return Session(model, options).run({{"x", x}})[0].tensor;
}

/// The layer without a quantisation behind it, in double and operator by operator.
std::vector<double> in_double(const Layer& layer, const Constants& c, const Tensor& x) {
  const Net net(layer, c, false);
  Graph graph = net.b.graph();
  infer_types(graph);
  const TensorView views[] = {x};
  return read_doubles(interpret(widened(graph), views)[0]);
}

/// A bias is held in steps of x_scale*w_scale but for the rounding of that to float: by how much it is off for that.
double rounding_of_bias(const Constants& c) {
  if (!c.bias_scale.defined()) return 0.0;
  double largest = 0.0;
  for (const double scale : read_doubles(c.bias_scale)) largest = std::max(largest, scale);
  return 0x1p-24 * 9000.0 * largest;
}

/// Of a float that is rounded once, and of its activation.
constexpr double kRoundings = 4.0 * 0x1p-24;

TEST(Bytes, AreMultipliedAsTheModelSaysInDouble) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const Layer layer = random_layer(seed);
    const Constants c(layer, seed);
    const Tensor x = Draw(seed + 1).bytes(layer.x, x_shape(layer, 3));
    const Net net(layer, c);
    const bool bound = layer.bend == Bend::none || layer.bend == Bend::relu || layer.bend == Bend::clip;
    KernelNames expected{layer.is_dense() ? "dense, bytes" : "convolution, bytes"};
    if (layer.y != DType::undefined && !bound) expected.emplace_back("operator");
    ASSERT_EQ(kernels_of(net.b.model(), {}, {x}), expected);

    const auto truth = in_double(layer, c, x);
    const Tensor y = run(net.b.model(), x);
    const auto numbers = read_doubles(y);
    ASSERT_EQ(numbers.size(), truth.size());
    // x * sigmoid(x) multiplies the rounding of x by as much as x is negative, and is small there.
    const double off = 1.01 * rounding_of_bias(c) + (layer.bend == Bend::swish ? 0x1p-24 : 0.0);
    if (layer.y == DType::undefined) {
      for (std::size_t i = 0; i < truth.size(); ++i)
        ASSERT_NEAR(numbers[i], truth[i], off + kRoundings * std::abs(truth[i]) + 0x1p-126) << i;
      continue;
    }
    const auto step = static_cast<double>(c.y_scale.data<float>()[0]);
    const double zero = read_doubles(c.y_zero)[0];
    const double low = layer.y == DType::int8 ? -128.0 : 0.0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      const double shown = std::clamp(truth[i] / step + zero, low, low + 255.0);
      ASSERT_NEAR(numbers[i], shown, 0.5 + (off + kRoundings * std::abs(truth[i])) / step) << i;
    }
  }
}

/// In bytes everything is exact up to one rounding, which is that of QLinearConv and QLinearMatMul.
TEST(Bytes, AreThoseOfTheOperatorsThatAreDefinedOnThem) {
  int compared = 0;
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Layer layer = random_layer(seed);
    layer.bend = Bend::none;
    if (layer.y == DType::undefined) layer.y = DType::int8;
    if (layer.is_dense() || layer.bias == Bias::floats || layer.bias == Bias::other_steps)
      layer.bias = Bias::none;
    if (layer.form == Form::transposed) layer.form = Form::dense;
    const Constants c(layer, seed);
    const Tensor x = Draw(seed + 1).bytes(layer.x, x_shape(layer, 2));
    GraphBuilder b;
    const Tensor all[] = {c.x_scale, c.x_zero, c.W, c.w_scale, c.w_zero, c.y_scale, c.y_zero};
    std::vector<NodeInput> inputs{b.input("x", ValueType::of(x.view()))};
    for (const Tensor& constant : all) inputs.emplace_back(b.constant(constant));
    if (c.bias.defined()) inputs.emplace_back(b.constant(c.bias));
    b.output(b.op(layer.is_dense() ? "QLinearMatMul" : "QLinearConv", inputs, c.attributes));
    const TensorView views[] = {x};
    const Tensor expected = interpret(prepared(b.graph()), views)[0];
    const KernelNames kernels{layer.is_dense() ? "dense, bytes" : "convolution, bytes"};
    ASSERT_EQ(kernels_of(b.model(), {}, {x}), kernels);
    ASSERT_EQ(std::memcmp(run(b.model(), x).view().bytes, expected.view().bytes, expected.bytes()), 0);
    const Net net(layer, c);
    const Tensor y = run(net.b.model(), x, {.threads = 3});
    ASSERT_EQ(y.bytes(), expected.bytes());
    ASSERT_EQ(std::memcmp(y.view().bytes, expected.view().bytes, y.bytes()), 0);
    ++compared;
  }
  EXPECT_EQ(compared, 200);
}

TEST(Bytes, HaveTheSameBitsInAnyBatchAndOnAnyThreads) {
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const Layer layer = random_layer(seed);
    const Constants c(layer, seed);
    const Net net(layer, c);
    const Tensor x = Draw(seed + 1).bytes(layer.x, x_shape(layer, 70));
    const Tensor all = run(net.b.model(), x, {.threads = 1});
    const Tensor shared = run(net.b.model(), x, {.threads = 3});
    ASSERT_EQ(std::memcmp(all.view().bytes, shared.view().bytes, all.bytes()), 0);
    const std::size_t row = x.bytes() / 70;
    const std::size_t result = all.bytes() / 70;
    for (const std::size_t i : {0U, 41U, 69U}) {
      Tensor alone(layer.x, x_shape(layer, 1));
      std::memcpy(alone.mutable_view().bytes, static_cast<const char*>(x.view().bytes) + i * row, row);
      const Tensor y = run(net.b.model(), alone, {.threads = 2});
      ASSERT_EQ(std::memcmp(y.view().bytes, static_cast<const char*>(all.view().bytes) + i * result, result),
                0)
          << "row " << i;
    }
  }
}

/// x twice, one of them through a step of its own, as a sum.
struct Sum {
  DType a, b, y;
  Bend bend;
};

TEST(Bytes, AreAddedAsTheModelSaysInDouble) {
  const Sum sums[] = {{DType::uint8, DType::uint8, DType::uint8, Bend::none},
                      {DType::uint8, DType::int8, DType::int8, Bend::relu},
                      {DType::int8, DType::int8, DType::uint8, Bend::clip},
                      {DType::int8, DType::uint8, DType::int8, Bend::none}};
  for (const Sum& sum : sums) {
    Draw draw(3);
    const Shape shape{5, 7, 6, 3};
    const auto scalar = [](float number) { return Tensor({}, std::vector<float>{number}); };
    const Tensor zeros[] = {draw.bytes(sum.a, {}), draw.bytes(sum.b, {}), draw.bytes(sum.y, {})};
    const Tensor a = draw.bytes(sum.a, shape);
    const Tensor b = draw.bytes(sum.b, shape);
    GraphBuilder builder;
    ValueType type = ValueType::of(a.view());
    type.dims->front() = Dim::symbol("N");
    const auto floats = [&](const char* name, const Tensor& bytes, float scale, const Tensor& zero) {
      return builder.op("DequantizeLinear",
                        {builder.input(name, {bytes.dtype(), type.dims}), scalar(scale), zero});
    };
    ValueId y = builder.op("Add", {floats("a", a, 0.031F, zeros[0]), floats("b", b, 0.017F, zeros[1])});
    if (sum.bend == Bend::relu) y = builder.op("Relu", {y});
    if (sum.bend == Bend::clip) y = builder.op("Clip", {y, scalar(-1.5F), scalar(2.0F)});
    builder.output(builder.op("QuantizeLinear", {y, scalar(0.04F), zeros[2]}));

    const Session session(builder.model(), {.threads = 3});
    const TensorView views[] = {a, b};
    const auto steps = session.profile(views, 1).steps;
    ASSERT_EQ(steps.size(), 1U);
    EXPECT_EQ(steps[0].kernel, "sum, bytes");
    const auto numbers = read_doubles(session.run({{"a", a}, {"b", b}})[0].tensor);
    const double low = sum.y == DType::int8 ? -128.0 : 0.0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto of = [&](const Tensor& bytes, const Tensor& zero, float scale) {
        return (read_doubles(bytes)[i] - read_doubles(zero)[0]) * static_cast<double>(scale);
      };
      double number = of(a, zeros[0], 0.031F) + of(b, zeros[1], 0.017F);
      if (sum.bend == Bend::relu) number = std::max(number, 0.0);
      if (sum.bend == Bend::clip) number = std::clamp(number, -1.5, 2.0);
      const double shown = number / static_cast<double>(0.04F) + read_doubles(zeros[2])[0];
      ASSERT_NEAR(numbers[i], std::clamp(shown, low, low + 255.0), 0.5 + 1e-5) << i;
    }
  }
}

/// Two convolutions and the sum of their result with what they read.
Model residual_block() {
  GraphBuilder b;
  const auto scalar = [](float number) { return Tensor({}, std::vector<float>{number}); };
  const Tensor zero({}, std::vector<std::uint8_t>{128});
  const auto rounded = [&](const NodeInput& x, float step) {
    return b.op("DequantizeLinear", {b.op("QuantizeLinear", {x, scalar(step), zero}), scalar(step), zero});
  };
  const auto conv = [&](const NodeInput& x, std::uint32_t seed) {
    const ValueId w =
        b.op("DequantizeLinear",
             {Draw(seed).bytes(DType::int8, {8, 8, 3, 3}), random_tensor({8}, seed, 1e-4, 2e-3)},
             {{"axis", std::int64_t{0}}});
    return b.op("Conv", {x, w, random_tensor({8}, seed + 1)}, {{"pads", Ints{1, 1, 1, 1}}});
  };
  const ValueId x = rounded(b.input("x", DType::float32, {"N", 8, 11, 9}), 0.02F);
  const ValueId first = rounded(b.op("Relu", {conv(x, 1)}), 0.03F);
  const ValueId second = rounded(conv(first, 2), 0.04F);
  b.output(rounded(b.op("Relu", {b.op("Add", {second, x})}), 0.05F));
  return b.model();
}

TEST(Bytes, GoThroughAResidualBlockInOneLayout) {
  const Tensor X = random_tensor({6, 8, 11, 9}, 4, -2.0, 2.0);
  const Session one(residual_block(), {.threads = 1});
  const TensorView views[] = {X};
  KernelNames kernels;
  for (const StepProfile& step : one.profile(views, 1).steps) kernels.emplace_back(step.kernel);
  const KernelNames expected{"operator", "layout", "convolution, bytes", "convolution, bytes", "sum, bytes",
                             "operator", "layout"};
  std::ranges::sort(kernels);
  KernelNames sorted = expected;
  std::ranges::sort(sorted);
  EXPECT_EQ(kernels, sorted);
  const Tensor all = one.run({{"x", X}})[0].tensor;
  const Tensor floats = run(residual_block(), X, {.kernels = Kernels::packed});
  for (const std::string& kernel : kernels_of(residual_block(), {.kernels = Kernels::packed}, {X}))
    EXPECT_EQ(kernel.find("bytes"), std::string::npos) << kernel;
  expect_close(all, floats, 0.0, 0.0501);  // a byte that is another, at most
  const Tensor shared = run(residual_block(), X, {.threads = 3});
  EXPECT_EQ(std::memcmp(all.view().bytes, shared.view().bytes, all.bytes()), 0);
  const std::int64_t image = 8 * 11 * 9;
  for (std::int64_t n = 0; n < 6; ++n) {
    const Tensor alone(Shape{1, 8, 11, 9},
                       std::vector<float>(X.data<float>() + n * image, X.data<float>() + (n + 1) * image));
    const Tensor y = run(residual_block(), alone, {.threads = 2});
    EXPECT_EQ(std::memcmp(y.data<float>(), all.data<float>() + n * image, y.bytes()), 0) << n;
  }
}

/// A model that cannot be computed on bytes, or not on them alone, and the kernels that do it.
struct Left {
  const char* name;
  std::function<void(Net&, const Constants&)> change;
  KernelNames kernels;
  Layer layer{};
  SessionOptions options{};
};

class BytesLeft : public ::testing::TestWithParam<Left> {};

/// Bytes may differ by a step: a float between two of them is rounded to either, by the order of its sum.
void expect_like(const TensorView& actual, const TensorView& expected) {
  if (is_floating(expected.dtype)) return expect_close(actual, expected, 1e-5, 1e-3);
  ASSERT_EQ(name_of(actual.dtype), name_of(expected.dtype));
  expect_close(convert(actual, DType::float64), convert(expected, DType::float64), 0.0, 1.0);
}

TEST_P(BytesLeft, GivesWhatItsOperatorsGive) {
  const Left& left = GetParam();
  const Constants c(left.layer, 5);
  Net net(left.layer, c);
  left.change(net, c);
  const Tensor x = Draw(7).bytes(left.layer.x, x_shape(left.layer, 4));
  KernelNames expected = left.kernels;
  std::ranges::sort(expected);
  EXPECT_EQ(kernels_of(net.b.model(), left.options, {x}), expected);
  const TensorView views[] = {x};
  const auto plain = interpret(prepared(net.b.graph()), views);
  const auto outputs = Session(net.b.model(), left.options).run({{"x", x}});
  for (std::size_t i = 0; i < plain.size(); ++i) expect_like(outputs[i].tensor, plain[i]);
}

/// Of uint8 with a zero point, as floats.
ValueId weights_with_zero_point(Net& net, const Shape& shape) {
  return net.b.op("DequantizeLinear",
                  {Draw(1).bytes(DType::uint8, shape), Tensor({}, std::vector<float>{0.1F}),
                   Tensor({}, std::vector<std::uint8_t>{100})});
}

/// Another layer behind the x of the net.
void add_gemm(Net& net, const NodeInput& w, Attributes attributes = {}) {
  net.b.output(net.b.op("Gemm", {net.layer_input, w}, std::move(attributes)));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BytesLeft,
    ::testing::Values(
        Left{"nothing", [](Net&, const Constants&) {}, {"dense, bytes"}},
        Left{"a choice of own kernels",
             [](Net&, const Constants&) {},
             {"operator", "dense, packed"},
             {},
             {.kernels = Kernels::packed}},
        Left{"a choice of BLAS",
             [](Net&, const Constants&) {},
             {"operator", "dense, BLAS"},
             {},
             {.kernels = Kernels::blas}},
        Left{
            "quick kernels", [](Net&, const Constants&) {}, {"dense, bytes"}, {}, {.kernels = Kernels::fast}},
        Left{"no fold", [](Net&, const Constants&) {}, {"dense, bytes"}, {}, {.fold = std::nullopt}},
        Left{"floats that others read",
             [](Net& net, const Constants&) { net.b.output(net.b.op("Tanh", {net.layer_input})); },
             {"operator", "operator", "dense, bytes"}},
        Left{"a result that others read",
             [](Net& net, const Constants&) { net.b.output(net.layer_output); },
             {"dense, bytes", "operator"},
             {.y = DType::uint8}},
        Left{"weights in floats",
             [](Net& net, const Constants&) {
               add_gemm(net, random_tensor({37, 3}, 1));
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"weights in blocks",
             [](Net& net, const Constants&) {
               add_gemm(net, net.b.op("DequantizeLinear",
                                      {Draw(1).bytes(DType::int8, {37, 3}), random_tensor({37, 1}, 2)},
                                      {{"axis", std::int64_t{1}}, {"block_size", std::int64_t{3}}}));
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"weights with a scale for each input",
             [](Net& net, const Constants&) {
               add_gemm(net, net.b.op("DequantizeLinear",
                                      {Draw(1).bytes(DType::int8, {37, 3}), random_tensor({37}, 2)},
                                      {{"axis", std::int64_t{0}}}));
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"weights of 16 bits",
             [](Net& net, const Constants&) {
               add_gemm(net, net.b.op("DequantizeLinear",
                                      {convert(Draw(1).bytes(DType::int8, {37, 3}), DType::int16),
                                       Tensor({}, std::vector<float>{0.1F})}));
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"a factor of the product",
             [](Net& net, const Constants&) {
               add_gemm(net,
                        net.b.op("DequantizeLinear",
                                 {Draw(1).bytes(DType::int8, {37, 3}), Tensor({}, std::vector<float>{0.1F})}),
                        {{"alpha", 0.5F}});
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"a factor of the bias",
             [](Net& net, const Constants&) {
               const auto integers = [&](const Tensor& q, float scale) {
                 return net.b.op("DequantizeLinear", {q, Tensor({}, std::vector<float>{scale})});
               };
               const ValueId w = integers(Draw(1).bytes(DType::int8, {37, 3}), 0.1F);
               const ValueId c = integers(Tensor({3}, std::vector<std::int32_t>{500, -900, 70}), 0.01F);
               net.b.output(net.b.op("Gemm", {net.layer_input, w, c}, {{"beta", 0.5F}}));
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"weights that are moved",
             [](Net& net, const Constants&) {
               const ValueId w =
                   net.b.op("DequantizeLinear", {Draw(1).bytes(DType::int8, {3, 37}), random_tensor({3}, 2)},
                            {{"axis", std::int64_t{0}}});
               net.b.output(net.b.op("MatMul", {net.layer_input, net.b.op("Transpose", {w})}));
             },
             {"dense, bytes", "dense, bytes"}},
        Left{"weights that are padded with what is no zero point",
             [](Net& net, const Constants&) {
               add_gemm(net, net.b.op("Pad", {weights_with_zero_point(net, {35, 3}), Tensor({4}, Ints{1, 0, 1, 0})}));
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"weights below a diagonal",
             [](Net& net, const Constants&) {
               add_gemm(net, net.b.op("Trilu", {weights_with_zero_point(net, {37, 3})}, {{"upper", std::int64_t{0}}}));
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"weights of which some become 0",
             [](Net& net, const Constants&) {
               add_gemm(net, net.b.op("Relu", {weights_with_zero_point(net, {37, 3})}));
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"weights that are an output",
             [](Net& net, const Constants&) {
               const ValueId w = net.b.op("DequantizeLinear", {Draw(1).bytes(DType::int8, {37, 3}),
                                                               Tensor({}, std::vector<float>{0.1F})});
               net.b.output(w);
               add_gemm(net, w);
             },
             {"operator", "dense, packed", "dense, bytes"}},
        Left{"weights of another layer",
             [](Net& net, const Constants&) {
               const ValueId w = net.b.op("DequantizeLinear", {Draw(1).bytes(DType::int8, {37, 37}),
                                                               Tensor({}, std::vector<float>{0.1F})});
               const ValueId first = net.b.op("Tanh", {net.b.op("Gemm", {net.layer_input, w})});
               net.b.output(net.b.op("Gemm", {first, w}));
             },
             {"operator", "dense, packed", "dense, packed", "dense, bytes"}},
        Left{"weights that two layers share",
             [](Net& net, const Constants&) {
               const ValueId w = net.b.op("DequantizeLinear", {Draw(1).bytes(DType::int8, {37, 37}),
                                                               Tensor({}, std::vector<float>{0.1F})});
               for (const char* bend : {"Tanh", "Relu"})
                 net.b.output(net.b.op(bend, {net.b.op("Gemm", {net.layer_input, w})}));
             },
             {"dense, bytes", "dense, bytes", "dense, bytes"}},
        Left{"a sum that stays floats",
             [](Net& net, const Constants&) {
               net.b.output(net.b.op("Add", {net.layer_input, net.layer_input}));
             },
             {"operator", "operator", "dense, bytes"}},
        Left{
            "a sum of rows",
            [](Net& net, const Constants& c) {
              const ValueId row = net.b.op(
                  "DequantizeLinear", {net.b.op("Slice", {net.x, Tensor({1}, Ints{0}), Tensor({1}, Ints{1}),
                                                          Tensor({1}, Ints{0})}),
                                       c.x_scale, c.x_zero});
              const ValueId sum = net.b.op("Add", {net.layer_input, row});
              net.b.output(net.b.op("QuantizeLinear", {sum, Tensor({}, std::vector<float>{0.5F}), c.x_zero}));
            },
            {"operator", "operator", "operator", "operator", "operator", "dense, bytes"}},
        Left{"a normalisation",
             [](Net& net, const Constants&) {
               const ValueId w = net.b.op("DequantizeLinear", {Draw(1).bytes(DType::int8, {37, 3}),
                                                               Tensor({}, std::vector<float>{0.1F})});
               const ValueId h = net.b.op("Gemm", {net.layer_input, w});
               net.b.output(
                   net.b.op("Relu", {net.b.op("BatchNormalization",
                                              {h, random_tensor({3}, 1), random_tensor({3}, 2),
                                               random_tensor({3}, 3), random_tensor({3}, 4, 0.5, 2.0)})}));
             },
             {"dense, bytes", "dense, bytes"},
             {},
             {.fold = std::nullopt}},
        Left{"an image whose floats are there",
             [](Net& net, const Constants&) { net.b.output(net.b.op("Relu", {net.layer_input})); },
             {"operator", "operator", "convolution, bytes"},
             {.form = Form::image, .y = DType::uint8}}),
    [](const auto& tested) {
      std::string name = tested.param.name;
      std::ranges::replace(name, ' ', '_');
      return name;
    });

}  // namespace
}  // namespace bnrun::testing
