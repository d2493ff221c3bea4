#include "inspect/inspect.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "bnrun/error.h"
#include "graph/graph.h"
#include "graph/node_query.h"
#include "graph/rewrite.h"
#include "op/dim_product.h"
#include "op/op.h"
#include "passes/fold/fold.h"
#include "passes/prepare.h"

namespace bnrun {
namespace {

/// Types as far as the operators are understood.
void infer_what_can_be(Graph& graph, std::size_t& computed) {
  try {
    computed = prepare(graph);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
  }
}

/// What counts as rows: the dimension that comes first in the inputs.
struct Batch {
  std::vector<Dim> symbols;
  std::int64_t rows = 1;  ///< where it is a number instead
};

/// An input that leaves its first dimension open without a name gets one, so that it can be followed.
Batch find_batch(Graph& graph) {
  Batch batch;
  bool first = true;
  for (const ValueId id : graph.inputs()) {
    ValueType type = graph.value(id).type;
    if (!type.dims || type.dims->empty() || graph.value(id).constant.defined()) continue;
    Dim& front = type.dims->front();
    if (first && front.known()) batch.rows = std::max<std::int64_t>(front.extent(), 1);
    first = false;
    if (front.known()) continue;
    if (!front.symbolic()) front = Dim::symbol("?");
    batch.symbols.push_back(front);
    graph.set_type(id, type);
  }
  return batch;
}

std::optional<std::int64_t> per_row(DimProduct macs, const Batch& batch) {
  for (const Dim& symbol : batch.symbols) {
    while (const auto one_row =
               macs.number() ? std::nullopt : macs.divided_by(DimProduct(std::span(&symbol, 1))))
      macs = *one_row;
  }
  const auto number = macs.number();
  return number ? std::optional(*number / batch.rows) : std::nullopt;
}

/// The positions in `made_by` of what a node reads.
std::vector<std::size_t> layers_before(const Node& node, const std::map<ValueId, std::size_t>& made_by) {
  std::set<std::size_t> before;
  for (const auto* values : {&node.inputs, &node.captures}) {
    for (const ValueId value : *values) {
      if (const auto found = made_by.find(value); found != made_by.end()) before.insert(found->second);
    }
  }
  return {before.begin(), before.end()};
}

}  // namespace

Inspection inspect_layers(Graph graph) {
  Inspection result;
  result.opsets.insert(graph.opsets.begin(), graph.opsets.end());
  const Batch batch = find_batch(graph);
  infer_what_can_be(graph, result.computed_ahead);

  std::set<ValueId> counted;
  std::map<ValueId, std::size_t> made_by;
  result.macs = 0;
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    LayerInfo layer{.op_type = node.op_type, .domain = node.domain, .name = node.name};
    if (!node.outputs.empty() && node.outputs[0].valid()) {
      layer.output = graph.value(node.outputs[0]).name;
      layer.type = to_string(graph.value(node.outputs[0]).type);
    }
    for (const ValueId input : node.inputs) {
      if (!input.valid() || !counted.insert(input).second) continue;
      const Tensor& constant = graph.value(input).constant;
      if (!constant.defined() || !is_floating(constant.dtype())) continue;
      layer.parameters += constant.elements();
      result.parameter_bytes += static_cast<std::int64_t>(constant.bytes());
    }
    layer.after = layers_before(node, made_by);
    for (const ValueId output : node.outputs) {
      if (output.valid()) made_by.emplace(output, result.layers.size());
    }
    if (node.problem != nullptr) layer.problem = node.problem->what();
    if (node.op != nullptr) layer.macs = per_row(node.op->macs(NodeArgs(graph, id).get()), batch);
    result.parameters += layer.parameters;
    result.macs = result.macs && layer.macs ? std::optional(*result.macs + *layer.macs) : std::nullopt;
    result.layers.push_back(std::move(layer));
  }
  return result;
}

std::optional<std::int64_t> macs_per_row(const Graph& graph) {
  return inspect_layers(graph).macs;
}

Inspection inspect(const Graph& graph) {
  Inspection result = inspect_layers(graph);
  try {
    Graph copy = graph;
    result.fold = fold(copy);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    result.fold_problem = error.what();
  }
  return result;
}

}  // namespace bnrun
