#include <algorithm>
#include <numeric>

#include "support/random_pieces.h"

namespace bnrun::testing {
namespace {

constexpr std::int64_t kMaxJoined = 2 * kMaxChannels;

/// Not more channels than several of them may have together.
Flow narrow(Sketch& net, const Flow& x) {
  return x.channels() <= kMaxChannels ? x : linear_to(net, x, net.random.integer(2, kMaxChannels));
}

Flow layer(Sketch& net, const Flow& x) {
  return linear_to(net, x, net.random.integer(1, kMaxChannels / 2));
}

/// The axis, counted from the end at times.
std::int64_t channel_axis(Sketch& net, const Flow& x) {
  const bool from_end = net.opset() >= 11 && net.random.chance(0.3);
  return from_end ? 1 - static_cast<std::int64_t>(x.rank()) : 1;
}

Flow concat(Sketch& net, const Flows& parts) {
  std::vector<NodeInput> inputs;
  for (const Flow& part : parts) inputs.emplace_back(part.id);
  return net.op("Concat", inputs, {{"axis", channel_axis(net, parts[0])}});
}

/// Add, Sub, ... of two values of one shape.
Flow merge(Sketch& net, const Flow& a, const Flow& b) {
  const std::string op_type = net.random.pick<std::string>({"Add", "Add", "Sub", "Sum", "Max", "Min", "Mul"});
  return net.op(op_type, {a.id, b.id});
}

/// Equal but for the number of channels.
bool can_concat(const Flow& a, const Flow& b) {
  Shape same = b.shape;
  same[1] = a.shape[1];
  return same == a.shape;
}

/// The parts go separate ways or meet again, in another order at times.
Flows recombined(Sketch& net, Flows parts) {
  if (net.random.chance(0.3)) return parts;
  if (net.random.chance(0.3)) std::reverse(parts.begin(), parts.end());
  const bool same =
      std::all_of(parts.begin(), parts.end(), [&](const Flow& part) { return part.shape == parts[0].shape; });
  if (!same || net.random.chance(0.4)) return {concat(net, parts)};
  Flow sum = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) sum = merge(net, sum, parts[i]);
  return {sum};
}

/// Two or three parts, equal or not, in every form that the opset has.
Flows split(Sketch& net, const Flow& x) {
  Random& random = net.random;
  const std::int64_t C = x.channels();
  const std::int64_t parts = random.integer(2, std::min<std::int64_t>(3, C));
  const auto outputs = static_cast<std::size_t>(parts);
  const Attributes attributes{{"axis", channel_axis(net, x)}};
  const auto with = [&](const char* name, AttributeValue value) {
    Attributes more = attributes;
    more.emplace(name, std::move(value));
    return more;
  };
  const std::int64_t chunk = (C + parts - 1) / parts;
  if (net.opset() >= 18 && chunk * (parts - 1) < C && random.chance(0.6))
    return net.ops("Split", {x.id}, with("num_outputs", parts), outputs);
  if (net.opset() < 18 && C % parts == 0 && random.chance(0.5))
    return net.ops("Split", {x.id}, attributes, outputs);
  Ints lengths(outputs, C / parts);
  lengths.back() += C % parts;
  if (lengths[0] > 1 && random.chance(0.6)) {
    --lengths[0];
    ++lengths[1];
  }
  if (net.opset() < 13) return net.ops("Split", {x.id}, with("split", lengths), outputs);
  return net.ops("Split", {x.id, Sketch::ints(lengths)}, attributes, outputs);
}

}  // namespace

Flows meet(Sketch& net, const Flow& a, const Flow& b) {
  if (a.shape == b.shape) return {merge(net, a, b)};
  if (a.rank() != b.rank()) return {};
  for (const std::size_t axis : {std::size_t{1}, a.rank() - 1}) {
    Shape same = b.shape;
    same[axis] = a.shape[axis];
    if (same == a.shape && a.shape[axis] + b.shape[axis] <= kMaxJoined)
      return {net.op("Concat", {a.id, b.id}, {{"axis", static_cast<std::int64_t>(axis)}})};
  }
  return {};
}

Flows concat_affine(Sketch& net, const Flow& x) {
  Flows parts;
  for (auto left = net.random.integer(2, 3); left > 0; --left) {
    parts.push_back(layer(net, x));
    if (net.random.chance(0.2)) parts.back() = net.op("Relu", parts.back());
  }
  return {affine(net, concat(net, parts))};
}

Flows affine_concat(Sketch& net, const Flow& given) {
  const Flow x = narrow(net, given);
  Flows parts(2, affine(net, x));
  if (net.random.chance(0.9)) parts[1] = affine(net, net.random.chance(0.5) ? x : layer(net, x));
  if (!can_concat(parts[0], parts[1])) return parts;  // a disguise that stretches
  return {linear_to(net, concat(net, parts), net.random.integer(1, kMaxChannels))};
}

Flows concat_constant(Sketch& net, const Flow& given) {
  const Flow x = narrow(net, given);
  Shape shape = x.shape;
  shape[1] = net.random.integer(1, 3);
  const Flow y = net.random.chance(0.5) ? layer(net, x) : batch_normalization(net, x);
  if (net.dynamic()) return {y};  // how many rows would it have?
  const Flow constant{net.parameter(net.offset(shape)), shape};
  const Flow both = concat(net, net.random.chance(0.5) ? Flows{y, constant} : Flows{constant, y});
  return {net.random.chance(0.5) ? batch_normalization(net, both)
                                 : linear_to(net, both, net.random.integer(1, kMaxChannels))};
}

