#include <algorithm>

#include "passes/fold/rules.h"

namespace bnrun {
namespace {

/// The input that an operator returns.
std::optional<std::size_t> returned_input(const Op& op, const NodeArgs& args) {
  const auto form = op.as_affine(args.get());
  const auto* affine = std::get_if<AffineForm>(&form);
  if (affine == nullptr || !affine->affine.is_identity()) return std::nullopt;
  return affine->input;
}

}  // namespace

// before: x -> I -> y     after: x = y
// Condition: I is the identity, with its constants as stored or as they were before rounding, and its other
// outputs (a Dropout's mask) have no reader.
std::optional<Rewrite> remove_identity(const FoldView& view, NodeId id) {
  const Node& node = view.graph().node(id);
  // Most operators are no affine maps, which is known without asking them again.
  const auto is_constant = [&](ValueId input) {
    return !input.valid() || view.graph().value(input).as_constant() != nullptr;
  };
  const bool on_constants = std::all_of(node.inputs.begin(), node.inputs.end(), is_constant);
  if (view.affine(id) == nullptr && !on_constants) return std::nullopt;
  const NodeArgs stored(view.graph(), id);
  if (view.op(id)->is_normalisation() || !stored.get().only_first_output_used()) return std::nullopt;
  auto input = returned_input(*view.op(id), view.args(id));
  if (!input && view.has_exact_inputs(id)) input = returned_input(*view.op(id), stored);
  if (!input) return std::nullopt;
  return bypass(view.graph(), {id}, node.outputs[0], node.inputs[*input],
                "remove " + describe(view.graph(), id));
}

}  // namespace bnrun
