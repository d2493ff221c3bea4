// Chains of affine operators: BatchNormalization and its disguises as they stand in a graph.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "bnrun/fold.h"
#include "graph/graph.h"
#include "graph/node_query.h"
#include "graph/rewrite.h"

namespace bnrun {

/// Ends the name of a Sub that a centred fold has left: moved into the layer, it would lose the digits that it
/// was left for. Nothing but its name tells it from any other Sub when the model is folded again.
inline constexpr std::string_view kCentreSuffix = "_centre";

/// The graph being folded, its operators and what is known of its constants before rounding. What it says of
/// the order and of affine maps is as of the last `update`; a node that has not changed since keeps both.
class FoldView {
 public:
  FoldView(const Graph& graph, ExactConstants exact) : graph_(graph), exact_(std::move(exact)) { update(); }

  void update();
  /// Keeps the constants of `made`, the nodes of a rewrite, as they were before they were rounded.
  void keep_exact(const Rewrite& rewrite, const std::vector<NodeId>& made);

  const Graph& graph() const { return graph_; }
  const Op* op(NodeId id) const { return graph_.node(id).op.get(); }
  NodeArgs args(NodeId id) const { return NodeArgs(graph_, id, &exact_); }
  /// The same with the elements of its packed constants.
  NodeArgs unpacked_args(NodeId id) const;
  const std::vector<NodeId>& order() const { return order_; }  ///< topological
  std::size_t position(NodeId id) const { return position_.at(static_cast<std::size_t>(id.index)); }
  /// The affine map that a node is, or nullptr.
  const AffineForm* affine(NodeId id) const;

  /// Whether some elements are those of an input of the graph or of a constant, without a rounding in between.
  bool comes_unrounded(ValueId id) const { return unrounded_[static_cast<std::size_t>(id.index)]; }

  /// Some of its constants are known more exactly than they are stored.
  bool has_exact_inputs(NodeId id) const;

 private:
  std::optional<AffineForm> affine_form_of(NodeId id) const;
  void update_unrounded();

  const Graph& graph_;
  ExactConstants exact_;
  mutable ExactConstants unpacked_;
  std::vector<NodeId> order_;
  std::vector<std::size_t> position_;  ///< by node
  std::vector<bool> unrounded_;        ///< by value
  struct Form {
    bool known = false;
    std::vector<ValueId> inputs;  ///< of the node when it was asked
    std::optional<AffineForm> affine;
  };
  std::vector<Form> forms_;  ///< by node
};

/// Consecutive operators that together compute one per-channel affine map of `input`. Nobody else reads the
/// elements of the values between them.
struct Chain {
  std::vector<NodeId> nodes;
  std::vector<NodeId> bystanders{};  ///< what reads the dimensions of the values between them
  ValueId input;
  ValueId output;
  ChannelAffine affine;
  std::vector<double> rest{};  ///< of each shift, what is lost where it is rounded to double; empty: nothing
  /// The work that the chain does: 2 for an operator that scales, 1 for one that only
  /// shifts or does nothing. Every rewrite lowers the sum over the graph, or the number
  /// of channels whose map is not the identity, so that folding ends.
  int cost = 0;
};

int cost_of(const ChannelAffine& affine);

/// Maximal chains in topological order, each starting at a node that continues no other chain.
std::vector<Chain> find_chains(const FoldView& view);

}  // namespace bnrun
