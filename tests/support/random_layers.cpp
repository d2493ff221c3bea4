#include <algorithm>
#include <numeric>

#include "support/random_pieces.h"

namespace bnrun::testing {
namespace {

/// One or a divisor.
std::int64_t group_of(Sketch& net, std::int64_t channels) {
  Ints divisors;
  for (std::int64_t g = 1; g <= channels; ++g) {
    if (channels % g == 0) divisors.push_back(g);
  }
  return net.random.chance(0.5) ? 1 : net.random.pick(divisors);
}

/// The shapes that C may have; before opset 11 it has to be there.
std::vector<Shape> shapes_of_C(const Sketch& net, std::int64_t M, std::int64_t N) {
  std::vector<Shape> shapes{{N}, {N}, {N}};
  if (!net.old()) shapes.insert(shapes.end(), {{}, {1}, {1, N}, {1, 1}});
  if (!net.dynamic()) shapes.push_back({M, N});
  if (!net.dynamic() && !net.old()) shapes.push_back({M, 1});
  return shapes;
}

Flow gemm(Sketch& net, Flow x) {
  Random& random = net.random;
  const std::int64_t M = x.shape[0];
  const std::int64_t K = x.channels();
  const std::int64_t N = random.integer(1, kMaxChannels);
  Attributes attributes;
  if (random.chance(0.3)) attributes["alpha"] = random.pick<float>({0.5F, -2.0F, 1.5F, 0.0F});
  if (random.chance(0.3)) attributes["beta"] = random.pick<float>({0.5F, -2.0F, 1.5F, 0.0F});
  if (net.old()) attributes["broadcast"] = 1;
  if (random.chance(0.04) && !net.old()) {  // the data as the right-hand operand
    const Flow y = net.op("Gemm", {net.weights({N, K}), x.id, net.uniform({1}, -1, 1)}, {{"transB", 1}});
    return net.op("Transpose", y);
  }
  const bool trans_b = random.chance(0.5);
  const Shape W_shape = trans_b ? Shape{N, K} : Shape{K, N};
  if (trans_b) attributes["transB"] = 1;
  ValueId W;
  if (random.chance(0.05)) {  // weights that a product of constants gives
    Attributes product{{"transA", 1}};
    if (net.old()) product["broadcast"] = 1;
    W = net.op("Gemm",
               {net.parameter(net.uniform({2, W_shape[0]}, -1, 1)), net.uniform({2, W_shape[1]}, -1, 1),
                Tensor(net.dtype(), {1})},
               product)
            .id;
  } else {
    W = net.weights(W_shape);
  }
  if (random.chance(0.06)) {
    x = net.op("Transpose", x);
    attributes["transA"] = 1;
  }
  std::vector<NodeInput> inputs{x.id, W};
  if (net.opset() < 11 || random.chance(0.8))
    inputs.emplace_back(net.parameter(net.offset(random.pick(shapes_of_C(net, M, N)))));
  return net.op("Gemm", inputs, attributes);
}

Flow matmul(Sketch& net, const Flow& x) {
  const std::int64_t N = net.random.integer(1, kMaxChannels);
  if (x.rank() == 3 && net.random.chance(0.1))
    return net.op("MatMul", {net.weights({N, x.channels()}), x.id});
  const Flow y = net.op("MatMul", {x.id, net.weights({x.shape.back(), N})});
  if (net.random.chance(0.4)) return y;
  const Shape bias{N};
  if (net.old()) return net.op("Add", {y.id, net.parameter(net.offset(bias))}, {{"broadcast", 1}});
  return net.binary("Add", y, net.offset(bias), net.random.chance(0.5));
}

/// Attributes of a window over the axes behind the channels; `kernel` gets its extents.
Attributes window(Sketch& net, const Flow& x, Ints& kernel) {
  Random& random = net.random;
  Attributes attributes;
  Ints pads(2 * (x.rank() - 2), 0);
  Ints strides;
  for (std::size_t i = 2; i < x.rank(); ++i) {
    kernel.push_back(random.integer(1, std::min<std::int64_t>(3, x.shape[i])));
    strides.push_back(random.integer(1, 2));
  }
  if (random.chance(0.1)) {
    attributes["auto_pad"] = std::string(random.chance(0.5) ? "SAME_UPPER" : "SAME_LOWER");
  } else if (random.chance(0.4)) {
    for (std::size_t i = 0; i < pads.size(); ++i) pads[i] = random.integer(0, kernel[i % kernel.size()] - 1);
    attributes["pads"] = pads;
  }
  if (random.chance(0.4)) attributes["strides"] = strides;
  return attributes;
}

Flow conv(Sketch& net, const Flow& x) {
  Random& random = net.random;
  Ints kernel;
  Attributes attributes = window(net, x, kernel);
  const std::int64_t group = group_of(net, x.channels());
  const std::int64_t out = group * random.integer(1, std::max<std::int64_t>(1, kMaxChannels / group));
  if (group != 1) attributes["group"] = group;
  // With auto_pad, onnx 1.14 and older infer the wrong shape for ConvTranspose.
  const bool transposed = random.chance(0.15) && !attributes.contains("auto_pad");
  Shape W{transposed ? x.channels() : out, (transposed ? out : x.channels()) / group};
  for (const std::int64_t extent : kernel) W.push_back(extent);
  if (random.chance(0.3)) attributes["kernel_shape"] = kernel;
  std::vector<NodeInput> inputs{x.id, net.weights(W)};
  if (random.chance(0.5)) inputs.emplace_back(net.parameter(net.offset({out})));
  return net.op(transposed ? "ConvTranspose" : "Conv", inputs, attributes);
}

}  // namespace

Flow linear(Sketch& net, const Flow& x) {
  if (x.rank() == 2) return net.random.chance(0.6) ? gemm(net, x) : matmul(net, x);
  return net.random.chance(0.8) ? conv(net, x) : matmul(net, x);
}

ValueId weights_to(Sketch& net, const Flow& x, std::int64_t channels) {
  if (x.rank() == 2) return net.weights({x.channels(), channels});
  const bool wide = net.random.chance(0.4);
  Shape W{channels, x.channels()};
  for (std::size_t i = 2; i < x.rank(); ++i) W.push_back(wide ? 3 : 1);
  return net.weights(W);
}

Flow linear_with(Sketch& net, const Flow& x, ValueId W) {
  const Shape& shape = net.shape_of(W);
  const bool has_bias = net.random.chance(0.5);
  if (x.rank() == 2) {
    const Shape bias{shape[1]};
    if (net.random.chance(0.4)) return net.op("MatMul", {x.id, W});
    if (!has_bias && net.opset() >= 11) return net.op("Gemm", {x.id, W});
    Attributes attributes;
    if (net.old()) attributes["broadcast"] = 1;
    return net.op("Gemm", {x.id, W, net.parameter(net.offset(bias))}, attributes);
  }
  Attributes attributes;
  if (shape.back() == 3) attributes["pads"] = Ints(2 * (x.rank() - 2), 1);
  std::vector<NodeInput> inputs{x.id, W};
  if (has_bias) inputs.emplace_back(net.parameter(net.offset({shape[0]})));
  return net.op("Conv", inputs, attributes);
}

Flow linear_to(Sketch& net, const Flow& x, std::int64_t channels) {
  return linear_with(net, x, weights_to(net, x, channels));
}

// ------------------------------------------------------------ the rest

Flow activation(Sketch& net, const Flow& x) {
  Random& random = net.random;
  const std::string op_type =
      random.pick<std::string>({"Relu", "Relu", "LeakyRelu", "PRelu", "Tanh", "Sigmoid"});
  if (op_type == "PRelu") {
    Shape slope{random.chance(0.5) ? x.channels() : 1};
    while (!net.old() && slope.rank() + 1 < x.rank()) slope.push_back(1);
    return net.op(op_type, {x.id, net.parameter(net.uniform(slope, -0.5, 1.0))});
  }
  if (op_type != "LeakyRelu") return net.op(op_type, x);
  return net.op(op_type, x, {{"alpha", random.pick<float>({0.01F, 0.25F, -0.5F})}});
}

Flow pool(Sketch& net, const Flow& x) {
  Random& random = net.random;
  if (random.chance(0.2)) return net.op(random.chance(0.7) ? "GlobalAveragePool" : "GlobalMaxPool", x);
  if (random.chance(0.2)) {
    const std::int64_t axis = random.integer(1, static_cast<std::int64_t>(x.rank()) - 1);
    return net.with_axes("ReduceMean", x, {axis}, 18, {{"keepdims", random.integer(0, 1)}});
  }
  Ints kernel;
  Attributes attributes = window(net, x, kernel);
  attributes["kernel_shape"] = kernel;
  if (net.opset() >= 10 && random.chance(0.2)) attributes["ceil_mode"] = 1;
  if (random.chance(0.5)) return net.op("MaxPool", x, attributes);
  if (!net.old() && random.chance(0.5)) attributes["count_include_pad"] = 1;
  return net.op("AveragePool", x, attributes);
}

Flow identity(Sketch& net, const Flow& x) {
  Random& random = net.random;
  const auto kind = random.integer(0, 2);
  if (kind == 0 || (kind == 1 && net.opset() < 6)) return net.op("Identity", x);
  if (kind == 1) return net.op("Cast", x, {{"to", static_cast<std::int64_t>(net.dtype())}});
  if (net.old()) return net.op("Dropout", x, {{"ratio", 0.25F}, {"is_test", 1}});
  if (net.opset() < 12) return net.op("Dropout", x, {{"ratio", 0.25F}});
  std::vector<NodeInput> inputs{x.id};
  if (random.chance(0.5)) inputs.emplace_back(Tensor({}, std::vector<float>{0.25F}));
  if (inputs.size() == 2 && random.chance(0.5)) inputs.emplace_back(Tensor(DType::boolean, {}));
  return net.op("Dropout", inputs);
}

namespace {

Flow reshape(Sketch& net, const Flow& x, const Ints& dims) {
  return net.op("Reshape", {x.id, Sketch::ints(dims)});
}

/// An axis of extent 1 comes or goes.
Flow change_rank(Sketch& net, const Flow& x) {
  if (x.rank() == kMaxRank) return reshape(net, x, {0, 0, -1});
  Ints unit_axes;
  for (std::size_t i = 1; i < x.rank(); ++i) {
    if (x.shape[i] == 1) unit_axes.push_back(static_cast<std::int64_t>(i));
  }
  if (x.rank() > 2 && !unit_axes.empty() && net.random.chance(0.5))
    return net.with_axes("Squeeze", x, {net.random.pick(unit_axes)}, 13);
  return net.with_axes("Unsqueeze", x, {net.random.integer(1, static_cast<std::int64_t>(x.rank()))}, 13);
}

/// Any factors of the features, in row-major order.
Flow regroup(Sketch& net, const Flow& x) {
  const std::int64_t features = x.shape.elements(1, x.rank());
  const std::int64_t first = group_of(net, features);
  if (first > kMaxChannels || features / first > kMaxExtent) return reshape(net, x, {-1, features});
  return net.random.chance(0.5)
             ? reshape(net, x, {-1, first, features / first})
             : reshape(net, x, {net.dynamic() ? -1 : x.shape[0], first, 1, features / first});
}

/// The axes, with axis `first` and the last one exchanged.
Ints exchanged(const Flow& x, std::int64_t first) {
  Ints perm(x.rank());
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[static_cast<std::size_t>(first)], perm.back());
  return perm;
}

Flow transpose(Sketch& net, const Flow& x) {
  if (x.rank() == 2) return net.op("Transpose", net.op("Transpose", x), {{"perm", Ints{1, 0}}});
  const std::int64_t axis = net.random.integer(1, static_cast<std::int64_t>(x.rank()) - 1);
  return net.op("Transpose", x, {{"perm", exchanged(x, axis)}});
}

/// A map between two transpositions.
Flow sandwich(Sketch& net, const Flow& x) {
  const bool batch_moves = net.random.chance(0.3) || x.rank() == 2;
  const Ints perm = exchanged(x, batch_moves ? 0 : 1);
  const Flow turned = net.op("Transpose", x, {{"perm", perm}});
  const Flow mapped = batch_moves ? net.binary("Mul", turned, net.gamma({})) : affine(net, turned);
  return net.op("Transpose", mapped, {{"perm", perm}});
}

}  // namespace

Flow move(Sketch& net, const Flow& x) {
  switch (net.random.integer(0, 4)) {
    case 0:
      return net.op("Flatten", x);
    case 1:
      return change_rank(net, x);
    case 2:
      return regroup(net, x);
    case 3:
      return transpose(net, x);
    default:
      return sandwich(net, x);
  }
}

}  // namespace bnrun::testing
