#include "passes/fold/extents.h"

#include <algorithm>
#include <utility>

namespace bnrun {
namespace {

bool mentions(const Graph& graph, const std::string& name) {
  for (const ValueId id : graph.live_values()) {
    const auto& dims = graph.value(id).type.dims;
    if (dims && std::any_of(dims->begin(), dims->end(),
                            [&](const Dim& dim) { return dim.name().find(name) != std::string::npos; }))
      return true;
  }
  return false;
}

}  // namespace

NamedExtents::NamedExtents(Graph& graph) : graph_(graph) {
  while (mentions(graph, prefix_)) prefix_ += '_';
  std::size_t count = 0;
  for (const ValueId id : graph.inputs()) {
    ValueType type = graph.value(id).type;
    if (!type.dims) continue;
    for (Dim& dim : *type.dims) {
      if (!dim.known() && !dim.symbolic()) dim = Dim::symbol(prefix_ + std::to_string(count++));
    }
    graph.set_type(id, std::move(type));
  }
}

NamedExtents::~NamedExtents() {
  const auto named = [&](const std::string& name) { return name.find(prefix_) != std::string::npos; };
  for (const ValueId id : graph_.live_values()) {
    ValueType type = graph_.value(id).type;
    if (type.dims) {
      std::replace_if(
          type.dims->begin(), type.dims->end(), [&](const Dim& dim) { return named(dim.name()); }, Dim());
    }
    if (type.content) {
      std::replace_if(
          type.content->begin(), type.content->end(),
          [&](const Content& element) { return named(element.symbol); }, Content());
    }
    graph_.set_type(id, std::move(type));
  }
}

}  // namespace bnrun
