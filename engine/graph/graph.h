// Graph: an ONNX graph in memory. Vectors of nodes and values addressed by typed ids; removed ones stay as
// holes so that ids remain valid. Standard operators only: everything here can be written back as ONNX.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "bnrun/error.h"
#include "bnrun/tensor.h"
#include "op/attribute_reader.h"
#include "op/op.h"
#include "op/value_type.h"

namespace bnrun {

template <class Tag>
struct Id {
  std::int32_t index = -1;
  bool valid() const { return index >= 0; }
  friend auto operator<=>(const Id&, const Id&) = default;
};
using ValueId = Id<struct ValueTag>;  ///< invalid: an absent optional input or output
using NodeId = Id<struct NodeTag>;

struct Node {
  std::string name;  ///< may be empty, may repeat
  std::string op_type;
  std::string domain;  ///< "" is ai.onnx
  Attributes attributes;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<ValueId> captures;  ///< values of this graph that subgraph attributes read by name
  std::int32_t source = -1;       ///< position in the file the graph was read from; -1: made here
  bool alive = true;
  /// Made with the node, shared by its copies, made anew where attributes or the inputs and outputs listed
  /// change. Null where the engine does not know the operator: `problem` then says why.
  std::shared_ptr<const Op> op{};
  std::shared_ptr<const Error> problem{};

  void set_attribute(std::string_view attribute, AttributeValue value);
};

struct Value {
  std::string name;  ///< unique within the graph
  ValueType type;
  Tensor constant;            ///< defined for initializers and computed constants
  NodeId producer;            ///< invalid for inputs, constants and captured values
  std::vector<NodeId> users;  ///< one entry per use, captures included, in no particular order
  bool is_input = false;
  bool is_output = false;
  /// An initializer that is also an input of a model of IR version 4 or later. The caller may give another
  /// tensor, so that it is not a constant.
  bool overridable = false;
  bool captured = false;  ///< in a subgraph: defined by the graph around it
  bool alive = true;

  /// The tensor when the value is known and nobody may override it, else nullptr.
  const Tensor* as_constant() const { return constant.defined() && !overridable ? &constant : nullptr; }
};

class Graph {
 public:
  std::string name;
  /// domain -> version; set before the first node is added.
  std::map<std::string, std::int64_t, std::less<>> opsets;
  /// Operators whose results have a fixed floating-point type give float64 here (see passes/widen.h).
  bool wide = false;

  std::int64_t opset(std::string_view domain) const;  ///< 0 when the domain is not imported

  // -------- reading
  const Node& node(NodeId id) const { return nodes_[static_cast<std::size_t>(id.index)]; }
  const Value& value(ValueId id) const { return values_[static_cast<std::size_t>(id.index)]; }
  const std::vector<ValueId>& inputs() const { return inputs_; }  ///< overridable initializers included
  const std::vector<ValueId>& outputs() const { return outputs_; }
  std::size_t node_slots() const { return nodes_.size(); }
  std::size_t value_slots() const { return values_.size(); }
  std::vector<NodeId> live_nodes() const;
  std::vector<ValueId> live_values() const;
  /// Every live node after the producers of its inputs; otherwise in order of id. Throws invalid_model on a
  /// cycle, naming a node on it.
  std::vector<NodeId> topological_order() const;
  ValueId find_value(std::string_view name) const;  ///< invalid when there is none
  /// `stem`, or `stem` with the first free number behind it.
  std::string fresh_name(std::string_view stem) const;

  // -------- building (loaders, exporters, tests); changes of a finished graph go through Rewrite
  ValueId add_input(std::string name, ValueType type);
  ValueId add_constant(std::string name, Tensor tensor);
  ValueId add_value(std::string name, ValueType type = {});
  ValueId add_captured(std::string name, ValueType type = {});
  /// Registers uses and producers, and makes the node's operator unless it has one. Each output must be a
  /// value without producer. Throws invalid_model, naming the node, when its attributes are malformed.
  NodeId add_node(Node node);
  void add_output(ValueId id);
  void mark_overridable(ValueId id);
  /// Forgets the elements of a constant that nobody will ask for any more; its type stays.
  void drop_constant(ValueId id) { values_[static_cast<std::size_t>(id.index)].constant = {}; }
  /// Gives an input or a produced value its type (inference) or its known elements (constant evaluation).
  void set_type(ValueId id, ValueType type);

  /// Throws `internal` when ids, uses, producers or names are inconsistent, `invalid_model` on a cycle.
  void check() const;

 private:
  friend class RewriteDriver;
  Node& mutable_node(NodeId id) { return nodes_[static_cast<std::size_t>(id.index)]; }
  void check_node(NodeId id) const;
  void check_value(ValueId id) const;
  Value& mutable_value(ValueId id) { return values_[static_cast<std::size_t>(id.index)]; }
  ValueId insert_value(Value value);
  void make_operator(NodeId id);
  void remove_node(NodeId id);
  void remove_value(ValueId id);

  // Neither moves when more are added: a value is large, and a graph grows with every rewrite.
  std::deque<Node> nodes_;
  std::deque<Value> values_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> outputs_;
  std::unordered_map<std::string, ValueId> by_name_;
};

/// The names that subgraph attributes read from the graph around them, each once, in Node::captures order.
std::vector<std::string> captured_names(const Attributes& attributes);

/// The node's name, or where it has none that of its first output.
std::string label_of(const Graph& graph, NodeId id);
/// "node 'dense_1' (Gemm)", or the name of its first output where the node has none.
std::string describe(const Graph& graph, NodeId id);

/// What an operator is made from; refers to the node.
OpCall call_of(const Node& node, bool wide = false);

/// The operator of a node, or an `unsupported` error that names operator, domain, opset and node.
const Op& require_op(const Graph& graph, NodeId id);

/// Runs `action`, naming the node in its errors.
template <class F>
auto at_node(const Graph& graph, NodeId id, F&& action) {
  try {
    return action();
  } catch (const Error& error) {
    throw error.within(describe(graph, id));
  }
}

}  // namespace bnrun
