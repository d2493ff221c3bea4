#include "train/import/read_layers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>
#include <optional>
#include <set>
#include <string_view>

#include "base/fail.h"
#include "graph/node_query.h"

namespace bnrun::train {
namespace {

using Kind = bnrun::Activation::Kind;

template <class... Args>
[[noreturn]] void refuse(const Graph& graph, NodeId id, fmt::format_string<Args...> format, Args&&... args) {
  fail(ErrorCode::unsupported, "{}: {}", describe(graph, id),
       fmt::format(format, std::forward<Args>(args)...));
}

template <class V>
V attribute(const Node& node, std::string_view name, V otherwise) {
  const auto found = node.attributes.find(name);
  const auto* value = found == node.attributes.end() ? nullptr : std::get_if<V>(&found->second);
  return value == nullptr ? otherwise : *value;
}

/// The number that a constant of one element holds.
std::optional<double> number_in(const Graph& graph, ValueId id) {
  const Tensor* tensor = id.valid() ? graph.value(id).as_constant() : nullptr;
  if (tensor == nullptr || tensor->dtype() != DType::float32 || tensor->elements() != 1) return std::nullopt;
  return static_cast<double>(tensor->span<float>()[0]);
}

class LayerReader {
 public:
  explicit LayerReader(const Graph& graph) : graph_(graph), order_(graph.topological_order()) {}

  ReadLayers read() {
    find_first();
    for (const NodeId id : order_) {
      if (before_.contains(id) || taken_.contains(id)) continue;
      read_node(id);
    }
    if (graph_.outputs().size() != 1 || graph_.outputs()[0] != current_)
      fail(ErrorCode::unsupported,
           "the model has {} outputs, and to be trained it needs one, that of its last layer",
           graph_.outputs().size());
    return std::move(read_);
  }

 private:
  const Node& node(NodeId id) const { return graph_.node(id); }
  bool multiplies(NodeId id) const {
    const auto& type = node(id).op_type;
    return node(id).op != nullptr && node(id).domain.empty() && (type == "Gemm" || type == "MatMul");
  }
  std::optional<DenseForm> dense_of(NodeId id) const {
    return node(id).op != nullptr ? node(id).op->as_dense(NodeArgs(graph_, id).get()) : std::nullopt;
  }
  bool normalizes(NodeId id) const {
    const auto& type = node(id).op_type;
    return (type == "BatchNormalization" || type == "LayerNormalization") && node(id).domain.empty();
  }
  std::int64_t width_of(ValueId id) const {
    const auto& type = graph_.value(id).type;
    return type.ranked() && type.rank() == 2 && (*type.dims)[1].known() ? (*type.dims)[1].extent() : 0;
  }

  void find_first() {
    const auto found = std::ranges::find_if(
        order_, [this](NodeId id) { return normalizes(id) || dense_of(id).has_value(); });
    if (found == order_.end()) {
      for (const NodeId id : order_) say_what_hinders(id);
      fail(ErrorCode::unsupported,
           "the model has no Gemm, MatMul or BatchNormalization of constant weights: there is nothing to "
           "train");
    }
    current_ = read_.first = node(*found).inputs[0];
    collect(current_);
    for (const NodeId id : order_) {
      if (!before_.contains(id)) continue;
      const bool computes =
          node(id).op == nullptr || node(id).op->macs(NodeArgs(graph_, id).get()).number() != 0;
      if (computes || !node(id).captures.empty())
        refuse(graph_, id,
               "it stands before the first Gemm, MatMul or BatchNormalization of rows, and is no layer that "
               "can be "
               "trained; train what follows on what it computes, as a model of its own");
      read_.before.push_back(id);
    }
    read_.inputs = width_of(current_);
    const auto& type = graph_.value(current_).type;
    if (read_.inputs < 1 || type.dtype != DType::float32)
      refuse(graph_, *found, "it takes {}, and a layer to be trained takes float32 rows of a known width",
             to_string(type));
    if ((*type.dims)[0].known())
      refuse(graph_, *found,
             "it takes {} rows, no more and no fewer; export the model with a dynamic batch axis",
             (*type.dims)[0].extent());
    at_[current_] = 0;
  }