Flows dense_block(Sketch& net, const Flow& given) {
  Flow x = narrow(net, given);
  for (auto left = net.random.integer(1, 2); left > 0; --left) {
    const Flow normalised = batch_normalization(net, x);
    const Flow active = net.random.chance(0.7) ? net.op("Relu", normalised) : normalised;
    x = concat(net, {x, layer(net, active)});
  }
  return {linear_to(net, batch_normalization(net, x), net.random.integer(1, kMaxChannels))};
}

Flows split_affine(Sketch& net, const Flow& x) {
  Flows parts = split(net, linear_to(net, x, net.random.integer(2, kMaxChannels)));
  for (Flow& part : parts) {
    if (net.random.chance(0.8)) part = batch_normalization(net, part);
    if (net.random.chance(0.2)) part = net.op("Relu", part);
  }
  return recombined(net, parts);
}

Flows affine_split(Sketch& net, const Flow& given) {
  const Flow x = net.random.chance(0.5) && given.channels() > 1
                     ? given
                     : linear_to(net, given, net.random.integer(2, kMaxChannels));
  Flows parts = split(net, batch_normalization(net, x));
  const std::int64_t channels = net.random.integer(1, 3);
  for (Flow& part : parts) {
    if (net.random.chance(0.85)) part = linear_to(net, part, channels);
  }
  return recombined(net, parts);
}

Flows concat_split(Sketch& net, const Flow& x) {
  Flows layers;
  for (auto left = net.random.integer(2, 3); left > 0; --left) layers.push_back(layer(net, x));
  Flow whole = concat(net, layers);
  const bool split_last = net.random.chance(0.5);
  if (!split_last) whole = batch_normalization(net, whole);
  Flows parts = split(net, whole);
  for (Flow& part : parts) {
    if (split_last && net.random.chance(0.8)) part = batch_normalization(net, part);
    if (!split_last && net.random.chance(0.5)) part = layer(net, part);
  }
  return recombined(net, parts);
}

Flows merge_affine(Sketch& net, const Flow& x) {
  const std::int64_t channels = net.random.integer(1, kMaxChannels);
  return {affine(net, merge(net, linear_to(net, x, channels), linear_to(net, x, channels)))};
}

Flows affine_merge(Sketch& net, const Flow& x) {
  const std::int64_t channels = net.random.integer(1, kMaxChannels);
  const Flow a = batch_normalization(net, linear_to(net, x, channels));
  const Flow b = linear_to(net, x, channels);
  return {merge(net, a, net.random.chance(0.5) ? batch_normalization(net, b) : b)};
}

Flows residual(Sketch& net, const Flow& x) {
  Flow y = x;
  const bool normalised_first = net.random.chance(0.4);
  for (auto left = net.random.integer(1, 2); left > 0; --left) {
    if (normalised_first) y = net.op("Relu", batch_normalization(net, y));
    y = linear_to(net, y, left == 1 ? x.channels() : net.random.integer(1, kMaxChannels));
    if (!normalised_first) y = batch_normalization(net, y);
    if (!normalised_first && left > 1) y = net.op("Relu", y);
  }
  const Flow sum = net.op("Add", net.random.chance(0.5) ? std::vector<NodeInput>{y.id, x.id}
                                                        : std::vector<NodeInput>{x.id, y.id});
  return {net.random.chance(0.5) ? net.op("Relu", sum) : sum};
}

Flows shared_weights(Sketch& net, const Flow& x) {
  const Flow other = net.op("Tanh", x);
  const ValueId W = weights_to(net, x, net.random.integer(1, kMaxChannels));
  const Flow a = batch_normalization(net, linear_with(net, x, W));
  const Flow b = linear_with(net, other, W);
  return recombined(net, {a, net.random.chance(0.5) ? batch_normalization(net, b) : b});
}

Flows several_readers(Sketch& net, const Flow& x) {
  const Flow before = net.random.chance(0.5) ? net.op("Tanh", x) : x;
  const Flow y = batch_normalization(net, before);
  const std::int64_t channels = net.random.integer(1, kMaxChannels / 2);
  Flows readers;
  for (auto left = net.random.integer(2, 3); left > 0; --left) readers.push_back(linear_to(net, y, channels));
  return recombined(net, readers);
}

Flows output_midway(Sketch& net, const Flow& x) {
  const Flow before = linear(net, x);
  const Flow y = affine(net, before);
  net.declare_output(net.random.chance(0.5) ? before : y);
  return {net.random.chance(0.5) ? linear(net, y) : y};
}

Flows unknown_rank(Sketch& net, const Flow& x) {
  const Ints dims(x.shape.begin(), x.shape.end());
  const ValueId shape = net.input("shape", Sketch::ints(dims), {Dim()});
  const Flow y = net.op("Reshape", {x.id, shape});
  return {net.random.chance(0.5) ? affine(net, linear(net, y)) : linear(net, affine(net, y))};
}

}  // namespace bnrun::testing
