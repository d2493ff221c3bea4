#include "support/random_sketch.h"

#include <fmt/format.h>

#include <cmath>

#include "api/model_access.h"
#include "op/shape_rules.h"
#include "passes/prepare.h"

namespace bnrun::testing {
namespace {

constexpr std::uint64_t kGraphStream = ~std::uint64_t{0};

Tensor halved(const Tensor& value) {
  Tensor half = convert(value, DType::float64);
  for (double& x : half.mutable_span<double>()) x *= 0.5;
  return convert(half, value.dtype());
}

}  // namespace

Sketch::Sketch(std::uint64_t seed) : random(seed, kGraphStream), seed_(seed) {
  const double age = random.real(0.0, 1.0);
  opset_ = age < 0.1 ? random.integer(5, 6) : age < 0.9 ? random.integer(7, 17) : random.integer(18, 21);
  b_ = GraphBuilder(opset_);
  const double type = random.real(0.0, 1.0);
  dtype_ = type < 0.65 ? DType::float32 : type < 0.92 ? DType::float64 : DType::float16;
  rows_ = random.integer(1, 3);
  dynamic_ = random.chance(0.6);
  flows.push_back(data_input());
}

Flow Sketch::data_input() {
  Shape shape{rows_, random.integer(1, kMaxChannels)};
  for (auto axes = random.pick<std::int64_t>({0, 0, 0, 1, 2, 2}); axes > 0; --axes)
    shape.push_back(random.integer(2, kMaxExtent));
  Dims dims;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
    if (axis == 0)
      dims.push_back(dynamic_ ? Dim::symbol("N") : Dim(shape[0]));
    else if (random.chance(0.03))
      dims.push_back(random.chance(0.5) ? Dim() : Dim::symbol(fmt::format("D{}", axis)));
    else
      dims.emplace_back(shape[axis]);
  }
  return {input("x", uniform(shape, -2.0, 2.0), dims), shape};
}

// ------------------------------------------------------------ constants and parameters

Tensor Sketch::tensor(const Shape& shape, const std::function<double()>& element) {
  Tensor exact(DType::float64, shape);
  for (double& x : exact.mutable_span<double>()) x = element();
  return convert(exact, dtype_);
}

Tensor Sketch::uniform(const Shape& shape, double low, double high) {
  return tensor(shape, [&] { return random.real(low, high); });
}

Tensor Sketch::gamma(const Shape& shape) {
  const double kind = random.real(0.0, 1.0);
  if (kind < 0.3) return uniform(shape, 0.5, 2.0);
  if (kind < 0.4) return tensor(shape, [&] { return random.chance(0.4) ? 0.0 : random.real(-2.0, 2.0); });
  if (kind < 0.5) {
    return tensor(shape, [&] {
      const double sign = random.chance(0.5) ? 1.0 : -1.0;
      return sign * std::pow(10.0, static_cast<double>(-random.integer(3, 30)));
    });
  }
  return uniform(shape, -2.0, 2.0);
}

Tensor Sketch::variance(const Shape& shape) {
  return tensor(shape, [&] { return random.chance(0.05) ? 0.0 : random.real(0.05, 3.0); });
}

Tensor Sketch::offset(const Shape& shape) {
  const double size = random.chance(0.05) ? 100.0 : 1.0;
  return random.chance(0.08) ? tensor(shape, [] { return 0.0; }) : uniform(shape, -size, size);
}

ValueId Sketch::parameter(const Tensor& value) {
  const double kind = random.real(0.0, 1.0);
  if (kind < 0.08) return op("Constant", std::vector<NodeInput>{}, {{"value", value}}).id;
  if (kind < 0.16) return op("Identity", std::vector<NodeInput>{value}).id;
  if (kind < 0.22) {
    const Shape flat{1, value.elements()};
    return op("Reshape", {value.reshaped(flat), ints({value.shape().begin(), value.shape().end()})}).id;
  }
  if (kind < 0.24 && opset_ >= 6)
    return op("Cast", std::vector<NodeInput>{value}, {{"to", static_cast<std::int64_t>(dtype_)}}).id;
  if (kind < 0.25) {
    const ValueId id = b_.constant(value, "c", true);
    data_[id] = random.chance(0.5) ? Tensor() : halved(value);
    return id;
  }
  if (kind < 0.26) return input("parameter", value, Dims(value.shape().begin(), value.shape().end()));
  return b_.constant(value);
}

