#include "passes/fold/chain.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "affine/exact_sum.h"
#include "passes/fold/packed.h"

namespace bnrun {
namespace {

/// NaN equals nothing, not even the map that it came from.
bool is_number(const ChannelAffine& map) {
  const auto nan = [](double x) { return std::isnan(x); };
  return std::ranges::none_of(map.scale, nan) && std::ranges::none_of(map.shift, nan);
}

}  // namespace

void FoldView::update() {
  order_ = graph_.topological_order();
  position_.assign(graph_.node_slots(), 0);
  forms_.resize(graph_.node_slots());
  update_unrounded();
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const NodeId id = order_[i];
    position_[static_cast<std::size_t>(id.index)] = i;
    Form& form = forms_[static_cast<std::size_t>(id.index)];
    // A rewrite may have put another value in place of an input, or taken the readers of other outputs.
    const Node& node = graph_.node(id);
    if (form.known && node.outputs.size() == 1 && form.inputs == node.inputs) continue;
    form = {true, node.inputs, affine_form_of(id)};
  }
}

void FoldView::keep_exact(const Rewrite& rewrite, const std::vector<NodeId>& made) {
  for (std::size_t k = 0; k < made.size(); ++k) {
    const auto& operands = rewrite.nodes[k].inputs;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (operands[i].kind != Operand::Kind::constant) continue;
      const Tensor& exact = rewrite.constants[static_cast<std::size_t>(operands[i].index)].exact;
      if (exact.defined()) exact_.insert_or_assign(graph_.node(made[k]).inputs[i], exact);
    }
  }
}

void FoldView::update_unrounded() {
  unrounded_.assign(graph_.value_slots(), true);  // inputs and constants
  for (const NodeId id : order_) {
    const Node& node = graph_.node(id);
    const bool copies =
        node.op == nullptr ||  // nobody knows what it does
        (node.op->copies() && std::ranges::any_of(node.inputs, [&](ValueId input) {
           return input.valid() && is_floating(graph_.value(input).type.dtype) && comes_unrounded(input);
         }));
    for (const ValueId output : node.outputs) {
      if (output.valid()) unrounded_[static_cast<std::size_t>(output.index)] = copies;
    }
  }
}

std::optional<AffineForm> FoldView::affine_form_of(NodeId id) const {
  if (op(id) == nullptr) return std::nullopt;
  const NodeArgs node = args(id);
  auto form = op(id)->as_affine(node.get());
  auto* found = std::get_if<AffineForm>(&form);
  if (found == nullptr || !is_number(found->affine)) return std::nullopt;
  if (!found->affine.has_scale() && graph_.node(id).name.ends_with(kCentreSuffix)) return std::nullopt;
  const ValueId data = graph_.node(id).inputs[found->input];
  return graph_.value(data).as_constant() == nullptr ? std::optional(std::move(*found)) : std::nullopt;
}

NodeArgs FoldView::unpacked_args(NodeId id) const {
  for (const ValueId input : graph_.node(id).inputs) {
    if (is_packed(graph_, input) && !unpacked_.contains(input))
      unpacked_.emplace(input, unpacked(graph_, input));
  }
  return NodeArgs(graph_, id, &exact_, &unpacked_);
}

const AffineForm* FoldView::affine(NodeId id) const {
  const auto index = static_cast<std::size_t>(id.index);
  return index < forms_.size() && forms_[index].affine ? &*forms_[index].affine : nullptr;
}

bool FoldView::has_exact_inputs(NodeId id) const {
  const auto& inputs = graph_.node(id).inputs;
  return std::any_of(inputs.begin(), inputs.end(), [&](ValueId input) { return exact_.contains(input); });
}

int cost_of(const ChannelAffine& affine) {
  return affine.has_scale() ? 2 : 1;
}

namespace {

/// What is lost of the shifts of `whole`, which is `second` behind `first`, of which `rest` was lost.
std::vector<double> lost_in(const ChannelAffine& first, const std::vector<double>& rest,
                            const ChannelAffine& second, const ChannelAffine& whole) {
  std::vector<double> lost(whole.channels());
  for (std::size_t c = 0; c < lost.size(); ++c) {
    const std::size_t i = first.uniform() ? 0 : c;
    const std::size_t j = second.uniform() ? 0 : c;
    lost[c] = lost_in_map(first.shift[i], second.scale[j], second.shift[j], whole.shift[c]) +
              (rest.empty() ? 0.0 : rest[i] * second.scale[j]);
  }
  return lost;
}

}  // namespace

std::vector<Chain> find_chains(const FoldView& view) {
  const Graph& graph = view.graph();
  std::vector<Chain> chains;
  std::set<NodeId> in_chain;
  for (const NodeId id : view.order()) {
    const AffineForm* form = view.affine(id);
    if (form == nullptr || in_chain.contains(id)) continue;
    const Node& node = graph.node(id);
    Chain chain{.nodes = {id},
                .input = node.inputs[form->input],
                .output = node.outputs[0],
                .affine = form->affine,
                .cost = cost_of(form->affine)};
    for (;;) {
      const NodeId next = sole_reader_of_elements(graph, chain.output);
      const AffineForm* further = next.valid() ? view.affine(next) : nullptr;
      if (further == nullptr || graph.node(next).inputs[further->input] != chain.output) break;
      auto both = compose(chain.affine, further->affine);
      if (std::holds_alternative<Declined>(both)) break;
      auto& whole = std::get<ChannelAffine>(both);
      chain.rest = lost_in(chain.affine, chain.rest, further->affine, whole);
      chain.affine = std::move(whole);
      chain.cost += cost_of(further->affine);
      const auto bystanders = readers_of(graph, chain.output).of_dimensions;
      chain.bystanders.insert(chain.bystanders.end(), bystanders.begin(), bystanders.end());
      chain.output = graph.node(next).outputs[0];
      chain.nodes.push_back(next);
      in_chain.insert(next);
    }
    chains.push_back(std::move(chain));
  }
  return chains;
}

}  // namespace bnrun
