#include "support/random_graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <optional>

#include "graph/graph.h"
#include "ops/common.h"
#include "ops/evaluate.h"
#include "support/graph_building.h"
#include "support/random_numbers.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;

constexpr std::int64_t kMaxChannels = 6;
constexpr std::int64_t kMaxExtent = 5;
constexpr std::size_t kMaxRank = 4;
constexpr std::uint64_t kGraphStream = ~std::uint64_t{0};

/// A value that depends on the data, and its shape for the batch that will be run.
struct Flow {
  ValueId id;
  Shape shape;

  std::size_t rank() const { return shape.rank(); }
  std::int64_t channels() const { return shape[1]; }
};

class Generator {
 public:
  explicit Generator(const Recipe& recipe) : seed_(recipe.seed), random_(recipe.seed, kGraphStream) {
    opset_ = random_.integer(7, 17);
    b_ = GraphBuilder(opset_);
    dtype_ = random_.chance(0.7) ? DType::float32 : DType::float64;
    rows_ = random_.integer(1, 3);
    dynamic_ = random_.chance(0.6);
    flows_.push_back(data_input());
    for (const std::uint32_t step : recipe.steps) {
      random_ = Random(seed_, step);
      add_step();
    }
  }

  RandomNetwork finish() {
    for (const Flow& flow : flows_) {
      const Value& value = b_.graph().value(flow.id);
      if (value.users.empty() && !value.is_input && !value.is_output) b_.output(flow.id);
    }
    if (b_.graph().outputs().empty()) b_.output(op("Relu", flows_[0]).id);
    Graph graph = b_.graph();
    Graph typed = graph;
    infer_types(typed);
    for (const ValueId id : graph.outputs()) {  // a file declares at least those
      ValueType type = typed.value(id).type;
      type.content.reset();
      graph.set_type(id, type);
    }
    graph.name = "random";
    graph.check();
    std::vector<Tensor> inputs;
    for (const ValueId id : graph.inputs()) inputs.push_back(data_.at(id));
    return {Model(std::move(graph)), std::move(inputs)};
  }

 private:
  // ------------------------------------------------------------ values

  Tensor tensor(const Shape& shape, const std::function<double()>& element) {
    Tensor exact(DType::float64, shape);
    for (double& x : exact.mutable_span<double>()) x = element();
    return convert(exact, dtype_);
  }
  Tensor uniform(const Shape& shape, double low, double high) {
    return tensor(shape, [&] { return random_.real(low, high); });
  }

  Flow data_input() {
    Shape shape{rows_, random_.integer(1, kMaxChannels)};
    for (auto axes = random_.pick<std::int64_t>({0, 0, 0, 1, 2, 2}); axes > 0; --axes)
      shape.push_back(random_.integer(2, kMaxExtent));
    const auto dim = [&](std::size_t axis) -> DimSpec {
      if (axis == 0) return dynamic_ ? DimSpec("N") : DimSpec(shape[0]);
      if (random_.chance(0.03)) return random_.chance(0.5) ? Dim() : Dim::symbol(fmt::format("D{}", axis));
      return shape[axis];
    };
    ValueId id;
    if (shape.rank() == 2) id = b_.input("x", dtype_, {dim(0), dim(1)});
    if (shape.rank() == 3) id = b_.input("x", dtype_, {dim(0), dim(1), dim(2)});
    if (shape.rank() == 4) id = b_.input("x", dtype_, {dim(0), dim(1), dim(2), dim(3)});
    data_[id] = uniform(shape, -2.0, 2.0);
    shapes_[id] = shape;
    return {id, shape};
  }