ValueId Sketch::weights(const Shape& shape) {
  for (const auto& [other, id] : weights_) {
    if (other == shape && random.chance(0.4)) return id;
  }
  const ValueId id = parameter(uniform(shape, -1.0, 1.0));
  weights_.emplace_back(shape, id);
  return id;
}

ValueId Sketch::input(std::string name, const Tensor& value, Dims dims) {
  const ValueId id = b_.input(b_.graph().fresh_name(name), {value.dtype(), std::move(dims)});
  data_[id] = value;
  shapes_[id] = value.shape();
  return id;
}

// ------------------------------------------------------------ nodes

Flows Sketch::ops(const std::string& op_type, const std::vector<NodeInput>& inputs, Attributes attributes,
                  std::size_t outputs) {
  const auto ids = b_.node(op_type, inputs, std::move(attributes), std::vector<std::string>(outputs));
  const Graph& graph = b_.graph();
  std::vector<ValueType> types;
  std::vector<TensorView> values;
  for (const ValueId id : graph.node(b_.last_node()).inputs) {
    types.emplace_back();
    values.emplace_back();
    if (!id.valid()) continue;
    const Value& value = graph.value(id);
    const auto known = shapes_.find(id);
    const DType dtype = value.type.dtype == DType::undefined ? dtype_ : value.type.dtype;
    types.back() = known != shapes_.end() ? ValueType::of(dtype, known->second) : value.type;
    if (const Tensor* constant = value.as_constant())
      values.back() = constant->view();
    else if (const auto given = data_.find(id); given != data_.end() && given->second.defined())
      values.back() = given->second.view();
  }
  const auto inferred =
      require_op(graph, b_.last_node()).infer({.inputs = types, .values = values, .outputs = outputs});
  Flows results;
  for (std::size_t i = 0; i < outputs; ++i) {
    shapes_[ids[i]] = inferred[i].shape();
    results.push_back({ids[i], shapes_[ids[i]]});
  }
  return results;
}

Flow Sketch::op_of_shape(const std::string& op_type, const std::vector<NodeInput>& inputs,
                         Attributes attributes, const Shape& shape) {
  const ValueId id = b_.op(op_type, inputs, std::move(attributes));
  shapes_[id] = shape;
  return {id, shape};
}

Flow Sketch::with_axes(const char* op_type, const Flow& x, const Ints& axes, std::int64_t since,
                       Attributes attributes) {
  if (opset_ >= since) return op(op_type, {x.id, ints(axes)}, std::move(attributes));
  attributes["axes"] = axes;
  return op(op_type, x, std::move(attributes));
}

Flow Sketch::binary(const std::string& op_type, const Flow& x, const NodeInput& c, const Shape& c_shape,
                    bool constant_first) {
  Attributes attributes;
  if (old() && !(c_shape == x.shape)) {
    attributes["broadcast"] = 1;
    if (c_shape.rank() == 1 && c_shape[0] != 1 && (x.rank() > 2 || random.chance(0.5)))
      attributes["axis"] = 1;
    constant_first = false;
  }
  return constant_first ? op(op_type, {c, x.id}, attributes) : op(op_type, {x.id, c}, attributes);
}

void Sketch::declare_output(const Flow& flow) {
  const Value& value = b_.graph().value(flow.id);
  if (!value.is_input && !value.is_output) b_.output(flow.id);
}

RandomNetwork Sketch::finish() {
  for (const Flow& flow : flows) {
    if (b_.graph().value(flow.id).users.empty()) declare_output(flow);
  }
  if (b_.graph().outputs().empty()) b_.output(op("Relu", flows[0]).id);
  Graph graph = b_.graph();
  for (int round = 0; round < 2; ++round) {  // the rank of one output may tell more of another
    Graph typed = graph;
    infer_types(typed);
    for (const ValueId id : graph.outputs()) {  // a file declares at least those, and their ranks
      ValueType type = typed.value(id).type;
      type.content.reset();
      if (!type.ranked()) type.dims = Dims(shapes_.at(id).rank());
      graph.set_type(id, type);
    }
  }
  graph.name = "random";
  graph.check();
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) inputs.push_back(data_.at(id));
  return {make_model(std::move(graph)), std::move(inputs)};
}

}  // namespace bnrun::testing
