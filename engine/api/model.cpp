// Model: what onnx/ reads and writes, and the graph between.
#include "bnrun/model.h"

#include <utility>

#include "api/model_access.h"
#include "onnx/read.h"
#include "onnx/write.h"
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

std::vector<PortInfo> describe_ports(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<PortInfo> ports;
  for (const ValueId id : ids) {
    const Value& value = graph.value(id);
    PortInfo port{value.name, value.type.dtype, std::nullopt, value.overridable};
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
void Model::save(const std::filesystem::path& path, ExternalData external_data) const {
  write_model(state_->graph, state_->metadata, state_->source.get(), path, external_data);
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

}  // namespace bnrun