  /// A parameter: mostly an initializer, sometimes behind operators on constants, sometimes not constant.
  ValueId parameter(const Tensor& value) {
    const double kind = random_.real(0.0, 1.0);
    if (kind < 0.08) return op("Constant", std::vector<NodeInput>{}, {{"value", value}}).id;
    if (kind < 0.16) return op("Identity", std::vector<NodeInput>{value}).id;
    if (kind < 0.22) {
      const Shape flat{1, value.elements()};
      const Ints back(value.shape().begin(), value.shape().end());
      return op("Reshape", {value.reshaped(flat), Tensor({static_cast<std::int64_t>(back.size())}, back)}).id;
    }
    if (kind < 0.24)
      return op("Cast", std::vector<NodeInput>{value}, {{"to", static_cast<std::int64_t>(dtype_)}}).id;
    if (kind < 0.25) {
      const ValueId id = b_.constant(value, "c", true);
      data_[id] = random_.chance(0.5) ? Tensor() : halved(value);
      return id;
    }
    if (kind < 0.26 && value.shape().rank() <= 2) {
      const Shape& s = value.shape();
      const std::string name = b_.graph().fresh_name("parameter");
      const ValueId id = s.rank() == 0   ? b_.input(name, dtype_, {})
                         : s.rank() == 1 ? b_.input(name, dtype_, {s[0]})
                                         : b_.input(name, dtype_, {s[0], s[1]});
      data_[id] = value;
      return id;
    }
    return b_.constant(value);
  }
  static Tensor halved(const Tensor& value) {
    Tensor half = convert(value, DType::float64);
    for (double& x : half.mutable_span<double>()) x *= 0.5;
    return convert(half, value.dtype());
  }

  /// Weights, at times those of an earlier layer.
  ValueId weights(const Shape& shape) {
    for (const auto& [other, id] : weights_) {
      if (other == shape && random_.chance(0.4)) return id;
    }
    const ValueId id = parameter(uniform(shape, -1.0, 1.0));
    weights_.emplace_back(shape, id);
    return id;
  }

  Tensor gamma(const Shape& shape) {
    const double kind = random_.real(0.0, 1.0);
    if (kind < 0.3) return uniform(shape, 0.5, 2.0);
    if (kind < 0.4) return tensor(shape, [&] { return random_.chance(0.4) ? 0.0 : random_.real(-2.0, 2.0); });
    if (kind < 0.5) {
      return tensor(shape, [&] {
        const double sign = random_.chance(0.5) ? 1.0 : -1.0;
        return sign * std::pow(10.0, static_cast<double>(-random_.integer(3, 30)));
      });
    }
    return uniform(shape, -2.0, 2.0);
  }
  Tensor variance(const Shape& shape) {
    return tensor(shape, [&] { return random_.chance(0.05) ? 0.0 : random_.real(0.05, 3.0); });
  }
  Tensor offset(const Shape& shape) {
    const double size = random_.chance(0.05) ? 100.0 : 1.0;
    return random_.chance(0.08) ? tensor(shape, [] { return 0.0; }) : uniform(shape, -size, size);
  }

  /// Adds a node and asks its operator for the shape of the result.
  Flow op(const std::string& op_type, const std::vector<NodeInput>& inputs, Attributes attributes = {}) {
    const ValueId id = b_.op(op_type, inputs, std::move(attributes));
    const Graph& graph = b_.graph();
    const Node& node = graph.node(b_.last_node());
    std::vector<ValueType> types;
    std::vector<TensorView> values;
    for (const ValueId input : node.inputs) {
      const Tensor* constant = input.valid() ? graph.value(input).as_constant() : nullptr;
      values.push_back(constant != nullptr ? constant->view() : TensorView{});
      if (!input.valid())
        types.emplace_back();
      else if (const auto known = shapes_.find(input); known != shapes_.end())
        types.push_back(ValueType::of(dtype_, known->second));
      else
        types.push_back(graph.value(input).type);
    }
    const auto inferred = find_op(graph, b_.last_node())->infer({.inputs = types, .values = values});
    shapes_[id] = inferred[0].shape();
    return {id, shapes_[id]};
  }
  Flow op(const std::string& op_type, const Flow& x, Attributes attributes = {}) {
    return op(op_type, std::vector<NodeInput>{x.id}, std::move(attributes));
  }

  // ------------------------------------------------------------ layers

