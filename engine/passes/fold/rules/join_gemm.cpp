#include "affine/scaled_tensor.h"
#include "passes/fold/rules.h"

namespace bnrun {
namespace {

bool is_matrix(const Graph& graph, ValueId id) {
  return graph.value(id).type.ranked() && graph.value(id).type.rank() == 2;
}

/// The input of an operator x + c that is c, as it is stored.
std::optional<ValueId> shifting_operand(const FoldView& view, NodeId id, const AffineForm& form) {
  const Node& node = view.graph().node(id);
  if (node.inputs.size() != 2) return std::nullopt;
  const ValueId c = node.inputs[1 - form.input];
  const Tensor* constant = c.valid() ? view.graph().value(c).as_constant() : nullptr;
  if (constant == nullptr) return std::nullopt;
  const ScaledTensor exact{Tensor({static_cast<std::int64_t>(form.affine.channels())}, form.affine.shift)};
  const auto [shift, flushed, before, after] = round_to_storage(exact, constant->dtype());
  const bool same =
      shift.elements() == constant->elements() && identical(shift, constant->reshaped(shift.shape()));
  return same && flushed == 0 ? std::optional(c) : std::nullopt;
}

}  // namespace

// before: A -> MatMul(B) -> h -> Add(c) -> y     after: A -> Gemm(B, c) -> y
// Conditions: A and B are proven matrices of floating-point numbers; c is constant and a shift of h that does
// not change its shape; nobody else reads the elements of h (who reads its dimensions reads those of y).
std::optional<Rewrite> join_gemm(const FoldView& view, NodeId id) {
  const Graph& graph = view.graph();
  const Node& product = graph.node(id);
  if (!view.op(id)->multiplies_matrices()) return std::nullopt;
  const ValueId h = product.outputs[0];
  const NodeId add = sole_reader_of_elements(graph, h);
  if (!add.valid() || view.op(add) == nullptr) return std::nullopt;
  if (!is_matrix(graph, product.inputs[0]) || !is_matrix(graph, product.inputs[1])) return std::nullopt;
  if (!is_floating(graph.value(product.outputs[0]).type.dtype)) return std::nullopt;
  const NodeArgs args = view.args(add);
  const auto form = view.op(add)->as_affine(args.get());
  const auto* shift = std::get_if<AffineForm>(&form);
  if (shift == nullptr || shift->affine.has_scale() || (!shift->affine.uniform() && shift->affine.axis != 1))
    return std::nullopt;
  const auto c = shifting_operand(view, add, *shift);
  if (!c) return std::nullopt;
  Rewrite rewrite;
  rewrite.why = "join " + describe(graph, id) + " and " + describe(graph, add);
  rewrite.removed = {id, add};
  const ValueId y = graph.node(add).outputs[0];
  Node gemm;
  gemm.name = product.name;
  gemm.op_type = "Gemm";
  if (graph.opset("") < 7) gemm.attributes = {{"broadcast", std::int64_t{1}}};
  rewrite.nodes.push_back({std::move(gemm),
                           {Operand::of(product.inputs[0]), Operand::of(product.inputs[1]), Operand::of(*c)},
                           {Operand::of(y)}});
  for (const NodeId reader : readers_of(graph, h).of_dimensions) {
    Rewrite::NewNode copy{graph.node(reader), {}, {}};
    for (const ValueId input : copy.node.inputs) copy.inputs.push_back(Operand::of(input == h ? y : input));
    for (const ValueId output : copy.node.outputs) copy.outputs.push_back(Operand::of(output));
    rewrite.removed.push_back(reader);
    rewrite.nodes.push_back(std::move(copy));
  }
  return rewrite;
}

}  // namespace bnrun