  /// Throws naming a Gemm or MatMul that is no dense layer, and why.
  void say_what_hinders(NodeId id) const {
    if (!multiplies(id)) return;
    const auto& inputs = node(id).inputs;
    const Value& weights = graph_.value(inputs[1]);
    const ValueType& rows = graph_.value(inputs[0]).type;
    if (weights.as_constant() == nullptr)
      refuse(graph_, id,
             "its matrix is computed, or may be given by the caller: weights to train are constants");
    if (weights.type.dtype != DType::float32)
      refuse(
          graph_, id,
          "its weights are {}, and what is trained is float32: train the float32 model that it was made of",
          name_of(weights.type.dtype));
    if (rows.ranked() && rows.rank() < 2)
      refuse(graph_, id, "it takes {}, a single row without a batch axis: export the model with one in front",
             to_string(rows));
  }

  /// The nodes that a value is made by.
  void collect(ValueId id) {
    const NodeId producer = graph_.value(id).producer;
    if (!producer.valid() || !before_.insert(producer).second) return;
    for (const ValueId input : node(producer).inputs) {
      if (input.valid()) collect(input);
    }
  }

  std::vector<ValueId> data_inputs(NodeId id) const {
    std::vector<ValueId> data;
    for (const ValueId input : node(id).inputs) {
      if (input.valid() && graph_.value(input).as_constant() == nullptr) data.push_back(input);
    }
    return data;
  }

  void read_node(NodeId id) {
    const auto data = data_inputs(id);
    if (data.size() == 2 && read_sum(id, data)) return;
    if (data.size() != 1 || data[0] != current_ || !node(id).captures.empty())
      refuse(graph_, id,
             "it does not stand behind the layer before it alone; a network to be trained is one chain of "
             "layers, with "
             "sums around blocks of them");
    if (read_gelu(id) || read_dense(id) || read_normalization(id) || read_elementwise(id)) return;
    if (read_tail(id)) return;
    refuse(graph_, id,
           "it is no layer that can be trained (Gemm, MatMul, BatchNormalization, LayerNormalization, Relu, "
           "LeakyRelu, Elu, "
           "Selu, Gelu, Tanh, Sigmoid, Softmax, Dropout, sums around blocks); a quantised model is trained "
           "as the "
           "float model that it was made of");
  }

  /// Layers go on behind node `id`, whose output is that of the last of them.
  void go_on(NodeId id) {
    taken_.insert(id);
    current_ = node(id).outputs[0];
    at_[current_] = read_.layers.size();
  }
  void add(NodeId id, LayerSpec layer) {
    if (tail_.valid())
      refuse(graph_, tail_,
             "it maps values between layers; fold it into them first (bnfold), and train that model");
    if (width_of(node(id).outputs[0]) < 1)
      refuse(graph_, id, "it gives {}, and a layer gives rows of a known width",
             to_string(graph_.value(node(id).outputs[0]).type));
    read_.layers.push_back(std::move(layer));
    go_on(id);
  }
  /// The weights of an input of `id` as the model holds them, times a factor that the layer has no place for.
  void append(NodeId id, const Tensor* tensor, std::int64_t count, double factor = 1.0) {
    if (tensor == nullptr || tensor->dtype() != DType::float32 || tensor->elements() != count)
      refuse(graph_, id, "its weights are no {} constant float32 numbers", count);
    for (const float value : tensor->span<float>())
      read_.weights.push_back(static_cast<float>(factor * static_cast<double>(value)));
  }

  bool read_sum(NodeId id, const std::vector<ValueId>& data) {
    if (node(id).op_type != "Add" || !node(id).domain.empty()) return false;
    const ValueId other = data[0] == current_ ? data[1] : data[0];
    const auto found = at_.find(other);
    if ((data[0] != current_ && data[1] != current_) || found == at_.end()) return false;
    if (width_of(other) != width_of(current_) || found->second == read_.layers.size()) return false;
    add(id, Shortcut{static_cast<std::int64_t>(read_.layers.size() - found->second)});
    return true;
  }

