// Quantised products and convolutions of random forms against sums written straight from the definitions: alone, and
// in a session, which packs constant weights ahead and has several threads.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "bnrun/session.h"
#include "support/graph_building.h"
#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  bool coin() { return between(0, 1) == 1; }
  /// All numbers of the type.
  Tensor bytes(DType dtype, const Shape& shape) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < shape.elements(); ++i)
      values.push_back(static_cast<double>(dtype == DType::int8 ? between(-128, 127) : between(0, 255)));
    return tensor_of(dtype, shape, values);
  }
  DType type() { return coin() ? DType::int8 : DType::uint8; }

 private:
  std::mt19937 engine_;
};

std::int64_t at(const Tensor& tensor, std::int64_t i) {
  const std::int64_t index = tensor.shape().elements() == 1 ? 0 : i;
  return tensor.dtype() == DType::int8 ? tensor.data<std::int8_t>()[index]
                                       : tensor.data<std::uint8_t>()[index];
}

/// What follows the sums in the QLinear operators.
struct Steps {
  Tensor x_scale, w_scale, y_scale, y_zero, B;

  Steps(Draw& draw, std::int64_t M, bool biased) {
    std::vector<float> scales;
    const std::int64_t steps = draw.coin() ? 1 : M;
    for (std::int64_t m = 0; m < steps; ++m)
      scales.push_back(static_cast<float>(draw.between(1, 90)) * 1e-3F);
    const auto count = static_cast<std::int64_t>(scales.size());
    w_scale = Tensor(count == 1 ? Shape{} : Shape{count}, scales);
    x_scale = tensor_of(DType::float32, {}, {0.013});
    y_scale = tensor_of(DType::float32, {}, {static_cast<double>(draw.between(1, 30))});
    const DType type = draw.type();
    y_zero = draw.bytes(type, {});
    if (!biased) return;
    std::vector<std::int32_t> bias;
    for (std::int64_t m = 0; m < M; ++m) bias.push_back(static_cast<std::int32_t>(draw.between(-9000, 9000)));
    B = Tensor({M}, bias);
  }

  Tensor of(const std::vector<std::int64_t>& sums, const Shape& shape, std::int64_t M,
            std::int64_t inner) const {
    std::vector<double> y;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const auto m = static_cast<std::int64_t>(i) / inner % M;
      const double scale = static_cast<double>(w_scale.data<float>()[w_scale.shape().rank() == 0 ? 0 : m]);
      const double factor = static_cast<double>(x_scale.data<float>()[0]) * scale /
                            static_cast<double>(y_scale.data<float>()[0]);
      const std::int64_t sum = sums[i] + (B.defined() ? B.data<std::int32_t>()[m] : 0);
      const bool is_signed = y_zero.dtype() == DType::int8;
      y.push_back(
          std::clamp(std::nearbyint(static_cast<double>(sum) * factor) + static_cast<double>(at(y_zero, 0)),
                     is_signed ? -128.0 : 0.0, is_signed ? 127.0 : 255.0));
    }
    return tensor_of(y_zero.dtype(), shape, y);
  }
};

Tensor as_int32(const std::vector<std::int64_t>& sums, const Shape& shape) {
  std::vector<std::int32_t> values;
  for (const std::int64_t sum : sums) values.push_back(static_cast<std::int32_t>(sum));
  return Tensor(shape, values);
}

/// Input 0 is given, all others are constant.
Tensor run_in_session(const std::string& op_type, const std::vector<Tensor>& inputs,
                      const Attributes& attributes) {
  GraphBuilder b;
  std::vector<NodeInput> all;
  all.emplace_back(b.input("x", ValueType::of(inputs[0].view())));
  for (std::size_t i = 1; i < inputs.size(); ++i)
    all.emplace_back(inputs[i].defined() ? b.constant(inputs[i]) : ValueId{});
  b.output(b.op(op_type, all, attributes));
  return Session(b.model(), {.threads = 3}).run({{"x", inputs[0]}})[0].tensor;
}

void expect_all(const std::string& op_type, const std::vector<Tensor>& inputs, const Attributes& attributes,
                const Tensor& expected) {
  expect_close(run_op(op_type, 10, inputs, attributes)[0], expected);
  expect_close(run_in_session(op_type, inputs, attributes), expected);
}

