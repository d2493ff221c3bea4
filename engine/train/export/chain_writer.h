// A graph written node by node, each behind the last.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "graph/graph.h"

namespace bnrun::train {

/// Keeps the nodes until the whole chain is known, because only then is it known which of them puts out the
/// graph's output, whose name is given.
class ChainWriter {
 public:
  /// A value of the graph, or the output of a node that is still kept.
  using Ref = std::variant<ValueId, std::size_t>;

  ChainWriter(Graph graph, ValueId first) : graph_(std::move(graph)), last_(first) {}

  Ref last() const { return last_; }
  /// Called `name`, or where that is taken as Graph::fresh_name says.
  ValueId constant(const std::string& name, Tensor tensor);

  /// A node of the last value and constants; its output, of that type, is now the last.
  void follow(std::string name, std::string op_type, ValueType type, const std::vector<ValueId>& constants,
              Attributes attributes = {});
  /// A node of the last value and another.
  void join(std::string name, std::string op_type, ValueType type, Ref other);
  /// A node of any values.
  void follow_of(std::string name, std::string op_type, ValueType type, std::vector<Ref> inputs,
                 Attributes attributes = {});
  /// A node beside the chain: the last value stays the last.
  Ref add(std::string name, std::string op_type, Ref input, const std::vector<ValueId>& constants,
          ValueType type, Attributes attributes);

  /// The same of two values.
  Ref add_of_two(std::string name, std::string op_type, Ref first, Ref second, ValueType type);

  Graph finish(const std::string& output_name);

 private:
  struct Kept {
    Node node;
    std::vector<Ref> inputs;
    ValueType type;
  };

  Ref keep(std::string name, std::string op_type, std::vector<Ref> inputs, ValueType type,
           Attributes attributes);

  Graph graph_;
  Ref last_;
  std::vector<Kept> kept_;
};

}  // namespace bnrun::train
