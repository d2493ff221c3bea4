#include "passes/fold/rules.h"

#include <algorithm>
#include <array>

#include "bnrun/fold.h"

namespace bnrun {
namespace {

/// Those that are rewrites come first, in the order of kRules; fold() does the others.
constexpr std::array kSimplifications = {
    Simplification{"identity",
                   "an operator that returns its input goes (Identity, Dropout, a Pad of nothing, ...)"},
    Simplification{"rearrange", "two Reshapes, Squeezes, Transposes, ... in a row that cancel go"},
    Simplification{"gemm", "MatMul and Add of a bias become one Gemm"},
    Simplification{"shorten", "operators that scale and shift in a row and cannot fold become the fewest"},
    Simplification{"norm-affine",
                   "scale and bias of LayerNormalization, GroupNormalization, ... go into the layer behind"},
    Simplification{"constants", "what has constant inputs only is computed (parameters behind it then fold)"},
    Simplification{"dead", "nodes and initializers that lead to no output go"}};

constexpr std::array kRules = {remove_identity, cancel_rearrangements, join_gemm};

}  // namespace

std::optional<Rewrite> bypass(const Graph& graph, std::vector<NodeId> removed, ValueId from, ValueId to,
                              std::string why) {
  Rewrite rewrite;
  rewrite.why = std::move(why);
  rewrite.removed = std::move(removed);
  if (!graph.value(from).is_output) {
    rewrite.redirected = {{from, to}};
    return rewrite;
  }
  const NodeId producer = graph.value(to).producer;
  if (!producer.valid() || graph.value(to).is_output ||
      graph.value(from).type.dtype != graph.value(to).type.dtype)
    return std::nullopt;
  if (graph.value(to).users.size() > 1) rewrite.redirected = {{to, from}};
  const Node& node = graph.node(producer);
  if (!node.captures.empty()) return std::nullopt;
  rewrite.removed.push_back(producer);
  Rewrite::NewNode copy{node, {}, {}};
  for (const ValueId input : node.inputs) copy.inputs.push_back(Operand::of(input));
  for (const ValueId output : node.outputs) copy.outputs.push_back(Operand::of(output == to ? from : output));
  rewrite.nodes.push_back(std::move(copy));
  return rewrite;
}

std::span<const Simplification> simplifications() {
  return kSimplifications;
}

std::optional<Rewrite> find_simplification(const FoldView& view, NodeId id,
                                           const std::vector<std::string>& without) {
  if (!view.graph().node(id).alive || view.op(id) == nullptr) return std::nullopt;
  for (std::size_t i = 0; i < kRules.size(); ++i) {
    if (std::find(without.begin(), without.end(), kSimplifications[i].name) != without.end()) continue;
    auto rewrite = kRules[i](view, id);
    if (rewrite && !refuse(view.graph(), *rewrite)) return rewrite;
  }
  return std::nullopt;
}

}  // namespace bnrun
