#include <algorithm>
#include <map>

#include "api/model_access.h"
#include "base/fail.h"
#include "bnrun/train_tune.h"
#include "passes/prepare.h"
#include "train/export/stages.h"
#include "train/import/read_layers.h"
#include "train/network.h"

namespace bnrun::train {
namespace {

Graph prepared(const Model& model) {
  Graph graph = graph_of(model);
  prepare(graph);
  return graph;
}

bool ends_in(const std::vector<LayerSpec>& layers, Activation kind) {
  const auto* last = layers.empty() ? nullptr : std::get_if<Activation>(&layers.back());
  return last != nullptr && *last == kind;
}

/// Copies the inputs of a graph and the nodes that make `value` of them.
class PrefixCopy {
 public:
  PrefixCopy(const Graph& from, const ReadLayers& read) : from_(from) {
    to_.name = from.name;
    to_.opsets = from.opsets;
    constexpr std::int64_t kFirst = 13;  // quantises by channel; takes axes as inputs
    constexpr std::int64_t kUsual = 17;
    auto& opset = to_.opsets[""];
    if (opset < kFirst && !read.before.empty())
      fail(ErrorCode::unsupported,
           "its operators are of opset {}, and what is trained is written in {} or later; convert it first "
           "(onnx.version_converter), or export it anew",
           opset, kFirst);
    if (opset < kFirst) opset = kUsual;
    for (const ValueId id : from.inputs()) {
      const Value& value = from.value(id);
      if (value.as_constant() == nullptr && !value.overridable)
        known_[id] = to_.add_input(value.name, value.type);
    }
    for (const NodeId id : read.before) copy(id);
    first_ = copied(read.first);
  }

  Graph& graph() { return to_; }
  ValueId first() const { return first_; }

 private:
  ValueId copied(ValueId id) {
    if (!id.valid()) return {};
    const auto found = known_.find(id);
    if (found != known_.end()) return found->second;
    const Value& value = from_.value(id);
    return known_[id] = to_.add_constant(value.name, value.constant);
  }
  void copy(NodeId id) {
    Node node = from_.node(id);
    for (ValueId& input : node.inputs) input = copied(input);
    for (ValueId& output : node.outputs) {
      if (!output.valid()) continue;
      const Value& value = from_.value(output);
      const ValueId made = to_.add_value(value.name, value.type);
      known_[output] = made;
      output = made;
    }
    to_.add_node(std::move(node));
  }

  const Graph& from_;
  Graph to_;
  std::map<ValueId, ValueId> known_;
  ValueId first_;
};

}  // namespace

struct LoadedNetwork::State {
  State(const Model& model, std::optional<bool> asked)
      : graph(prepared(model)),
        metadata(model.metadata()),
        read(read_layers(graph)),
        labels(asked.value_or(tells_classes_apart())),
        network(read.inputs, layers_to_train()) {
    auto& stack = network.state().stack;
    if (read.weights.size() != stack.weights().size())
      fail(ErrorCode::internal, "{} weights were read for {}", read.weights.size(), stack.weights().size());
    std::ranges::copy(read.weights, stack.weights().begin());
    stack.set_statistics(read.statistics);
    if (!read.slope.empty()) scale_target();
    if (labels && ends_in(stack.specs(), Activation::sigmoid)) network.set_loss(Loss::binary_cross_entropy);
  }

  std::int64_t outputs() const {
    const auto& type = graph.value(graph.outputs()[0]).type;
    return (*type.dims)[1].extent();
  }
  bool tells_classes_apart() const {
    return (outputs() > 1 && read.slope.empty()) || ends_in(read.layers, Activation::softmax) ||
           ends_in(read.layers, Activation::sigmoid);
  }
  std::vector<LayerSpec> layers_to_train() {
    auto layers = read.layers;
    const bool probabilities = ends_in(layers, Activation::softmax) || ends_in(layers, Activation::sigmoid);
    if (labels && !read.slope.empty())
      fail(ErrorCode::unsupported,
           "its outputs are scaled like numbers to predict, and the target is classes");
    if (!labels && ends_in(layers, Activation::softmax))
      fail(ErrorCode::unsupported, "it ends in Softmax, and the target is a number");
    if (labels && !probabilities) {
      layers.emplace_back(outputs() > 1 ? Activation::softmax : Activation::sigmoid);
      added = 1;
    }
    return layers;
  }
  /// y = slope * network + shift: the target was scaled by (t - shift) / slope.
  void scale_target() {
    Scaling scaling;
    for (std::size_t c = 0; c < read.slope.size(); ++c) {
      if (read.slope[c] == 0.0)
        fail(ErrorCode::unsupported, "its output {} is multiplied by 0 at the end: nothing leads to it",
             c + 1);
      scaling.offset.push_back(static_cast<float>(read.shift[c]));
      scaling.factor.push_back(static_cast<float>(1.0 / read.slope[c]));
    }
    network.set_target_scaling(std::move(scaling));
  }

  Graph graph;
  ModelMetadata metadata;
  ReadLayers read;
  bool labels;
  std::size_t added = 0;  // layers that the model does not have
  Network network;
};

LoadedNetwork::LoadedNetwork(const Model& model, std::optional<bool> labels)
    : state_(std::make_unique<State>(model, labels)) {}
LoadedNetwork::LoadedNetwork(LoadedNetwork&&) noexcept = default;
LoadedNetwork& LoadedNetwork::operator=(LoadedNetwork&&) noexcept = default;
LoadedNetwork::~LoadedNetwork() = default;

Network& LoadedNetwork::network() {
  return state_->network;
}
const Network& LoadedNetwork::network() const {
  return state_->network;
}
bool LoadedNetwork::labels() const {
  return state_->labels;
}

std::vector<float> LoadedNetwork::features(std::span<const NamedTensor> inputs) const {
  const auto values_of = [](const Tensor& tensor) {
    const auto values = tensor.span<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  if (state_->read.before.empty()) {
    const std::string& name = state_->graph.value(state_->read.first).name;
    const auto found = std::ranges::find(inputs, name, &NamedTensor::name);
    if (found == inputs.end()) fail(ErrorCode::invalid_input, "the input '{}' is missing", name);
    return values_of(found->tensor);
  }
  PrefixCopy prefix(state_->graph, state_->read);
  prefix.graph().add_output(prefix.first());
  const Session session(make_model(std::move(prefix.graph())));
  return values_of(session.run(inputs).at(0).tensor);
}

Model LoadedNetwork::model() const {
  PrefixCopy prefix(state_->graph, state_->read);
  const ValueId first = prefix.first();
  ChainWriter chain(std::move(prefix.graph()), first);
  const Network& network = state_->network;
  append_stages(chain, network, state_->added);
  append_scaling(chain, network.target_scaling().inverted(), "target", Shape{network.outputs()});
  const auto& graph = state_->graph;
  return make_model(chain.finish(graph.value(graph.outputs()[0]).name), state_->metadata);
}

}  // namespace bnrun::train