  /// x * 0.5 * (1 + erf(x / sqrt(2))), as exporters write it that have no operator for it.
  bool read_gelu(NodeId id) {
    const auto near = [](std::optional<double> x, double y) { return x && std::abs(*x - y) < 1e-4 * y; };
    const auto next = [this](NodeId from, std::string_view op_type) {
      const NodeId reader = sole_reader(graph_, node(from).outputs[0]);
      return reader.valid() && node(reader).op_type == op_type ? reader : NodeId{};
    };
    /// What a node of two inputs takes besides the output of another.
    const auto other = [this](NodeId of, NodeId than) {
      const auto& inputs = node(of).inputs;
      return inputs[0] == node(than).outputs[0] ? inputs[1] : inputs[0];
    };
    const auto& inputs = node(id).inputs;
    const bool scaled =
        inputs.size() == 2 && inputs[0] == current_ &&
        ((node(id).op_type == "Div" && near(number_in(graph_, inputs[1]), std::numbers::sqrt2)) ||
         (node(id).op_type == "Mul" && near(number_in(graph_, inputs[1]), 1.0 / std::numbers::sqrt2)));
    if (!scaled) return false;
    const NodeId erf = next(id, "Erf");
    const NodeId sum = erf.valid() ? next(erf, "Add") : NodeId{};
    const NodeId one = sum.valid() ? next(sum, "Mul") : NodeId{};
    const NodeId two = one.valid() ? next(one, "Mul") : NodeId{};
    if (!two.valid() || !near(number_in(graph_, other(sum, erf)), 1.0)) return false;
    const ValueId a = other(one, sum);
    const ValueId b = other(two, one);
    const bool gelu = (a == current_ && near(number_in(graph_, b), 0.5)) ||
                      (b == current_ && near(number_in(graph_, a), 0.5));
    if (!gelu) return false;
    taken_.insert({id, erf, sum, one});
    add(two, Activation::gelu);
    return true;
  }

  bool read_dense(NodeId id) {
    const auto form = dense_of(id);
    if (!form) return false;
    const std::int64_t K = form->W.shape()[0];
    const std::int64_t N = form->W.shape()[1];
    if (K != width_of(current_)) return false;
    add(id, Dense{.units = N, .use_bias = form->b.defined()});
    append(id, &form->W, K * N, form->alpha);
    if (form->b.defined())
      append(id, &form->b, N, form->beta);
    else
      read_bias(id, N);
    return true;
  }

  /// The Add behind a MatMul.
  void read_bias(NodeId dense, std::int64_t units) {
    const NodeId id = sole_reader(graph_, current_);
    if (!id.valid() || node(id).op == nullptr || normalizes(id)) return;
    const auto form = node(id).op->as_affine(NodeArgs(graph_, id).get());
    const auto* map = std::get_if<AffineForm>(&form);
    if (map == nullptr || map->affine.has_scale() || (!map->affine.uniform() && map->affine.axis != 1))
      return;
    if (width_of(node(id).outputs[0]) != units || data_inputs(id).size() != 1) return;
    std::get<Dense>(read_.layers.back()).use_bias = true;
    const auto wide = map->affine.on_axis(1, static_cast<std::size_t>(units));
    for (const double b : wide.shift) read_.weights.push_back(static_cast<float>(b));
    taken_.insert(dense);
    go_on(id);
  }

  bool read_normalization(NodeId id) {
    if (!normalizes(id)) return false;
    const Node& n = node(id);
    const std::int64_t C = width_of(current_);
    const auto constant = [&](std::size_t i) {
      return i < n.inputs.size() && n.inputs[i].valid() ? graph_.value(n.inputs[i]).as_constant() : nullptr;
    };
    const auto epsilon = static_cast<double>(attribute(n, "epsilon", 1e-5F));
    if (n.op_type == "LayerNormalization") {
      const auto axis = attribute(n, "axis", std::int64_t{-1});
      if ((axis != -1 && axis != 1) || n.outputs.size() > 1) return false;
      const bool center = n.inputs.size() > 2 && n.inputs[2].valid();
      add(id, LayerNormalization{.epsilon = epsilon, .center = center});
      append(id, constant(1), C);
      if (center) append(id, constant(2), C);
      return true;
    }
    if (attribute(n, "training_mode", std::int64_t{0}) != 0 || n.outputs.size() > 1)
      refuse(graph_, id,
             "it is in training mode; convert the model first (bnfold --as-inference), or export it for "
             "inference");
    // Its momentum is that of ONNX, which is ours: what a step keeps.
    const double momentum = std::clamp(static_cast<double>(attribute(n, "momentum", 0.9F)), 0.0, 0.9999);
    add(id, BatchNormalization{.momentum = momentum, .epsilon = epsilon});
    append(id, constant(1), C);
    append(id, constant(2), C);
    for (const std::size_t i : {std::size_t{3}, std::size_t{4}}) {
      const Tensor* values = constant(i);
      if (values == nullptr || values->dtype() != DType::float32 || values->elements() != C)
        refuse(graph_, id, "its mean and variance are no {} constant float32 numbers", C);
      for (const float value : values->span<float>()) read_.statistics.push_back(static_cast<double>(value));
    }
    return true;
  }

