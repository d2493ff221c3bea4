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
  for (const ValueId id : graph.live_values()) {
    if (graph.value(id).type.dims) declared_.emplace(id, *graph.value(id).type.dims);
  }
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
    const auto declared = declared_.find(id);
    for (std::size_t i = 0; type.dims && i < type.dims->size(); ++i) {
      if (named((*type.dims)[i].name()))
        (*type.dims)[i] = declared != declared_.end() ? declared->second.at(i) : Dim();
    }
    for (std::size_t i = 0; type.content && i < type.content->size(); ++i) {
      if (named((*type.content)[i].symbol)) (*type.content)[i] = {};
    }
    graph_.set_type(id, std::move(type));
  }
}

}  // namespace bnrun
