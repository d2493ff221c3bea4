#include "passes/fold/simplify.h"

#include <algorithm>
#include <array>

namespace bnrun {
namespace {

/// Rewires `to` in place of `from`, whose producers are `removed`. A graph output keeps its name: the
/// producer of `to` then takes the name over, and who else reads `to` reads `from`.
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

bool other_outputs_used(const FoldArgs& args) {
  return std::any_of(args.output_used.begin() + 1, args.output_used.end(), [](bool used) { return used; });
}

/// The input that an operator returns.
std::optional<std::size_t> returned_input(const Op& op, const NodeArgs& args) {
  const auto form = op.as_affine(args.get());
  const auto* affine = std::get_if<AffineForm>(&form);
  if (affine == nullptr || !affine->affine.is_identity()) return std::nullopt;
  return affine->input;
}

// before: x -> I -> y     after: x = y
// Condition: I is the identity, with its constants as stored or as they were before rounding, and its other
// outputs (a Dropout's mask) have no reader.
std::optional<Rewrite> remove_identity(FoldView& view, NodeId id) {
  const Node& node = view.graph().node(id);
  const NodeArgs stored(view.graph(), id);
  if (node.inputs.size() > 3 || other_outputs_used(stored.get())) return std::nullopt;
  auto input = returned_input(*view.op(id), view.args(id));
  if (!input) input = returned_input(*view.op(id), stored);
  if (!input) return std::nullopt;
  return bypass(view.graph(), {id}, node.outputs[0], node.inputs[*input],
                "remove " + describe(view.graph(), id));
}

// before: x -> R1 -> h -> R2 -> y     after: x = y
// Conditions: R1 and R2 only move elements; together they move none; h has no other reader; y has x's
// dimensions.
std::optional<Rewrite> cancel_rearrangements(FoldView& view, NodeId first) {
  const Graph& graph = view.graph();
  const NodeArgs first_args = view.args(first);
  const auto moved = view.op(first)->rearranges(first_args.get());
  if (!moved) return std::nullopt;
  const ValueId h = graph.node(first).outputs[0];
  const NodeId second = sole_reader(graph, h);
  if (!second.valid() || graph.node(second).inputs[0] != h || view.op(second) == nullptr) return std::nullopt;
  const NodeArgs second_args = view.args(second);
  const auto moved_back = view.op(second)->rearranges(second_args.get());
  if (!moved_back || moved->same_order != moved_back->same_order) return std::nullopt;
  for (std::size_t i = 0; i < moved->permutation.size(); ++i) {
    if (moved->permutation[moved_back->permutation[i]] != i) return std::nullopt;
  }
  const ValueId x = graph.node(first).inputs[0];
  const ValueId y = graph.node(second).outputs[0];
  const auto& x_dims = graph.value(x).type.dims;
  const auto& y_dims = graph.value(y).type.dims;
  if (!x_dims || !y_dims || *x_dims != *y_dims) return std::nullopt;
  return bypass(graph, {first, second}, y, x,
                "cancel " + describe(graph, first) + " and " + describe(graph, second));
}

bool is_matrix(const Graph& graph, ValueId id) {
  return graph.value(id).type.ranked() && graph.value(id).type.rank() == 2;
}

// before: A -> MatMul(B) -> h -> Add(c) -> y     after: A -> Gemm(B, c) -> y
// Conditions: A and B are proven matrices of floating-point numbers; c is constant and a shift of h that does
// not change its shape; h has no other reader.
std::optional<Rewrite> make_gemm(FoldView& view, NodeId id) {
  const Graph& graph = view.graph();
  const Node& product = graph.node(id);
  if (product.op_type != "MatMul" || !product.domain.empty()) return std::nullopt;
  const NodeId add = sole_reader(graph, product.outputs[0]);
  if (!add.valid() || graph.node(add).op_type != "Add" || !graph.node(add).domain.empty())
    return std::nullopt;
  if (!is_matrix(graph, product.inputs[0]) || !is_matrix(graph, product.inputs[1])) return std::nullopt;
  if (!is_floating(graph.value(product.outputs[0]).type.dtype)) return std::nullopt;
  const NodeArgs args = view.args(add);
  const auto form = view.op(add)->as_affine(args.get());
  const auto* shift = std::get_if<AffineForm>(&form);
  if (shift == nullptr || (!shift->affine.uniform() && shift->affine.axis != 1)) return std::nullopt;
  Rewrite rewrite;
  rewrite.why = "join " + describe(graph, id) + " and " + describe(graph, add);
  rewrite.removed = {id, add};
  Node gemm;
  gemm.name = product.name;
  gemm.op_type = "Gemm";
  if (graph.opset("") < 7) gemm.attributes = {{"broadcast", std::int64_t{1}}};
  const ValueId c = graph.node(add).inputs[1 - shift->input];
  rewrite.nodes.push_back({std::move(gemm),
                           {Operand::of(product.inputs[0]), Operand::of(product.inputs[1]), Operand::of(c)},
                           {Operand::of(graph.node(add).outputs[0])}});
  return rewrite;
}

/// Those that are rewrites come first, in the order of kRules; fold() does the others.
constexpr std::array kSimplifications = {
    Simplification{"identity",
                   "an operator that returns its input goes (Identity, Dropout, Cast to its own type)"},
    Simplification{"rearrange", "two Reshapes, Squeezes, Transposes, ... in a row that cancel go"},
    Simplification{"gemm", "MatMul and Add of a bias become one Gemm"},
    Simplification{"shorten", "operators that scale and shift in a row and cannot fold become the fewest"},
    Simplification{"constants", "what has constant inputs only is computed (parameters behind it then fold)"},
    Simplification{"dead", "nodes and initializers that lead to no output go"}};

constexpr std::array kRules = {remove_identity, cancel_rearrangements, make_gemm};

}  // namespace

std::span<const Simplification> simplifications() {
  return kSimplifications;
}

std::optional<Rewrite> find_simplification(FoldView& view, NodeId id, const std::vector<std::string>& keep) {
  if (!view.graph().node(id).alive || view.op(id) == nullptr) return std::nullopt;
  for (std::size_t i = 0; i < kRules.size(); ++i) {
    if (std::find(keep.begin(), keep.end(), kSimplifications[i].name) != keep.end()) continue;
    auto rewrite = kRules[i](view, id);
    if (rewrite && !refuse(view.graph(), *rewrite)) return rewrite;
  }
  return std::nullopt;
}

}  // namespace bnrun
