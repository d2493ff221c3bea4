// Asking the operator of a node: its Op and the arguments of the fold and compile hooks.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "op/formula.h"
#include "op/op.h"

namespace bnrun {

/// Computed constants before rounding: what a constant subgraph gives when evaluated in double.
using ExactConstants = std::map<ValueId, Tensor>;

/// A constant that the model holds as integers: a linear operator (DequantizeLinear) makes floating-point numbers of
/// them, which may be rearranged (Transpose) behind it.
bool is_packed(const Graph& graph, ValueId id);
/// Whether a node may read a packed constant there: as a constant of a linear operator, or to rearrange it.
bool reads_packed(const Graph& graph, NodeId id, std::size_t input);

/// FoldArgs of one node, or of an operator between given values, with the arrays they point into. Valid while
/// the graph does not change.
class NodeArgs {
 public:
  /// `exact`: constants to be seen in double instead of as stored. `unpacked`: the elements of packed ones.
  NodeArgs(const Graph& graph, NodeId id, const ExactConstants* exact = nullptr,
           const ExactConstants* unpacked = nullptr)
      : NodeArgs(graph, graph.node(id).inputs, graph.node(id).outputs, exact, unpacked) {}
  NodeArgs(const Graph& graph, std::span<const ValueId> inputs, std::span<const ValueId> outputs,
           const ExactConstants* exact = nullptr, const ExactConstants* unpacked = nullptr);
  FoldArgs get() const;

 private:
  std::vector<ValueType> inputs_;
  std::vector<ValueType> outputs_;
  std::vector<const Tensor*> constants_;
  std::unique_ptr<bool[]> used_;
};

inline ValueId output_of(const Graph& graph, NodeId id) {
  return graph.node(id).outputs[0];
}

/// What the node computes, if its operator says so (HasFormula); nullopt for an invalid id.
std::optional<Formula> formula_of(const Graph& graph, NodeId id);
/// Whether it says this.
bool computes(const Graph& graph, NodeId id, Formula::Kind kind);

/// The nodes that read a value, one entry per use.
struct Readers {
  std::vector<NodeId> of_elements;    ///< subgraphs included
  std::vector<NodeId> of_dimensions;  ///< only these and the type (Op::reads_elements)
};
Readers readers_of(const Graph& graph, ValueId value);

/// The node that alone reads `value`, once, as an ordinary input; invalid when there are others, when it is
/// an output of the graph, or when a subgraph reads it.
NodeId sole_reader(const Graph& graph, ValueId value);
/// The same, whoever else reads its dimensions.
NodeId sole_reader_of_elements(const Graph& graph, ValueId value);

}  // namespace bnrun