  Flow gemm(Flow x) {
    const std::int64_t M = x.shape[0];
    const std::int64_t K = x.channels();
    const std::int64_t N = random_.integer(1, kMaxChannels);
    Attributes attributes;
    if (random_.chance(0.3)) attributes["alpha"] = random_.pick<float>({0.5F, -2.0F, 1.5F, 0.0F});
    if (random_.chance(0.3)) attributes["beta"] = random_.pick<float>({0.5F, -2.0F, 1.5F, 0.0F});
    if (random_.chance(0.04)) {  // the data as the right-hand operand
      const Flow y = op("Gemm", {weights({N, K}), x.id, uniform({1}, -1, 1)}, {{"transB", 1}});
      return op("Transpose", y);
    }
    const bool trans_b = random_.chance(0.5);
    const Shape W_shape = trans_b ? Shape{N, K} : Shape{K, N};
    if (trans_b) attributes["transB"] = 1;
    ValueId W;
    if (random_.chance(0.05)) {  // weights that a product of constants gives
      W = op("Gemm",
             {parameter(uniform({2, W_shape[0]}, -1, 1)), uniform({2, W_shape[1]}, -1, 1),
              Tensor(dtype_, {1})},
             {{"transA", 1}})
              .id;
    } else {
      W = weights(W_shape);
    }
    if (random_.chance(0.06)) {
      x = op("Transpose", x);
      attributes["transA"] = 1;
    }
    std::vector<NodeInput> inputs{x.id, W};
    std::vector<Shape> C_shapes{{}, {1}, {N}, {N}, {N}, {1, N}, {1, 1}};
    if (!dynamic_) C_shapes.insert(C_shapes.end(), {{M, N}, {M, 1}});
    if (opset_ < 11 || random_.chance(0.8)) inputs.emplace_back(parameter(offset(random_.pick(C_shapes))));
    return op("Gemm", inputs, attributes);
  }

  Flow matmul(const Flow& x) {
    const std::int64_t N = random_.integer(1, kMaxChannels);
    if (x.rank() == 3 && random_.chance(0.1)) return op("MatMul", {weights({N, x.channels()}), x.id});
    const Flow y = op("MatMul", {x.id, weights({x.shape.back(), N})});
    if (random_.chance(0.4)) return y;
    const NodeInput bias = parameter(offset({N}));
    return random_.chance(0.5) ? op("Add", {y.id, bias}) : op("Add", {bias, y.id});
  }

  /// Attributes of a window over the axes behind the channels; `kernel` gets its extents.
  Attributes window(const Flow& x, Ints& kernel) {
    Attributes attributes;
    Ints pads(2 * (x.rank() - 2), 0);
    Ints strides;
    for (std::size_t i = 2; i < x.rank(); ++i) {
      kernel.push_back(random_.integer(1, std::min<std::int64_t>(3, x.shape[i])));
      strides.push_back(random_.integer(1, 2));
    }
    if (random_.chance(0.1)) {
      attributes["auto_pad"] = std::string(random_.chance(0.5) ? "SAME_UPPER" : "SAME_LOWER");
    } else if (random_.chance(0.4)) {
      for (std::size_t i = 0; i < pads.size(); ++i)
        pads[i] = random_.integer(0, kernel[i % kernel.size()] - 1);
      attributes["pads"] = pads;
    }
    if (random_.chance(0.4)) attributes["strides"] = strides;
    return attributes;
  }

  std::int64_t group_of(std::int64_t channels) {
    Ints divisors;
    for (std::int64_t g = 1; g <= channels; ++g) {
      if (channels % g == 0) divisors.push_back(g);
    }
    return random_.chance(0.5) ? 1 : random_.pick(divisors);
  }

  Flow conv(const Flow& x) {
    Ints kernel;
    Attributes attributes = window(x, kernel);
    const std::int64_t group = group_of(x.channels());
    const std::int64_t out = group * random_.integer(1, std::max<std::int64_t>(1, kMaxChannels / group));
    if (group != 1) attributes["group"] = group;
    // With auto_pad, onnx 1.14 and older infer the wrong shape for ConvTranspose.
    const bool transposed = random_.chance(0.15) && !attributes.contains("auto_pad");
    Shape W{transposed ? x.channels() : out, (transposed ? out : x.channels()) / group};
    for (const std::int64_t extent : kernel) W.push_back(extent);
    if (random_.chance(0.3)) attributes["kernel_shape"] = kernel;
    std::vector<NodeInput> inputs{x.id, weights(W)};
    if (random_.chance(0.5)) inputs.emplace_back(parameter(offset({out})));
    return op(transposed ? "ConvTranspose" : "Conv", inputs, attributes);
  }

  Flow linear(const Flow& x) {
    if (x.rank() == 2) return random_.chance(0.6) ? gemm(x) : matmul(x);
    return random_.chance(0.8) ? conv(x) : matmul(x);
  }

  // ------------------------------------------------------------ affine maps

  Flow batch_normalization(const Flow& x) {
    const Shape C{x.channels()};
    Attributes attributes;
    if (random_.chance(0.5)) attributes["epsilon"] = random_.pick<float>({1e-3F, 1e-5F, 0.1F});
    return op("BatchNormalization",
              {x.id, parameter(gamma(C)), parameter(offset(C)), parameter(offset(C)), parameter(variance(C))},
              attributes);
  }

