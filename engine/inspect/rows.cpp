// Whether a model computes each row by itself.
#include <algorithm>
#include <set>

#include "bnrun/error.h"
#include "graph/graph.h"
#include "graph/node_query.h"
#include "inspect/inspect.h"
#include "op/op.h"
#include "passes/prepare.h"

namespace bnrun {
namespace {

/// The inputs that are cut along their open axis 0; empty where one cannot be.
std::set<ValueId> rows_given(const Graph& graph) {
  std::set<ValueId> rows;
  for (const ValueId id : graph.inputs()) {
    const ValueType& type = graph.value(id).type;
    if (graph.value(id).constant.defined()) continue;
    if (!type.dims || type.dims->empty() || type.dims->front().known()) return {};
    rows.insert(id);
  }
  return rows;
}

/// Whether row i of the outputs is computed from row i of the inputs in `rows`.
bool keeps_rows(const Graph& graph, NodeId id, const std::set<ValueId>& rows) {
  const Node& node = graph.node(id);
  if (!node.op || !node.captures.empty()) return false;
  const NodeArgs args(graph, id);
  const bool all_there = std::ranges::all_of(node.inputs, [&](ValueId input) {
    return !input.valid() || rows.contains(input) || graph.value(input).as_constant() != nullptr;
  });
  return all_there && node.op->keeps_rows(args.get());
}

}  // namespace

bool keeps_rows_apart(const Graph& given) {
  Graph graph = given;
  try {
    prepare(graph);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    return false;
  }
  std::set<ValueId> rows = rows_given(graph);
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    const bool reads = std::any_of(node.inputs.begin(), node.inputs.end(),
                                   [&](ValueId input) { return rows.contains(input); });
    if (!reads || !keeps_rows(graph, id, rows)) return false;
    for (const ValueId output : node.outputs) {
      if (output.valid()) rows.insert(output);
    }
  }
  return !rows.empty() && std::all_of(graph.outputs().begin(), graph.outputs().end(),
                                      [&](ValueId output) { return rows.contains(output); });
}

}  // namespace bnrun
