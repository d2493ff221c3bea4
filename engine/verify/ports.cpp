#include "verify/ports.h"

#include <algorithm>

#include "base/fail.h"

namespace bnrun {
namespace {

/// How two ports of the same name differ; empty when they do not, as far as both are declared.
std::string port_difference(const ValueType& a, const ValueType& b) {
  if (a.dtype != b.dtype && a.dtype != DType::undefined && b.dtype != DType::undefined)
    return fmt::format("is {} in the first model and {} in the second", name_of(a.dtype), name_of(b.dtype));
  if (!a.dims || !b.dims) return "";
  if (a.dims->size() != b.dims->size()) {
    return fmt::format("has {} dimensions in the first model and {} in the second", a.dims->size(),
                       b.dims->size());
  }
  for (std::size_t i = 0; i < a.dims->size(); ++i) {
    const Dim& dim_a = (*a.dims)[i];
    const Dim& dim_b = (*b.dims)[i];
    if (dim_a.known() && dim_b.known() && dim_a.extent() != dim_b.extent())
      return fmt::format("has extent {} in the first model and {} in the second along axis {}",
                         dim_a.extent(), dim_b.extent(), i);
  }
  return "";
}

/// `list`: Graph::inputs or Graph::outputs.
MatchedPorts match_ports(const Graph& a, const Graph& b, const std::vector<ValueId>& (Graph::*list)() const,
                         const char* kind) {
  const auto& ports_a = (a.*list)();
  const auto& ports_b = (b.*list)();
  const auto find = [](const Graph& graph, const std::vector<ValueId>& ports, const std::string& name) {
    return std::ranges::find(
        ports, name, [&](ValueId id) -> auto& { return graph.value(id).name; });
  };
  MatchedPorts matched;
  for (const ValueId id : ports_a) {
    const Value& port = a.value(id);
    const auto found = find(b, ports_b, port.name);
    if (found == ports_b.end()) return {{}, fmt::format("the second model has no {} '{}'", kind, port.name)};
    if (const auto differs = port_difference(port.type, b.value(*found).type); !differs.empty())
      return {{}, fmt::format("{} '{}' {}", kind, port.name, differs)};
    matched.positions.push_back(static_cast<std::size_t>(found - ports_b.begin()));
  }
  for (const ValueId id : ports_b) {
    const std::string& name = b.value(id).name;
    if (find(a, ports_a, name) == ports_a.end())
      return {{}, fmt::format("the first model has no {} '{}'", kind, name)};
  }
  return matched;
}

}  // namespace

MatchedPorts match_inputs(const Graph& a, const Graph& b) {
  return match_ports(a, b, &Graph::inputs, "input");
}

MatchedPorts match_outputs(const Graph& a, const Graph& b) {
  return match_ports(a, b, &Graph::outputs, "output");
}

}  // namespace bnrun