  /// A shape that broadcasts against x: mostly one number per channel or one for all.
  Shape operand_shape(const Flow& x) {
    const double kind = random_.real(0.0, 1.0);
    if (kind < 0.15) return {};
    if (kind < 0.2) return {1};
    std::size_t axis = kind < 0.8 ? 1
                                  : static_cast<std::size_t>(random_.integer(
                                        dynamic_ ? 1 : 0, static_cast<std::int64_t>(x.rank()) - 1));
    Shape shape = Shape::filled(x.rank() - axis, 1);
    shape[0] = x.shape[axis];
    if (random_.chance(0.05) && x.shape[axis] == 1) shape[0] = random_.integer(2, 3);
    if (random_.chance(0.05)) shape[shape.rank() - 1] = x.shape.back();
    if (random_.chance(0.3)) {
      while (shape.rank() < x.rank()) shape.insert(0, 1);
    }
    return shape;
  }

  Flow binary(const char* op_type, const Flow& x, const Tensor& constant, bool constant_first) {
    const NodeInput c = parameter(constant);
    return constant_first ? op(op_type, {c, x.id}) : op(op_type, {x.id, c});
  }

  Flow disguise(Flow x) {
    for (std::int64_t left = random_.integer(1, 3); left > 0; --left) {
      const Shape shape = operand_shape(x);
      const bool swapped = random_.chance(0.4);
      switch (random_.integer(0, 6)) {
        case 0:
        case 1:
          x = binary("Mul", x, gamma(shape), swapped);
          break;
        case 2:
          x = binary("Add", x, offset(shape), swapped);
          break;
        case 3:
          x = binary("Sub", x, offset(shape), swapped);
          break;
        case 4:
          x = binary("Div", x, uniform(shape, 0.5, 2.0), false);
          break;
        case 5:
          x = binary(random_.chance(0.5) ? "Sum" : "Mean", x, offset(shape), swapped);
          break;
        default:
          x = op("Neg", x);
      }
    }
    return x;
  }

  /// The operators that exporters write for BatchNormalization, parameters computed in the graph.
  Flow decomposed(const Flow& x) {
    Shape C = Shape::filled(x.rank() - 1, 1);
    C[0] = x.channels();
    const Flow with_epsilon = op("Add", {parameter(variance(C)), uniform({}, 1e-3, 1e-2)});
    const Flow deviation = op("Sqrt", with_epsilon);
    const ValueId mean = parameter(offset(C));
    if (random_.chance(0.5)) {
      const Flow factor = op("Mul", {op("Reciprocal", deviation).id, parameter(gamma(C))});
      const Flow shift = op("Sub", {parameter(offset(C)), op("Mul", {mean, factor.id}).id});
      return op("Add", {op("Mul", {x.id, factor.id}).id, shift.id});
    }
    const Flow centred = op("Sub", {x.id, mean});
    const Flow normalised = op("Div", {centred.id, deviation.id});
    return op("Add", {op("Mul", {parameter(gamma(C)), normalised.id}).id, parameter(offset(C))});
  }

  Flow affine(const Flow& x) {
    const double kind = random_.real(0.0, 1.0);
    return kind < 0.5 ? batch_normalization(x) : kind < 0.85 ? disguise(x) : decomposed(x);
  }

  // ------------------------------------------------------------ the rest

  Flow activation(const Flow& x) {
    const std::string op_type =
        random_.pick<std::string>({"Relu", "Relu", "LeakyRelu", "PRelu", "Tanh", "Sigmoid"});
    if (op_type == "PRelu") {
      Shape slope = Shape::filled(x.rank() - 1, 1);
      slope[0] = random_.chance(0.5) ? x.channels() : 1;
      return op(op_type, {x.id, parameter(uniform(slope, -0.5, 1.0))});
    }
    if (op_type != "LeakyRelu") return op(op_type, x);
    return op(op_type, x, {{"alpha", random_.pick<float>({0.01F, 0.25F, -0.5F})}});
  }

