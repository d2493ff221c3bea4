// Whether a model computes each row by itself.
#include <algorithm>
#include <set>
#include <span>

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

/// A sum or product goes row by row where each operand has all axes or is alike for all rows.
bool pairs_rows(const Node& node, const FoldArgs& args, const std::set<ValueId>& rows) {
  if (!args.outputs[0].ranked()) return false;
  const std::size_t rank = args.outputs[0].rank();
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Tensor* constant = args.constant(i);
    const bool alike = constant != nullptr && (constant->shape().rank() < rank || constant->shape()[0] == 1);
    const bool whole =
        rows.contains(node.inputs[i]) && args.inputs[i].ranked() && args.inputs[i].rank() == rank;
    if (!alike && !whole) return false;
  }
  return true;
}

/// Whether row i of the only output is computed from row i of the inputs in `rows`. REQUIRES: there is one.
bool keeps_rows(const Graph& graph, NodeId id, const std::set<ValueId>& rows) {
  const Node& node = graph.node(id);
  if (!node.op || !node.captures.empty()) return false;
  const NodeArgs args(graph, id);
  const FoldArgs asked = args.get();
  if (!asked.only_first_output_used()) return false;
  if (node.op->adds() || node.op->multiplies()) return pairs_rows(node, asked, rows);
  // An AxisMap speaks of input 0 alone.
  const auto others = std::span(node.inputs).subspan(1);
  if (std::any_of(others.begin(), others.end(), [&](ValueId input) { return rows.contains(input); }))
    return false;
  const auto axes = node.op->axes(asked);
  return axes && axes->keeps_rows();
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
    rows.insert(node.outputs[0]);
  }
  return !rows.empty() && std::all_of(graph.outputs().begin(), graph.outputs().end(),
                                      [&](ValueId output) { return rows.contains(output); });
}

}  // namespace bnrun
