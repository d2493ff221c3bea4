#include "passes/fold/chain.h"

#include <set>

namespace bnrun {

void FoldView::update() {
  order_ = graph_.topological_order();
  position_.assign(graph_.node_slots(), 0);
  forms_.clear();
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const NodeId id = order_[i];
    position_[static_cast<std::size_t>(id.index)] = i;
    if (op(id) == nullptr) continue;
    const NodeArgs node = args(id);
    auto form = op(id)->as_affine(node.get());
    auto* found = std::get_if<AffineForm>(&form);
    if (found == nullptr) continue;
    const ValueId data = graph_.node(id).inputs[found->input];
    if (graph_.value(data).as_constant() == nullptr) forms_.emplace(id, std::move(*found));
  }
}

const AffineForm* FoldView::affine(NodeId id) const {
  const auto found = forms_.find(id);
  return found == forms_.end() ? nullptr : &found->second;
}

int cost_of(const ChannelAffine& affine) {
  return affine.has_scale() ? 2 : 1;
}

std::vector<Chain> find_chains(const FoldView& view) {
  const Graph& graph = view.graph();
  std::vector<Chain> chains;
  std::set<NodeId> in_chain;
  for (const NodeId id : view.order()) {
    const AffineForm* form = view.affine(id);
    if (form == nullptr || in_chain.contains(id)) continue;
    const Node& node = graph.node(id);
    Chain chain{{id}, node.inputs[form->input], node.outputs[0], form->affine, cost_of(form->affine)};
    for (;;) {
      const NodeId next = sole_reader(graph, chain.output);
      const AffineForm* further = next.valid() ? view.affine(next) : nullptr;
      if (further == nullptr || graph.node(next).inputs[further->input] != chain.output) break;
      auto both = compose(chain.affine, further->affine);
      if (std::holds_alternative<Declined>(both)) break;
      chain.affine = std::move(std::get<ChannelAffine>(both));
      chain.cost += cost_of(further->affine);
      chain.output = graph.node(next).outputs[0];
      chain.nodes.push_back(next);
      in_chain.insert(next);
    }
    chains.push_back(std::move(chain));
  }
  return chains;
}

}  // namespace bnrun