  Flow pool(const Flow& x) {
    if (random_.chance(0.2)) return op(random_.chance(0.7) ? "GlobalAveragePool" : "GlobalMaxPool", x);
    if (random_.chance(0.2)) {
      const std::int64_t axis = random_.integer(1, static_cast<std::int64_t>(x.rank()) - 1);
      return op("ReduceMean", x, {{"axes", Ints{axis}}, {"keepdims", random_.integer(0, 1)}});
    }
    Ints kernel;
    Attributes attributes = window(x, kernel);
    attributes["kernel_shape"] = kernel;
    if (opset_ >= 10 && random_.chance(0.2)) attributes["ceil_mode"] = 1;
    if (random_.chance(0.5)) return op("MaxPool", x, attributes);
    if (random_.chance(0.5)) attributes["count_include_pad"] = 1;
    return op("AveragePool", x, attributes);
  }

  Flow identity(const Flow& x) {
    switch (random_.integer(0, 2)) {
      case 0:
        return op("Identity", x);
      case 1:
        return op("Cast", x, {{"to", static_cast<std::int64_t>(dtype_)}});
      default: {
        if (opset_ < 12) return op("Dropout", x, {{"ratio", 0.25F}});
        std::vector<NodeInput> inputs{x.id};
        if (random_.chance(0.5)) inputs.emplace_back(Tensor({}, std::vector<float>{0.25F}));
        if (inputs.size() == 2 && random_.chance(0.5)) inputs.emplace_back(Tensor(DType::boolean, {}));
        return op("Dropout", inputs);
      }
    }
  }

  Flow with_axes(const char* op_type, const Flow& x, const Ints& axes) {
    if (opset_ < 13) return op(op_type, x, {{"axes", axes}});
    return op(op_type, {x.id, Tensor({static_cast<std::int64_t>(axes.size())}, axes)});
  }

  Flow reshape(const Flow& x, const Ints& dims) {
    return op("Reshape", {x.id, Tensor({static_cast<std::int64_t>(dims.size())}, dims)});
  }

  Flow move(const Flow& x) {
    switch (random_.integer(0, 4)) {
      case 0:
        return op("Flatten", x);
      case 1: {
        if (x.rank() == kMaxRank) return reshape(x, {0, 0, -1});
        Ints unit_axes;
        for (std::size_t i = 1; i < x.rank(); ++i) {
          if (x.shape[i] == 1) unit_axes.push_back(static_cast<std::int64_t>(i));
        }
        if (x.rank() > 2 && !unit_axes.empty() && random_.chance(0.5))
          return with_axes("Squeeze", x, {random_.pick(unit_axes)});
        return with_axes("Unsqueeze", x, {random_.integer(1, static_cast<std::int64_t>(x.rank()))});
      }
      case 2: {  // any factors of the features, in row-major order
        const std::int64_t features = x.shape.elements(1, x.rank());
        const std::int64_t first = group_of(features);
        if (first > kMaxChannels || features / first > kMaxExtent) return reshape(x, {-1, features});
        return random_.chance(0.5) ? reshape(x, {-1, first, features / first})
                                   : reshape(x, {dynamic_ ? -1 : x.shape[0], first, 1, features / first});
      }
      case 3: {
        if (x.rank() == 2) return op("Transpose", op("Transpose", x), {{"perm", Ints{1, 0}}});
        Ints perm(x.rank());
        std::iota(perm.begin(), perm.end(), 0);
        std::swap(perm[static_cast<std::size_t>(random_.integer(1, static_cast<std::int64_t>(x.rank()) - 1))],
                  perm.back());
        return op("Transpose", x, {{"perm", perm}});
      }
      default: {  // a map between two transpositions
        Ints perm(x.rank());
        std::iota(perm.begin(), perm.end(), 0);
        std::swap(perm[random_.chance(0.3) ? 0 : 1], perm.back());
        const Flow turned = op("Transpose", x, {{"perm", perm}});
        const bool batch_moved = perm[0] != 0;
        const Flow mapped = batch_moved ? op("Mul", {turned.id, parameter(gamma({}))}) : affine(turned);
        return op("Transpose", mapped, {{"perm", perm}});
      }
    }
  }

  Flow any(const Flow& x) {
    const double kind = random_.real(0.0, 1.0);
    if (kind < 0.2) return linear(x);
    if (kind < 0.4) return affine(x);
    if (kind < 0.55) return affine(linear(x));
    if (kind < 0.66) return linear(affine(x));
    if (kind < 0.78) return activation(x);
    if (kind < 0.85) return identity(x);
    return x.rank() > 2 && random_.chance(0.5) ? pool(x) : move(x);
  }

