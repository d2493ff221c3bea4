#include "support/random_pieces.h"

namespace bnrun::testing {
namespace {

Flow normalization(Sketch& net, const Flow& x, const std::vector<Tensor>& parameters, Attributes attributes,
                   std::size_t outputs = 1) {
  std::vector<NodeInput> inputs{x.id};
  for (const Tensor& parameter : parameters) inputs.emplace_back(net.parameter(parameter));
  if (net.opset() < 6) attributes["consumed_inputs"] = Ints{0, 0, 0, 1, 1};
  return net.ops("BatchNormalization", inputs, std::move(attributes), outputs)[0];
}

/// A shape that broadcasts against x: mostly one number per channel or one for all.
Shape operand_shape(Sketch& net, const Flow& x) {
  Random& random = net.random;
  const double kind = random.real(0.0, 1.0);
  if (kind < 0.15) return {};
  if (kind < 0.2) return {1};
  if (net.old()) return {x.channels()};
  const auto last = static_cast<std::int64_t>(x.rank()) - 1;
  const auto axis =
      kind < 0.8 ? std::size_t{1} : static_cast<std::size_t>(random.integer(net.dynamic() ? 1 : 0, last));
  Shape shape = Shape::filled(x.rank() - axis, 1);
  shape[0] = x.shape[axis];
  if (random.chance(0.05) && x.shape[axis] == 1) shape[0] = random.integer(2, 3);
  if (random.chance(0.05)) shape[shape.rank() - 1] = x.shape.back();
  if (random.chance(0.3)) {
    while (shape.rank() < x.rank()) shape.insert(0, 1);
  }
  return shape;
}

/// One number per channel, in the shape that lands there.
Shape per_channel(const Sketch& net, const Flow& x) {
  Shape shape{x.channels()};
  while (!net.old() && shape.rank() + 1 < x.rank()) shape.push_back(1);
  return shape;
}

}  // namespace

Flow batch_normalization(Sketch& net, const Flow& x) {
  Random& random = net.random;
  Attributes attributes;
  if (random.chance(0.5)) attributes["epsilon"] = random.pick<float>({1e-3F, 1e-5F, 0.1F});
  if (net.old()) attributes["is_test"] = 1;
  Shape C{x.channels()};
  if (net.opset() < 9 && random.chance(0.2)) {
    const bool spatial = random.chance(0.5);
    attributes["spatial"] = spatial ? 1 : 0;
    if (!spatial) C = Shape(std::span(x.shape.begin() + 1, x.shape.end()));
  }
  return normalization(net, x, {net.gamma(C), net.offset(C), net.offset(C), net.variance(C)}, attributes);
}

Flow disguise(Sketch& net, Flow x) {
  Random& random = net.random;
  for (std::int64_t left = random.integer(1, 3); left > 0; --left) {
    const Shape shape = operand_shape(net, x);
    const bool swapped = random.chance(0.4);
    switch (random.integer(0, 6)) {
      case 0:
      case 1:
        x = net.binary("Mul", x, net.gamma(shape), swapped);
        break;
      case 2:
        x = net.binary("Add", x, net.offset(shape), swapped);
        break;
      case 3:
        x = net.binary("Sub", x, net.offset(shape), swapped);
        break;
      case 4:
        x = net.binary("Div", x, net.uniform(shape, 0.5, 2.0));
        break;
      case 5:
        if (net.opset() < 8) break;  // where they do not broadcast
        x = net.binary(random.chance(0.5) ? "Sum" : "Mean", x, net.offset(shape), swapped);
        break;
      default:
        x = net.op("Neg", x);
    }
  }
  return x;
}

Flow decomposed(Sketch& net, const Flow& x) {
  const Shape C = per_channel(net, x);
  const auto parameter = [&](const Tensor& value) { return Flow{net.parameter(value), C}; };
  const Flow with_epsilon = net.op("Add", {parameter(net.variance(C)).id, net.uniform(C, 1e-3, 1e-2)});
  const Flow deviation = net.op("Sqrt", with_epsilon);
  const Flow mean = parameter(net.offset(C));
  if (net.random.chance(0.5)) {
    const Flow inverse = net.op("Reciprocal", deviation);
    const Flow factor = net.op("Mul", {inverse.id, parameter(net.gamma(C)).id});
    const Flow shift = net.op("Sub", {parameter(net.offset(C)).id, net.op("Mul", {mean.id, factor.id}).id});
    return net.binary("Add", net.binary("Mul", x, factor.id, C), shift.id, C);
  }
  const Flow normalised = net.binary("Div", net.binary("Sub", x, mean.id, C), deviation.id, C);
  return net.binary("Add", net.binary("Mul", normalised, net.gamma(C), !net.old()), net.offset(C));
}

Flow affine(Sketch& net, const Flow& x) {
  const double kind = net.random.real(0.0, 1.0);
  return kind < 0.5 ? batch_normalization(net, x) : kind < 0.85 ? disguise(net, x) : decomposed(net, x);
}

Flows affine_chain(Sketch& net, const Flow& x) {
  Flow y = net.random.chance(0.5) ? net.op("Tanh", x) : x;
  for (auto left = net.random.integer(2, 3); left > 0; --left) y = affine(net, y);
  return {net.op(net.random.chance(0.5) ? "Relu" : "Tanh", y)};
}

Flows ill_conditioned(Sketch& net, const Flow& x) {
  constexpr double kRatio = 1e8;
  const bool forward = net.random.chance(0.5);
  const Flow before = forward ? net.op("Tanh", x) : linear_to(net, x, net.random.integer(1, kMaxChannels));
  const Shape C{before.channels()};
  const std::int64_t bad = net.random.integer(0, before.channels() - 1);
  std::int64_t c = 0;
  const double size = net.dtype() == DType::float16 ? 1e-5 : 1.0;
  const Tensor mean = net.tensor(C, [&] { return c++ == bad ? kRatio * size : net.random.real(-1.0, 1.0); });
  const Tensor ones = net.tensor(C, [] { return 1.0; });
  const Flow y = normalization(net, before, {net.uniform(C, 0.5, 2.0), net.offset(C), mean, ones},
                               net.old() ? Attributes{{"is_test", 1}} : Attributes{});
  return {forward ? linear_to(net, y, net.random.integer(1, kMaxChannels)) : y};
}

Flows training(Sketch& net, const Flow& x) {
  const Flow before = linear_to(net, x, net.random.integer(1, kMaxChannels));
  const Shape C{before.channels()};
  Attributes attributes;
  if (net.opset() >= 14) attributes["training_mode"] = 1;
  const std::size_t outputs = net.old() ? 1 : net.opset() >= 14 ? 3 : 5;
  return {normalization(net, before, {net.gamma(C), net.offset(C), net.offset(C), net.variance(C)},
                        attributes, outputs)};
}

}  // namespace bnrun::testing