  bool read_elementwise(NodeId id) {
    const Node& n = node(id);
    if (n.op_type == "Dropout") {
      if (n.inputs.size() > 2 && n.inputs[2].valid() && !is_false(n.inputs[2])) return false;
      const auto ratio = n.inputs.size() > 1 ? number_in(graph_, n.inputs[1])
                                             : static_cast<double>(attribute(n, "ratio", 0.5F));
      add(id, Dropout{.rate = ratio.value_or(0.5)});
      return true;
    }
    if (n.op_type == "Softmax") {
      const auto axis = attribute(n, "axis", std::int64_t{graph_.opset("") < 13 ? 1 : -1});
      if (axis != -1 && axis != 1) return false;
      add(id, Activation::softmax);
      return true;
    }
    if (n.op == nullptr) return false;
    const auto function = n.op->as_activation(NodeArgs(graph_, id).get());
    if (function && function->kind != Kind::identity) {
      const auto layer = layer_of(*function);
      if (!layer) return false;
      add(id, *layer);
      return true;
    }
    // The same rows, the same columns, perhaps under another shape.
    const auto form = n.op->as_affine(NodeArgs(graph_, id).get());
    const auto* map = std::get_if<AffineForm>(&form);
    const bool same = (function && function->kind == Kind::identity) ||
                      (map != nullptr && map->affine.is_identity()) || keeps_order(n);
    if (!same || width_of(n.outputs[0]) != width_of(current_)) return false;
    go_on(id);
    return true;
  }

  /// Whether the elements of the first input come out one after the other as they lie.
  static bool keeps_order(const Node& n) {
    constexpr std::array<std::string_view, 4> kReshaping{"Reshape", "Flatten", "Squeeze", "Unsqueeze"};
    return n.domain.empty() && std::ranges::find(kReshaping, n.op_type) != kReshaping.end();
  }

  bool is_false(ValueId id) const {
    const Tensor* tensor = graph_.value(id).as_constant();
    return tensor != nullptr && tensor->dtype() == DType::boolean && tensor->elements() == 1 &&
           !tensor->span<bool>()[0];
  }

  static std::optional<LayerSpec> layer_of(const bnrun::Activation& function) {
    constexpr double kSeluAlpha = 1.6732632423543772;
    constexpr double kSeluScale = 1.0507009873554805;
    switch (function.kind) {
      case Kind::relu:
        return Activation::relu;
      case Kind::tanh:
        return Activation::tanh;
      case Kind::sigmoid:
        return Activation::sigmoid;
      case Kind::gelu:
        return Activation::gelu;
      case Kind::leaky_relu:
        return LeakyRelu{.alpha = function.alpha};
      case Kind::elu:
        return Elu{.alpha = function.alpha};
      case Kind::selu:
        if (std::abs(function.alpha - kSeluAlpha) > 1e-6 || std::abs(function.beta - kSeluScale) > 1e-6)
          return std::nullopt;
        return Activation::selu;
      default:
        return std::nullopt;
    }
  }

  /// A map of each column that may end the network: with it targets were scaled.
  bool read_tail(NodeId id) {
    if (node(id).op == nullptr || read_.layers.empty()) return false;
    const auto form = node(id).op->as_affine(NodeArgs(graph_, id).get());
    const auto* map = std::get_if<AffineForm>(&form);
    if (map == nullptr || (!map->affine.uniform() && map->affine.axis != 1)) return false;
    const auto width = static_cast<std::size_t>(width_of(current_));
    if (width == 0 || width_of(node(id).outputs[0]) != width_of(current_)) return false;
    if (!tail_.valid()) tail_ = id;
    if (read_.slope.empty()) {
      read_.slope.assign(width, 1.0);
      read_.shift.assign(width, 0.0);
    }
    const auto wide = map->affine.on_axis(1, width);
    for (std::size_t c = 0; c < width; ++c) {
      read_.slope[c] *= wide.scale[c];
      read_.shift[c] = read_.shift[c] * wide.scale[c] + wide.shift[c];
    }
    go_on(id);
    return true;
  }

  const Graph& graph_;
  std::vector<NodeId> order_;
  std::set<NodeId> before_;            // make what the first layer takes
  std::set<NodeId> taken_;             // are part of a layer that was read
  std::map<ValueId, std::size_t> at_;  // how many layers stand before a value
  ValueId current_;                    // what the last layer read gives
  NodeId tail_;                        // the first map behind the last layer
  ReadLayers read_;
};

}  // namespace

ReadLayers read_layers(const Graph& graph) {
  return LayerReader(graph).read();
}

}  // namespace bnrun::train