  /// Two values that meet again, where their shapes allow it.
  void join(const Flow& a, const Flow& b) {
    if (a.shape == b.shape) {
      const std::string op_type = random_.pick<std::string>({"Add", "Add", "Add", "Sub", "Sum", "Mul"});
      flows_.push_back(op(op_type, {a.id, b.id}));
      return;
    }
    if (a.rank() != b.rank()) return;
    for (const std::size_t axis : {std::size_t{1}, a.rank() - 1}) {
      Shape same = b.shape;
      same[axis] = a.shape[axis];
      if (same == a.shape && a.shape[axis] + b.shape[axis] <= 2 * kMaxChannels) {
        flows_.push_back(op("Concat", {a.id, b.id}, {{"axis", static_cast<std::int64_t>(axis)}}));
        return;
      }
    }
  }

  void add_step() {
    const Flow x = random_.chance(0.85) ? flows_.back() : random_.pick(flows_);
    const double kind = random_.real(0.0, 1.0);
    if (kind < 0.06) {
      join(x, random_.pick(flows_));
    } else if (kind < 0.16) {
      const Flow left = any(x);
      const Flow right = random_.chance(0.4) ? x : any(x);
      flows_.push_back(left);
      if (right.id != x.id) flows_.push_back(right);
      join(left, right);
    } else {
      flows_.push_back(any(x));
    }
    const Flow& last = flows_.back();
    if (random_.chance(0.03) && !b_.graph().value(last.id).is_input && !b_.graph().value(last.id).is_output)
      b_.output(last.id);
  }

  std::uint64_t seed_;
  Random random_;
  GraphBuilder b_;
  std::int64_t opset_ = 0;
  DType dtype_ = DType::float32;
  std::int64_t rows_ = 0;
  bool dynamic_ = false;
  std::vector<Flow> flows_;
  std::vector<std::pair<Shape, ValueId>> weights_;
  std::map<ValueId, Shape> shapes_;  ///< of everything that nodes read and write but constants
  std::map<ValueId, Tensor> data_;   ///< of the graph's inputs
};

std::string to_string(const Tensor& tensor) {
  std::string text = std::string(name_of(tensor.dtype())) + bnrun::to_string(tensor.shape());
  if (tensor.elements() <= 40 && tensor.dtype() != DType::string)
    text += fmt::format(" {:.9g}", fmt::join(read_doubles(convert(tensor, DType::float64)), " "));
  return text;
}

std::string to_string(const AttributeValue& value) {
  return std::visit(
      []<class T>(const T& v) -> std::string {
        if constexpr (std::is_same_v<T, Tensor>)
          return to_string(v);
        else if constexpr (std::is_same_v<T, std::shared_ptr<const Graph>>)
          return "{" + listing(*v) + "}";
        else if constexpr (std::is_same_v<T, OpaqueAttribute> || std::is_same_v<T, std::vector<Tensor>>)
          return "...";
        else
          return fmt::format("{}", v);
      },
      value);
}

}  // namespace

Recipe Recipe::of(std::uint64_t seed) {
  Recipe recipe{seed, {}};
  recipe.steps.resize(static_cast<std::size_t>(Random(seed, kGraphStream - 1).integer(2, 9)));
  std::iota(recipe.steps.begin(), recipe.steps.end(), 0U);
  return recipe;
}

RandomNetwork random_network(const Recipe& recipe) {
  return Generator(recipe).finish();
}

std::string listing(const Graph& graph) {
  std::string text = fmt::format("opset {}\n", graph.opset(""));
  const auto names = [&](const std::vector<ValueId>& ids) {
    std::vector<std::string> list;
    for (const ValueId id : ids) list.push_back(id.valid() ? graph.value(id).name : "-");
    return list;
  };
  for (const ValueId id : graph.live_values()) {
    const Value& value = graph.value(id);
    if (value.is_input) text += fmt::format("input {}: {}\n", value.name, to_string(value.type));
    if (value.constant.defined())
      text += fmt::format("constant {}: {}\n", value.name, to_string(value.constant));
  }
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    text += fmt::format("{} = {}({})", fmt::join(names(node.outputs), ", "), node.op_type,
                        fmt::join(names(node.inputs), ", "));
    for (const auto& [name, value] : node.attributes) text += fmt::format(" {}={}", name, to_string(value));
    text += "  # " + node.name + "\n";
  }
  text += fmt::format("outputs {}\n", fmt::join(names(graph.outputs()), ", "));
  return text;
}

}  // namespace bnrun::testing