TEST(ByteProducts, EqualTheirDefinition) {
  for (std::uint32_t seed = 0; seed < 120; ++seed) {
    SCOPED_TRACE(seed);
    Draw draw(seed);
    const Shape A_shape = draw.coin() ? Shape{draw.between(1, 40), draw.between(1, 50)}
                                      : Shape{draw.between(1, 3), draw.between(1, 9), draw.between(1, 50)};
    const std::int64_t K = A_shape[A_shape.rank() - 1];
    const std::int64_t N = draw.between(1, 40);
    const DType a_type = draw.type();
    const DType b_type = draw.type();
    const Tensor A = draw.bytes(a_type, A_shape);
    const Tensor B = draw.bytes(b_type, {K, N});
    const Tensor a_zero = draw.bytes(a_type, {});
    const Tensor b_zero = draw.bytes(b_type, draw.coin() ? Shape{} : Shape{N});
    const std::int64_t rows = A_shape.elements() / K;
    std::vector<std::int64_t> sums;
    for (std::int64_t i = 0; i < rows * N; ++i) {
      std::int64_t sum = 0;
      for (std::int64_t k = 0; k < K; ++k)
        sum += (at(A, i / N * K + k) - at(a_zero, 0)) * (at(B, k * N + i % N) - at(b_zero, i % N));
      sums.push_back(sum);
    }
    Shape Y = A_shape;
    Y[Y.rank() - 1] = N;
    expect_all("MatMulInteger", {A, B, a_zero, b_zero}, {}, as_int32(sums, Y));
    const Steps steps(draw, N, false);
    expect_all("QLinearMatMul",
               {A, steps.x_scale, a_zero, B, steps.w_scale, b_zero, steps.y_scale, steps.y_zero}, {},
               steps.of(sums, Y, N, 1));
  }
}

TEST(ByteConvolutions, EqualTheirDefinition) {
  for (std::uint32_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    Draw draw(seed);
    const bool depthwise = draw.between(0, 3) == 0;
    const std::int64_t group = depthwise ? draw.between(1, 40) : draw.between(1, 3);
    const std::int64_t in = depthwise ? 1 : draw.between(1, 9);
    const std::int64_t out = depthwise ? 1 : draw.between(1, 20);
    const std::int64_t M = group * out;
    struct Axis {
      std::int64_t input, kernel, stride, dilation, begin, end;
      std::int64_t output() const { return (input + begin + end - dilation * (kernel - 1) - 1) / stride + 1; }
    };
    const auto axis = [&] {
      Axis a{};
      a.kernel = draw.between(1, 4);
      a.dilation = draw.between(1, 2);
      a.stride = draw.between(1, 2);
      a.begin = draw.between(0, 2);
      a.end = draw.between(0, 2);
      a.input = draw.between(a.dilation * (a.kernel - 1) + 1, 14);
      return a;
    };
    const Axis h = axis();
    const Axis w = axis();
    const std::int64_t images = draw.between(1, 2);
    const DType x_type = draw.type();
    const DType w_type = draw.type();
    const Tensor X = draw.bytes(x_type, {images, group * in, h.input, w.input});
    const Tensor W = draw.bytes(w_type, {M, in, h.kernel, w.kernel});
    const Tensor x_zero = draw.bytes(x_type, {});
    const Tensor w_zero = draw.bytes(w_type, draw.coin() ? Shape{} : Shape{M});
    const Shape Y{images, M, h.output(), w.output()};
    std::vector<std::int64_t> sums;
    for (std::int64_t i = 0; i < Y.elements(); ++i) {
      const std::int64_t ow = i % Y[3];
      const std::int64_t oh = i / Y[3] % Y[2];
      const std::int64_t m = i / Y[3] / Y[2] % M;
      const std::int64_t n = i / Y[3] / Y[2] / M;
      std::int64_t sum = 0;
      for (std::int64_t c = 0; c < in; ++c) {
        for (std::int64_t kh = 0; kh < h.kernel; ++kh) {
          for (std::int64_t kw = 0; kw < w.kernel; ++kw) {
            const std::int64_t ih = oh * h.stride - h.begin + kh * h.dilation;
            const std::int64_t iw = ow * w.stride - w.begin + kw * w.dilation;
            if (ih < 0 || ih >= h.input || iw < 0 || iw >= w.input) continue;
            const std::int64_t channel = n * group * in + m / out * in + c;
            sum += (at(X, (channel * h.input + ih) * w.input + iw) - at(x_zero, 0)) *
                   (at(W, ((m * in + c) * h.kernel + kh) * w.kernel + kw) - at(w_zero, m));
          }
        }
      }
      sums.push_back(sum);
    }
    const Attributes attributes = {{"group", group},
                                   {"strides", Ints{h.stride, w.stride}},
                                   {"dilations", Ints{h.dilation, w.dilation}},
                                   {"pads", Ints{h.begin, w.begin, h.end, w.end}}};
    expect_all("ConvInteger", {X, W, x_zero, w_zero}, attributes, as_int32(sums, Y));
    const Steps steps(draw, M, draw.coin());
    std::vector<Tensor> inputs{X,      steps.x_scale, x_zero,      W, steps.w_scale,
                               w_zero, steps.y_scale, steps.y_zero};
    if (steps.B.defined()) inputs.push_back(steps.B);
    expect_all("QLinearConv", inputs, attributes, steps.of(sums, Y, M, Y[2] * Y[3]));
  }
}

}  // namespace
}  // namespace bnrun::testing
