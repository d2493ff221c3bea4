#include "bnrun/inspect.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "bnrun/error.h"
#include "graph/graph.h"
#include "graph/rewrite.h"
#include "op/op.h"
#include "passes/prepare.h"

namespace bnrun {
namespace {

/// A layer that multiplies: every element of its output (a transposed convolution: of its input) costs
/// `depth` multiply-accumulates.
enum class Depth {
  last_of_input,  ///< K of A[..,M,K]
  gemm,           ///< K of A[M,K], or of A[K,M] with transA
  kernel,         ///< elements of one filter, W[0]
};
struct Multiplying {
  std::string_view op_type;
  Depth depth;
  std::size_t weight = 1;  ///< position of W among the inputs
  bool per_input = false;
};
constexpr std::array<Multiplying, 8> kMultiplying = {{{"Conv", Depth::kernel},
                                                      {"ConvInteger", Depth::kernel},
                                                      {"ConvTranspose", Depth::kernel, 1, true},
                                                      {"Gemm", Depth::gemm},
                                                      {"MatMul", Depth::last_of_input},
                                                      {"MatMulInteger", Depth::last_of_input},
                                                      {"QLinearConv", Depth::kernel, 3},
                                                      {"QLinearMatMul", Depth::last_of_input}}};

/// Operators whose work depends on more than their shapes.
constexpr std::array<std::string_view, 4> kUncounted = {"Einsum", "If", "Loop", "Scan"};

/// The shape of a value, where all of it is a number.
std::optional<Shape> shape_of(const Graph& graph, ValueId id) {
  if (!id.valid() || !graph.value(id).type.static_shape()) return std::nullopt;
  return graph.value(id).type.shape();
}

/// Multiply-accumulates of one node in a graph whose batch is bound; nullopt where it cannot be told.
std::optional<std::int64_t> count_macs(const Graph& graph, const Node& node) {
  if (!node.domain.empty() || std::ranges::find(kUncounted, node.op_type) != kUncounted.end())
    return std::nullopt;
  const auto* const found = std::ranges::find(kMultiplying, node.op_type, &Multiplying::op_type);
  if (found == kMultiplying.end()) return 0;
  if (node.inputs.size() <= found->weight || node.outputs.empty()) return std::nullopt;
  const auto input = shape_of(graph, node.inputs[0]);
  const auto output = shape_of(graph, node.outputs[0]);
  const auto weight = shape_of(graph, node.inputs[found->weight]);
  if (!input || !output || !weight || input->rank() == 0 || weight->rank() == 0) return std::nullopt;
  std::int64_t depth = input->back();
  if (found->depth == Depth::kernel) depth = weight->elements(1, weight->rank());
  if (found->depth == Depth::gemm) {
    const auto trans = node.attributes.find("transA");
    const auto* flag = trans == node.attributes.end() ? nullptr : std::get_if<std::int64_t>(&trans->second);
    depth = (*input)[flag != nullptr && *flag != 0 ? 0 : 1];
  }
  return (found->per_input ? *input : *output).elements() * depth;
}

/// Types as far as the operators are understood.
void infer_what_can_be(Graph& graph, std::size_t& computed) {
  try {
    computed = prepare(graph);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
  }
}

/// The graph for one row: the dynamic dimension that comes first in its inputs is 1. `rows` is what a static
/// batch has instead.
std::optional<Graph> bind_one_row(const Graph& graph, std::int64_t& rows) {
  Graph bound = graph;
  std::set<std::string> batch;
  for (const ValueId id : graph.inputs()) {
    const ValueType& type = graph.value(id).type;
    if (type.dims && !type.dims->empty() && type.dims->front().symbolic())
      batch.insert(type.dims->front().name());
  }
  bool first = true;
  for (const ValueId id : graph.inputs()) {
    ValueType type = graph.value(id).type;
    if (!type.dims || type.dims->empty() || graph.value(id).constant.defined()) continue;
    if (first && type.dims->front().known()) rows = std::max<std::int64_t>(type.dims->front().extent(), 1);
    first = false;
    if (!type.dims->front().known()) type.dims->front() = Dim(1);
    for (Dim& dim : *type.dims)
      if (dim.symbolic() && batch.contains(dim.name())) dim = Dim(1);
    bound.set_type(id, type);
  }
  try {
    infer_types(bound);
  } catch (const Error&) {
    return std::nullopt;  // it cannot run on one row; that alone is no fault of the model
  }
  return bound;
}

/// All but the fold.
Inspection inspect_layers(const Model& model) {
  Inspection result;
  Graph graph = model.graph();
  result.opsets.insert(graph.opsets.begin(), graph.opsets.end());
  infer_what_can_be(graph, result.computed_ahead);
  std::int64_t rows = 1;
  const auto bound = bind_one_row(graph, rows);

  std::set<ValueId> counted;
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
    if (node.problem != nullptr) layer.problem = node.problem->what();
    if (bound && layer.problem.empty()) layer.macs = count_macs(*bound, node);
    if (layer.macs) *layer.macs /= rows;
    result.parameters += layer.parameters;
    result.macs = result.macs && layer.macs ? std::optional(*result.macs + *layer.macs) : std::nullopt;
    result.layers.push_back(std::move(layer));
  }
  return result;
}

}  // namespace

std::optional<std::int64_t> macs_per_row(const Model& model) {
  return inspect_layers(model).macs;
}

Inspection inspect(const Model& model) {
  Inspection result = inspect_layers(model);
  try {
    Model copy = model;
    result.fold = fold(copy);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    result.fold_problem = error.what();
  }
  return result;
}

}  // namespace bnrun
