#include "graph/integer_product.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/bytes.h"
#include "base/elements.h"
#include "base/precision.h"
#include "graph/node_query.h"
#include "op/evaluate.h"
#include "op/integers.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

/// A packed constant: the integers, and what they stand for.
struct PackedIntegers {
  Tensor q;
  IntegerScale scale;
};

/// What the operator makes of `values` in place of its input 0.
Tensor moved_by(const Graph& graph, NodeId id, const Tensor& values) {
  const NodeArgs args(graph, id);
  std::vector<TensorView> inputs{values};
  for (std::size_t i = 1; i < graph.node(id).inputs.size(); ++i) {
    const Tensor* input = args.get().constant(i);
    inputs.push_back(input != nullptr ? input->view() : TensorView{});
  }
  const bool wanted[] = {true};
  return at_node(graph, id, [&] { return evaluate(*graph.node(id).op, inputs, wanted)[0]; });
}

/// Whether all elements that the operator makes are some of its input 0 whatever these are: none is a constant (padding),
/// none is chosen by its size (a maximum).
bool only_moves(const Graph& graph, NodeId id, const Shape& shape) {
  std::vector<float> numbers(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<float>(1 + i % (1 << 20)) * (i % 3 == 1 ? -1.0F : 1.0F);
  std::vector<float> others = numbers;
  for (float& number : others) number *= -2.0F;
  const Tensor a = moved_by(graph, id, Tensor(shape, std::move(numbers)));
  const Tensor b = moved_by(graph, id, Tensor(shape, std::move(others)));
  return std::ranges::equal(a.span<float>(), b.span<float>(),
                            [](float x, float y) { return x != 0.0F && y == -2.0F * x; });
}

/// Moves of elements (Transpose, say) behind the integers are applied to them.
std::optional<PackedIntegers> packed_integers(const Graph& graph, ValueId id) {
  const NodeId producer = graph.value(id).producer;
  const Node& node = graph.node(producer);
  const NodeArgs args(graph, producer);
  if (const auto* reads = dynamic_cast<const ReadsIntegers*>(node.op.get())) {
    const Tensor* q = args.get().constant(0);
    auto scale = q != nullptr ? reads->scale_read(args.get()) : std::nullopt;
    if (!scale) return std::nullopt;
    return PackedIntegers{*q, std::move(*scale)};
  }
  if (!is_packed(graph, node.inputs[0])) return std::nullopt;
  auto moved = packed_integers(graph, node.inputs[0]);
  const auto axes = node.op->axes(args.get());
  if (!moved || (!axes && !moved->scale.uniform())) return std::nullopt;
  if (!only_moves(graph, producer, moved->q.shape())) return std::nullopt;
  // as floats, which the operator has, and which hold bytes
  const DType type = moved->q.dtype();
  if (type == DType::int32) {
    moved->q = moved_by(graph, producer, convert(moved->q, DType::float64));
    moved->q = convert(moved->q, type);
  } else {
    moved->q = convert(moved_by(graph, producer, convert(moved->q, DType::float32)), type);
  }
  if (moved->scale.uniform()) return moved;
  const auto to = std::ranges::find(axes->from, std::optional(moved->scale.axis));
  if (to == axes->from.end()) return std::nullopt;
  moved->scale.axis = static_cast<std::size_t>(to - axes->from.begin());
  return moved;
}

/// A layer as its operator sees it: what stands for weights and bias are not the inputs of the node.
struct Layer {
  std::optional<DenseForm> dense;
  std::optional<ConvolutionForm> convolution;
};

std::optional<Layer> layer_with(const Graph& graph, NodeId id, const Tensor& W, const Tensor* bias) {
  const NodeArgs args(graph, id);
  FoldArgs seen = args.get();
  std::vector<ValueType> inputs(seen.inputs.begin(), seen.inputs.end());
  std::vector<const Tensor*> constants(seen.constants.begin(), seen.constants.end());
  inputs.resize(3);
  constants.resize(3);
  inputs[1] = ValueType::of(W.view());
  constants[1] = &W;
  inputs[2] = bias != nullptr ? ValueType::of(bias->view()) : ValueType{};
  constants[2] = bias;
  seen.inputs = inputs;
  seen.constants = constants;
  const Op& op = *graph.node(id).op;
  if (auto dense = op.as_dense(seen)) {
    if (dense->alpha != 1.0 || dense->beta != 1.0) return std::nullopt;
    return Layer{std::move(dense), {}};
  }
  if (auto convolution = op.as_convolution(seen)) return Layer{{}, std::move(convolution)};
  return std::nullopt;
}

/// What belongs to the output channels of a layer: the scales of its weights and its bias, as the operator reads them.
struct ChannelNumbers {
  std::vector<double> scales;
  std::vector<double> bias;  ///< empty: none
};

/// `W`: the weights, `channels`: so many of the output there are. The scales are shown to the operator as weights that
/// have no other extent, and `bias` beside them.
std::optional<ChannelNumbers> channel_numbers(const Graph& graph, NodeId id, const PackedIntegers& W,
                                              std::int64_t channels, const Tensor* bias) {
  for (std::size_t axis = 0; axis < W.q.shape().rank(); ++axis) {
    if (W.q.shape()[axis] != channels || (!W.scale.uniform() && W.scale.axis != axis)) continue;
    std::vector<double> scales = W.scale.scales;
    scales.resize(static_cast<std::size_t>(channels), scales[0]);
    Shape shape = Shape::filled(W.q.shape().rank(), 1);
    shape[axis] = channels;
    const auto layer = layer_with(graph, id, Tensor(shape, scales), bias);
    if (!layer) continue;
    const Tensor& seen = layer->dense ? layer->dense->W : layer->convolution->W;
    if (seen.shape()[layer->dense ? 1 : 0] != channels) continue;
    const Tensor& b = layer->dense ? layer->dense->b : layer->convolution->b;
    return ChannelNumbers{read_doubles(seen), b.defined() ? read_doubles(b) : std::vector<double>{}};
  }
  return std::nullopt;
}

bool is_finite(const std::vector<double>& numbers) {
  return std::ranges::all_of(numbers, [](double number) { return std::isfinite(number); });
}

/// The bytes that stand for a value and are computed, where all have one scale.
std::optional<IntegerSum::Term> computed_bytes(const Graph& graph, ValueId value) {
  const NodeId producer = value.valid() ? graph.value(value).producer : NodeId{};
  if (!producer.valid() || graph.value(value).type.dtype != DType::float32) return std::nullopt;
  const auto* reads = dynamic_cast<const ReadsIntegers*>(graph.node(producer).op.get());
  const ValueId bytes = reads != nullptr ? graph.node(producer).inputs[0] : ValueId{};
  if (!bytes.valid() || graph.value(bytes).as_constant() != nullptr) return std::nullopt;
  const DType type = graph.value(bytes).type.dtype;
  const auto known = is_byte(type) ? reads->scale_read(NodeArgs(graph, producer).get()) : std::nullopt;
  if (!known || !known->uniform() || !std::isfinite(known->scales[0])) return std::nullopt;
  return IntegerSum::Term{bytes, type == DType::int8, known->zeros[0], known->scales[0]};
}

/// The bias of the layer as integers in steps of `factors`, or else added to what these make.
bool read_bias(const Graph& graph, NodeId id, const PackedIntegers& W, IntegerProduct& product) {
  const Node& node = graph.node(id);
  const auto channels = static_cast<std::int64_t>(product.affine.channels());
  if (node.inputs.size() < 3 || !node.inputs[2].valid()) return true;
  if (const Tensor* stored = graph.value(node.inputs[2]).as_constant()) {
    const Tensor wide = convert(*stored, DType::float64);
    auto numbers = channel_numbers(graph, id, W, channels, &wide);
    if (!numbers) return false;
    if (!numbers->bias.empty()) product.affine.shift = std::move(numbers->bias);
    return true;
  }
  if (!is_packed(graph, node.inputs[2])) return false;
  const auto packed = packed_integers(graph, node.inputs[2]);
  if (!packed) return false;
  std::vector<double> steps = read_doubles(packed->q);
  const std::vector<double>& scales = packed->scale.scales;
  if (scales.size() != 1 && scales.size() != steps.size()) return false;
  std::vector<double> scale_of(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::size_t at = packed->scale.uniform() ? 0 : i;
    steps[i] -= packed->scale.zeros[at];
    scale_of[i] = scales[at];
  }
  const Tensor as_steps(packed->q.shape(), steps);
  const Tensor as_scales(packed->q.shape(), scale_of);
  const auto counted = channel_numbers(graph, id, W, channels, &as_steps);
  const auto scaled = channel_numbers(graph, id, W, channels, &as_scales);
  if (!counted || !scaled) return false;
  if (counted->bias.empty()) return true;
  bool counts = true;
  for (std::size_t n = 0; n < counted->bias.size(); ++n) {
    const double factor = product.affine.scale[n];
    const double roundings = 2.0 * unit_roundoff(DType::float32) * std::abs(factor);
    counts = counts && std::abs(scaled->bias[n] - factor) <= roundings &&
             std::abs(counted->bias[n]) <= std::numeric_limits<std::int32_t>::max();
  }
  for (std::size_t n = 0; n < counted->bias.size(); ++n) {
    if (counts)
      product.bias.push_back(static_cast<std::int32_t>(counted->bias[n]));
    else
      product.affine.shift[n] = counted->bias[n] * scaled->bias[n];
  }
  return true;
}

std::optional<ByteOutput> byte_output(const IntegerScale& scale, DType type) {
  if (!is_byte(type) || !scale.uniform() || !(scale.scales[0] > 0.0) || !std::isfinite(scale.scales[0]))
    return std::nullopt;
  return ByteOutput{scale.scales[0], scale.zeros[0], type == DType::int8};
}

/// A layer of bytes by the definition of its operator.
std::optional<IntegerProduct> product_of(const Node& node, const FoldArgs& args, IntegerLayer layer) {
  const ValueType& Y = args.outputs[0];
  IntegerProduct product{.x = node.inputs[0], .x_type = args.inputs[0].dtype, .x_zero = layer.x.zeros[0]};
  product.dense = std::move(layer.dense);
  product.convolution = std::move(layer.convolution);
  product.output = byte_output(layer.y, Y.dtype);
  const Shape& shape = product.W().shape();
  const std::int64_t channels = shape[product.convolution ? 0 : 1];
  if (!product.output || !is_byte(product.x_type) || !Y.ranked() ||
      !is_exact_in_32_bits(shape.elements() / channels))
    return std::nullopt;
  product.w_zeros = std::move(layer.weights.zeros);
  std::vector<double> factors = std::move(layer.weights.scales);
  for (double& factor : factors) factor = layer.x.scales[0] * factor;
  factors.resize(static_cast<std::size_t>(channels), factors[0]);
  const std::size_t axis = product.convolution ? 1 : Y.rank() - 1;
  product.affine = ChannelAffine{}.on_axis(static_cast<int>(axis), factors.size());
  product.affine.scale = std::move(factors);
  if (layer.B.defined()) {
    const auto bias = layer.B.span<std::int32_t>();
    product.bias.assign(bias.begin(), bias.end());
  }
  return is_finite(product.affine.scale) ? std::optional(std::move(product)) : std::nullopt;
}

/// The nodes that read a packed constant, behind what only moves its elements.
void collect_layers(const Graph& graph, ValueId packed, std::vector<NodeId>& layers) {
  for (const NodeId user : graph.value(packed).users) {
    const Node& node = graph.node(user);
    if (!node.inputs.empty() && node.inputs[0] == packed && reads_packed(graph, user, 0))
      collect_layers(graph, node.outputs[0], layers);
    else
      layers.push_back(user);
  }
}

bool all_multiply(const Graph& graph, const std::vector<NodeId>& layers) {
  return std::ranges::all_of(layers, [&](NodeId id) { return integer_product(graph, id).has_value(); });
}

}  // namespace

