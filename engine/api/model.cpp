#include "bnrun/model.h"

#include "graph/graph.h"

namespace bnrun {
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

Model::Model(Graph graph, ModelMetadata metadata, std::shared_ptr<const ModelSource> source)
    : graph_(std::make_unique<Graph>(std::move(graph))),
      metadata_(std::move(metadata)),
      source_(std::move(source)) {}
Model::Model(const Model& other) : Model(*other.graph_, other.metadata_, other.source_) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model other) noexcept {
  graph_ = std::move(other.graph_);
  metadata_ = std::move(other.metadata_);
  source_ = std::move(other.source_);
  return *this;
}
Model::~Model() = default;

std::vector<PortInfo> Model::inputs() const {
  return describe_ports(*graph_, graph_->inputs());
}
std::vector<PortInfo> Model::outputs() const {
  return describe_ports(*graph_, graph_->outputs());
}

}  // namespace bnrun
