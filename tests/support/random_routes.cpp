#include <algorithm>
#include <numeric>

#include "support/random_pieces.h"

namespace bnrun::testing {
namespace {

std::int64_t axis_of(Sketch& net, const Flow& x) {
  return net.random.integer(1, static_cast<std::int64_t>(x.rank()) - 1);
}
std::int64_t extent_of(const Flow& x, std::int64_t axis) {
  return x.shape[static_cast<std::size_t>(axis)];
}

Flow slice(Sketch& net, const Flow& x, const Ints& starts, const Ints& ends, const Ints& axes,
           std::int64_t step = 1) {
  if (net.opset() < 10) return net.op("Slice", x, {{"starts", starts}, {"ends", ends}, {"axes", axes}});
  std::vector<NodeInput> inputs{x.id, Sketch::ints(starts), Sketch::ints(ends), Sketch::ints(axes)};
  if (step != 1) inputs.emplace_back(Sketch::ints(Ints(axes.size(), step)));
  return net.op("Slice", inputs);
}

/// Some entries of an axis, at times backwards.
Flow part(Sketch& net, const Flow& x) {
  const std::int64_t axis = axis_of(net, x);
  const std::int64_t extent = extent_of(x, axis);
  if (net.opset() >= 10 && net.random.chance(0.3))
    return slice(net, x, {-1}, {-extent - 1}, {axis}, -net.random.integer(1, 2));
  const std::int64_t first = net.random.integer(0, extent - 1);
  return slice(net, x, {first}, {net.random.integer(first + 1, extent)}, {axis});
}

Flow gathered(Sketch& net, const Flow& x) {
  const std::int64_t axis = axis_of(net, x);
  Ints indices(static_cast<std::size_t>(net.random.integer(1, kMaxExtent)));
  for (auto& index : indices) index = net.random.integer(-extent_of(x, axis), extent_of(x, axis) - 1);
  return net.op("Gather", {x.id, Sketch::ints(indices)}, {{"axis", axis}});
}

Flow padded(Sketch& net, const Flow& x, const std::string& mode, const Ints& pads) {
  if (net.opset() >= 11) return net.op("Pad", {x.id, Sketch::ints(pads)}, {{"mode", mode}});
  return net.op("Pad", x, {{"mode", mode}, {"pads", pads}});
}

Flow pad(Sketch& net, const Flow& x) {
  const std::int64_t axis = axis_of(net, x);
  Ints pads(2 * x.rank(), 0);
  const bool reflects = extent_of(x, axis) > 1 && net.random.chance(0.4);
  const std::string mode = reflects ? "reflect" : net.random.chance(0.5) ? "edge" : "constant";
  pads[static_cast<std::size_t>(axis) + (net.random.chance(0.5) ? x.rank() : 0)] = 1;
  return padded(net, x, mode, pads);
}

Flow tile(Sketch& net, const Flow& x, std::int64_t repeats) {
  Ints all(x.rank(), 1);
  all[static_cast<std::size_t>(axis_of(net, x))] = repeats;
  return net.op("Tile", {x.id, Sketch::ints(all)});
}

/// The last axis.
Flow resize(Sketch& net, const Flow& x) {
  std::vector<float> scales(x.rank(), 1.0F);
  if (x.shape.back() <= kMaxExtent / 2) scales.back() = net.random.pick<float>({1.0F, 1.5F, 2.0F});
  const std::string mode = x.rank() < 5 && net.random.chance(0.6) ? "linear" : "nearest";
  const Tensor numbers({static_cast<std::int64_t>(scales.size())}, scales);
  return net.op("Resize", {x.id, ValueId{}, numbers},
                {{"mode", mode}, {"coordinate_transformation_mode", std::string("asymmetric")}});
}

Flow reduce(Sketch& net, const Flow& x) {
  const auto kind = net.random.pick<std::string>({"ReduceMax", "ReduceMin", "ReduceSum"});
  const std::int64_t keeps = x.rank() == 2 ? 1 : net.random.integer(0, 1);
  return net.with_axes(kind.c_str(), x, {axis_of(net, x)}, kind == "ReduceSum" ? 13 : 18,
                       {{"keepdims", keeps}});
}

/// x.view(x.size(0), -1)
Flow view(Sketch& net, const Flow& x) {
  const ValueId shape = net.op_of_shape("Shape", {x.id}, {}, {static_cast<std::int64_t>(x.rank())}).id;
  const ValueId rows = net.op_of_shape("Gather", {shape, Sketch::ints({0})}, {}, {1}).id;
  const ValueId to = net.op_of_shape("Concat", {rows, Sketch::ints({-1})}, {{"axis", 0}}, {2}).id;
  return net.op_of_shape("Reshape", {x.id, to}, {}, {x.shape[0], x.shape.elements(1, x.rank())});
}

}  // namespace

Flow route(Sketch& net, const Flow& x) {
  const bool small = x.rank() > 2 || x.channels() < kMaxChannels;
  switch (net.random.integer(0, 6)) {
    case 0:
      return part(net, x);
    case 1:
      return gathered(net, x);
    case 2:
      return small ? pad(net, x) : part(net, x);
    case 3:
      return net.old() || !small ? part(net, x) : tile(net, x, 2);
    case 4:
      return net.opset() < 13 || x.rank() < 3 ? gathered(net, x) : resize(net, x);
    case 5:
      return reduce(net, x);
    default:
      return view(net, x);
  }
}

Flow idle(Sketch& net, const Flow& x) {
  Ints axes(x.rank());
  std::iota(axes.begin(), axes.end(), 0);
  switch (net.random.integer(0, 4)) {
    case 0:
      return padded(net, x, "constant", Ints(2 * x.rank(), 0));
    case 1:
      return slice(net, x, {0}, {2147483647}, {net.random.integer(0, 1)});
    case 2:
      return net.op("Concat", x, {{"axis", 1}});
    case 3:
      return net.old() ? net.op("Identity", x) : tile(net, x, 1);
    default:
      return net.op("Transpose", x, {{"perm", axes}});
  }
}

Flows affine_route(Sketch& net, const Flow& x) {
  const Flow h = affine(net, net.random.chance(0.3) ? idle(net, x) : x);
  const Flow y = route(net, h);
  return {linear(net, net.random.chance(0.3) ? idle(net, y) : y)};
}

Flows route_affine(Sketch& net, const Flow& x) {
  const Flow h = linear(net, x);
  const Flow y = route(net, net.random.chance(0.3) ? idle(net, h) : h);
  return {affine(net, net.random.chance(0.3) ? idle(net, y) : y)};
}

Flows parts_affine(Sketch& net, const Flow& x) {
  const Flow h = linear_to(net, x, net.random.integer(2, kMaxChannels));
  const std::int64_t first = net.random.integer(1, h.channels() - 1);
  const Flow front = slice(net, h, {0}, {first}, {1});
  const Flow back = slice(net, h, {first}, {h.channels()}, {1});
  Flows ends{affine(net, front)};
  ends.push_back(net.random.chance(0.5) ? affine(net, back) : activation(net, back));
  return ends;
}

}  // namespace bnrun::testing
