// Rewrite: a change of a graph as a value. It is checked in one place and applied whole or not at all.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace bnrun {

/// An input or output of a new node: an existing value of the graph, or a constant or value that the rewrite
/// itself creates, by its position in Rewrite::constants or Rewrite::values.
struct Operand {
  enum class Kind { absent, existing, constant, fresh };
  Kind kind = Kind::absent;
  std::int32_t index = -1;

  static Operand absent() { return {}; }
  static Operand of(ValueId id) { return id.valid() ? Operand{Kind::existing, id.index} : Operand{}; }
};

/// A change of a graph: the nodes to remove, the constants, values and nodes to add, and the values to be
/// read in place of others.
///
/// An output of a new node is either fresh or an existing value whose producer is among `removed`; it then
/// keeps its name, type and readers, which is how a graph output survives a fold. A removed node's output
/// that no new node takes over and that `redirected` does not mention must have no reader left.
struct Rewrite {
  struct NewConstant {
    std::string stem;  ///< the name, made unique on application
    Tensor tensor;
    Tensor exact{};             ///< the same before it was rounded, where that is known
    bool known_finite = false;  ///< nobody need look whether it is
  };
  struct NewValue {
    std::string stem;
    ValueType type;
  };
  struct NewNode {
    /// A copy of the node it replaces, or a new one. Its lists of inputs and outputs are those of the copy:
    /// its operator serves again when the new lists leave out the same ones.
    Node node;
    std::vector<Operand> inputs;
    std::vector<Operand> outputs;
  };

  std::string why;  ///< one line, for logs and reports
  std::vector<NodeId> removed;
  std::vector<NewConstant> constants;
  std::vector<NewValue> values;
  std::vector<NewNode> nodes;
  std::vector<std::pair<ValueId, ValueId>> redirected;  ///< readers of first read second from now on

  Operand add_constant(std::string stem, Tensor tensor, Tensor exact = {});
  Operand add_value(std::string stem, ValueType type);
};

/// Why a rewrite is not safe.
struct Refusal {
  enum class Kind {
    read_elsewhere,  ///< a value that would go has another reader, or is gone already
    read_outside,    ///< it is an output of the graph, or a subgraph reads it by its name
    type_changes,    ///< readers would read another type or shape
    not_finite,      ///< a new constant is not finite
  };
  Kind kind;
  std::string detail;  ///< which value
};

/// Why the driver refuses `rewrite`, or nullopt when it is safe: every value that disappears has no reader or
/// graph output left, redirections keep type and shape, and every new constant is finite.
std::optional<Refusal> refuse(const Graph& graph, const Rewrite& rewrite);

/// Applies a rewrite that `refuse` accepts, removes constants and nodes that lost their last reader by it,
/// infers the types of what new nodes compute, and checks all nodes and values it touched; only that there is
/// no cycle is left to Graph::check. Returns the new nodes, in order. Throws `internal` when the rewrite is
/// refused or leaves the graph inconsistent.
std::vector<NodeId> apply(Graph& graph, const Rewrite& rewrite);

/// Removes a node and makes its outputs constants with these elements. A tensor may be undefined if its
/// output has no reader. Values and nodes that lose their last reader are removed as well.
void replace_by_constants(Graph& graph, NodeId id, const std::vector<Tensor>& outputs);

/// Removes nodes that lead to no output and constants nobody reads. Returns the number of nodes removed.
std::size_t remove_dead(Graph& graph);

}  // namespace bnrun