std::optional<IntegerProduct> integer_product(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const NodeArgs args(graph, id);
  if (const auto* multiplies = dynamic_cast<const MultipliesIntegers*>(node.op.get())) {
    auto layer = multiplies->integer_layer(args.get());
    return layer ? product_of(node, args.get(), std::move(*layer)) : std::nullopt;
  }
  if (node.op == nullptr || !node.op->linear() || !node.captures.empty() || node.inputs.size() < 2 ||
      !args.get().only_first_output_used() || !is_packed(graph, node.inputs[1]))
    return std::nullopt;
  const auto x = computed_bytes(graph, node.inputs[0]);
  if (!x) return std::nullopt;
  IntegerProduct product{
      .x = x->bytes, .x_type = x->is_signed ? DType::int8 : DType::uint8, .x_zero = x->zero};
  const auto W = packed_integers(graph, node.inputs[1]);
  if (!W || !is_byte(W->q.dtype()) || W->q.elements() == 0) return std::nullopt;
  auto layer = layer_with(graph, id, W->q, nullptr);
  if (!layer) return std::nullopt;
  product.dense = std::move(layer->dense);
  product.convolution = std::move(layer->convolution);
  const Shape& shape = product.W().shape();
  const std::int64_t channels = shape[product.convolution ? 0 : 1];
  if (!is_exact_in_32_bits(shape.elements() / channels)) return std::nullopt;
  auto numbers = channel_numbers(graph, id, *W, channels, nullptr);
  const ValueType& Y = args.get().outputs[0];
  if (!numbers || !Y.ranked() || !args.get().inputs[0].ranked()) return std::nullopt;
  product.w_zeros = W->scale.zeros;
  for (double& scale : numbers->scales) scale *= x->scale;
  const std::size_t axis = product.convolution ? 1 : Y.rank() - 1;
  product.affine = ChannelAffine{}.on_axis(static_cast<int>(axis), numbers->scales.size());
  product.affine.scale = std::move(numbers->scales);
  if (!read_bias(graph, id, *W, product) || !is_finite(product.affine.scale) ||
      !is_finite(product.affine.shift))
    return std::nullopt;
  return product;
}

