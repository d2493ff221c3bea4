// Model: what onnx/ reads and writes, and the graph between.
#include "bnrun/model.h"

#include <istream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/model_access.h"
#include "base/fail.h"
#include "onnx/read.h"
#include "onnx/write.h"
#include "op/labelled.h"
#include "passes/prepare.h"

namespace bnrun {

struct Model::State {
  Graph graph;
  ModelMetadata metadata;
  std::shared_ptr<const OnnxSource> source;
};

struct ModelAccess {
  static Graph& graph(Model& model) { return model.state_->graph; }
  static const Graph& graph(const Model& model) { return model.state_->graph; }
  static Model make(Model::State state) { return Model(std::make_unique<Model::State>(std::move(state))); }
};

namespace {

/// Undefined unless the operator that computes the value gives its columns names.
Tensor labels_of(const Graph& graph, const Value& value) {
  const Op* op = value.producer.valid() ? graph.node(value.producer).op.get() : nullptr;
  const auto* labelled = dynamic_cast<const Labelled*>(op);
  return labelled != nullptr ? labelled->labels() : Tensor();
}

/// Undefined unless an operator reads the input as categories of its type.
Tensor categories_of(const Graph& graph, const Value& input) {
  for (const NodeId user : input.users) {
    const auto* categorical = dynamic_cast<const Categorical*>(graph.node(user).op.get());
    const Tensor known = categorical != nullptr ? categorical->categories() : Tensor();
    if (known.defined() && known.dtype() == input.type.dtype) return known;
  }
  return {};
}

std::vector<std::string> as_text(const Tensor& labels) {
  std::vector<std::string> texts;
  if (labels.dtype() == DType::string) {
    const auto names = labels.span<std::string>();
    texts.assign(names.begin(), names.end());
  } else {
    for (const std::int64_t label : labels.span<std::int64_t>()) texts.push_back(std::to_string(label));
  }
  return texts;
}

/// Of a JSON array of strings; nothing of any other text.
std::vector<std::string> parse_list(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const bool is_list = json.is_array() && std::all_of(json.begin(), json.end(),
                                                      [](const auto& item) { return item.is_string(); });
  return is_list ? json.get<std::vector<std::string>>() : std::vector<std::string>{};
}

std::vector<PortInfo> describe_ports(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<PortInfo> ports;
  for (const ValueId id : ids) {
    const Value& value = graph.value(id);
    PortInfo port{value.name, value.type.dtype, std::nullopt, value.overridable,
                  value.producer.valid() ? labels_of(graph, value) : categories_of(graph, value)};
    if (value.type.dims) {
      port.dims.emplace();
      for (const Dim& dim : *value.type.dims) {
        if (dim.known())
          port.dims->push_back({dim.extent(), {}});
        else
          port.dims->push_back({std::nullopt, dim.symbolic() ? dim.name() : "?"});
      }
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

}  // namespace

Graph& graph_of(Model& model) {
  return ModelAccess::graph(model);
}
const Graph& graph_of(const Model& model) {
  return ModelAccess::graph(model);
}
Model make_model(Graph graph, ModelMetadata metadata, std::shared_ptr<const OnnxSource> source) {
  return ModelAccess::make({std::move(graph), std::move(metadata), std::move(source)});
}

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::Model(const Model& other) : Model(std::make_unique<State>(*other.state_)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model other) noexcept {
  state_ = std::move(other.state_);
  return *this;
}
Model::~Model() = default;

Model Model::load(const std::filesystem::path& path) {
  auto read = read_model(path, infer_types);
  return make_model(std::move(read.graph), std::move(read.metadata), std::move(read.source));
}
Model Model::parse(std::span<const std::byte> bytes, const std::filesystem::path& folder) {
  auto read = parse_model(bytes, folder, infer_types);
  return make_model(std::move(read.graph), std::move(read.metadata), std::move(read.source));
}
Model Model::read(std::istream& stream, const std::filesystem::path& folder) {
  const std::string bytes(std::istreambuf_iterator<char>(stream), {});
  if (stream.bad()) fail(ErrorCode::io, "the stream that holds the model cannot be read");
  return parse(std::as_bytes(std::span(bytes)), folder);
}
void Model::save(const std::filesystem::path& path, ExternalData external_data) const {
  write_model(state_->graph, state_->metadata, state_->source.get(), path, external_data);
}
void Model::write(std::ostream& stream) const {
  write_model(state_->graph, state_->metadata, state_->source.get(), stream);
}

std::vector<PortInfo> Model::inputs() const {
  return describe_ports(state_->graph, state_->graph.inputs());
}
std::vector<PortInfo> Model::outputs() const {
  return describe_ports(state_->graph, state_->graph.outputs());
}
const ModelMetadata& Model::metadata() const {
  return state_->metadata;
}
ModelMetadata& Model::metadata() {
  return state_->metadata;
}
std::vector<std::string> Model::class_names() const {
  for (const PortInfo& port : outputs()) {
    if (port.labels.defined()) return as_text(port.labels);
  }
  const auto found = state_->metadata.properties.find("bnrun.classes");
  return found != state_->metadata.properties.end() ? parse_list(found->second) : std::vector<std::string>{};
}

}  // namespace bnrun