bool is_multiplied_as_integers(const Graph& graph, ValueId packed) {
  std::vector<NodeId> layers;
  collect_layers(graph, packed, layers);
  if (layers.empty() || graph.value(packed).is_output || !all_multiply(graph, layers)) return false;
  return std::ranges::all_of(layers, [&](NodeId id) {
    const auto& inputs = graph.node(id).inputs;
    return std::all_of(inputs.begin() + 1, inputs.end(), [&](ValueId input) {
      std::vector<NodeId> others;
      if (!is_packed(graph, input)) return true;
      collect_layers(graph, input, others);
      return all_multiply(graph, others);
    });
  });
}

std::optional<IntegerSum> integer_sum(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!computes(graph, id, Formula::Kind::sum) || !node.outputs[0].valid()) return std::nullopt;
  const auto a = computed_bytes(graph, node.inputs[0]);
  const auto b = computed_bytes(graph, node.inputs[1]);
  if (!a || !b || !same_dimensions(graph.value(node.inputs[0]).type, graph.value(node.inputs[1]).type))
    return std::nullopt;
  return IntegerSum{{*a, *b}};
}

std::optional<ByteOutput> byte_output(const Graph& graph, NodeId id) {
  const auto* writes = dynamic_cast<const WritesIntegers*>(graph.node(id).op.get());
  const NodeArgs args(graph, id);
  const auto scale = writes != nullptr ? writes->scale_written(args.get()) : std::nullopt;
  return scale ? byte_output(*scale, args.get().outputs[0].dtype) : std::nullopt;
}

bool may_multiply_integers(const Graph& graph) {
  return std::ranges::any_of(graph.live_nodes(), [&](NodeId id) {
    const Node& node = graph.node(id);
    if (node.inputs.empty() || !node.inputs[0].valid() || !node.outputs[0].valid() ||
        dynamic_cast<const ReadsIntegers*>(node.op.get()) == nullptr ||
        graph.value(node.inputs[0]).as_constant() != nullptr)
      return false;
    return std::ranges::any_of(graph.value(node.outputs[0]).users, [&](NodeId user) {
      const Node& layer = graph.node(user);
      return layer.op != nullptr && layer.op->linear() && !layer.inputs.empty() &&
             layer.inputs[0] == node.outputs[0];
    });
  });
}

}  // namespace bnrun
