#include "graph/rewrite.h"

#include <algorithm>
#include <set>

#include "base/fail.h"
#include "base/scan.h"
#include "graph/infer.h"

namespace bnrun {
namespace {

bool is_taken_over(const Rewrite& rewrite, ValueId id) {
  for (const auto& added : rewrite.nodes) {
    for (const Operand& output : added.outputs) {
      if (output.kind == Operand::Kind::existing && output.index == id.index) return true;
    }
  }
  return false;
}

bool is_redirected(const Rewrite& rewrite, ValueId id) {
  return std::any_of(rewrite.redirected.begin(), rewrite.redirected.end(),
                     [&](const auto& pair) { return pair.first == id; });
}

bool is_removed(const Rewrite& rewrite, NodeId id) {
  return std::find(rewrite.removed.begin(), rewrite.removed.end(), id) != rewrite.removed.end();
}

/// Whether both lists are as long and leave out the same entries.
bool same_ports(const std::vector<ValueId>& before, const std::vector<Operand>& now) {
  return std::equal(before.begin(), before.end(), now.begin(), now.end(),
                    [](ValueId id, const Operand& operand) {
                      return id.valid() == (operand.kind != Operand::Kind::absent);
                    });
}

bool is_captured_by(const Graph& graph, ValueId id, NodeId user) {
  const auto& captures = graph.node(user).captures;
  return std::find(captures.begin(), captures.end(), id) != captures.end();
}

}  // namespace

Operand Rewrite::add_constant(std::string stem, Tensor tensor, Tensor exact) {
  constants.push_back({std::move(stem), std::move(tensor), std::move(exact)});
  return {Operand::Kind::constant, static_cast<std::int32_t>(constants.size() - 1)};
}

Operand Rewrite::add_value(std::string stem, ValueType type) {
  values.push_back({std::move(stem), std::move(type)});
  return {Operand::Kind::fresh, static_cast<std::int32_t>(values.size() - 1)};
}

std::optional<Refusal> refuse(const Graph& graph, const Rewrite& rewrite) {
  for (const NodeId id : rewrite.removed) {
    if (!graph.node(id).alive) return Refusal{Refusal::Kind::read_elsewhere, "its node is already gone"};
    for (const ValueId output : graph.node(id).outputs) {
      if (!output.valid() || is_taken_over(rewrite, output)) continue;
      const Value& value = graph.value(output);
      if (value.is_output) return Refusal{Refusal::Kind::read_outside, "'" + value.name + "'"};
      if (is_redirected(rewrite, output)) continue;
      for (const NodeId user : value.users) {
        if (is_removed(rewrite, user)) continue;
        return Refusal{
            is_captured_by(graph, output, user) ? Refusal::Kind::read_outside : Refusal::Kind::read_elsewhere,
            "'" + value.name + "' is read by " + describe(graph, user)};
      }
    }
  }
  for (const auto& [from, to] : rewrite.redirected) {
    for (const NodeId user : graph.value(from).users) {
      if (is_captured_by(graph, from, user)) {  // a subgraph reads it by its name
        return Refusal{Refusal::Kind::read_outside,
                       "'" + graph.value(from).name + "' is read inside " + describe(graph, user)};
      }
    }
    const ValueType& old_type = graph.value(from).type;
    const ValueType& new_type = graph.value(to).type;
    const bool same_dims = old_type.dims && new_type.dims && *old_type.dims == *new_type.dims;
    if (old_type.dtype != new_type.dtype || !same_dims) {
      return Refusal{Refusal::Kind::type_changes, "'" + graph.value(from).name + "' is " +
                                                      to_string(old_type) + ", '" + graph.value(to).name +
                                                      "' is " + to_string(new_type)};
    }
  }
  for (const auto& constant : rewrite.constants) {
    if (!constant.known_finite && !reach_of(constant.tensor).finite)
      return Refusal{Refusal::Kind::not_finite, constant.stem};
  }
  return std::nullopt;
}

/// The one place that edits finished graphs.
class RewriteDriver {
 public:
  explicit RewriteDriver(Graph& graph) : graph_(graph) {}

  std::vector<NodeId> apply(const Rewrite& rewrite) {
    std::vector<ValueId> constants;
    std::vector<ValueId> fresh;
    for (const auto& constant : rewrite.constants) {
      constants.push_back(graph_.add_constant(graph_.fresh_name(constant.stem), constant.tensor));
    }
    for (const auto& value : rewrite.values) {
      fresh.push_back(graph_.add_value(graph_.fresh_name(value.stem), value.type));
    }
    const auto resolve = [&](const Operand& operand) -> ValueId {
      switch (operand.kind) {
        case Operand::Kind::absent:
          return {};
        case Operand::Kind::existing:
          return {operand.index};
        case Operand::Kind::constant:
          return constants.at(static_cast<std::size_t>(operand.index));
        case Operand::Kind::fresh:
          return fresh.at(static_cast<std::size_t>(operand.index));
      }
      return {};
    };
    std::vector<NodeId> made;
    std::vector<ValueId> read;
    std::vector<ValueId> produced;
    std::vector<ValueId> touched;
    for (const NodeId id : rewrite.removed) {
      const Node& node = graph_.node(id);
      append(read, node.inputs);
      append(read, node.captures);
      append(produced, node.outputs);
      graph_.remove_node(id);
    }
    for (const auto& added : rewrite.nodes) {
      Node node = added.node;
      if (!same_ports(node.inputs, added.inputs) || !same_ports(node.outputs, added.outputs))
        node.op = nullptr;
      node.inputs.clear();
      node.outputs.clear();
      for (const Operand& input : added.inputs) node.inputs.push_back(resolve(input));
      for (const Operand& output : added.outputs) node.outputs.push_back(resolve(output));
      append(touched, node.inputs);
      append(touched, node.outputs);
      const NodeId id = graph_.add_node(std::move(node));
      infer_outputs(graph_, id);
      graph_.check_node(id);
      made.push_back(id);
    }
    for (const auto& [from, to] : rewrite.redirected) {
      redirect(from, to);
      append(touched, {from, to});
    }
    for (const ValueId id : produced) {
      if (id.valid()) drop_if_unused(id);
    }
    append(touched, produced);
    append(touched, read);
    remove_unread(std::move(read));
    for (const ValueId id : touched) {
      if (id.valid() && graph_.value(id).alive) graph_.check_value(id);
    }
    return made;
  }

  void replace_by_constants(NodeId id, const std::vector<Tensor>& outputs) {
    const std::vector<ValueId> produced = graph_.node(id).outputs;
    std::vector<ValueId> read = graph_.node(id).inputs;
    append(read, graph_.node(id).captures);
    graph_.remove_node(id);
    for (std::size_t i = 0; i < produced.size(); ++i) {
      if (!produced[i].valid() || !outputs[i].defined()) continue;
      Value& value = graph_.mutable_value(produced[i]);
      value.constant = outputs[i];
      value.type = ValueType::of(outputs[i].view());
    }
    remove_unread(std::move(read));
  }

  std::size_t remove_dead() {
    std::size_t removed = 0;
    auto order = graph_.topological_order();
    std::reverse(order.begin(), order.end());
    for (const NodeId id : order) {
      if (!is_dead(id)) continue;
      const Node node = graph_.node(id);
      graph_.remove_node(id);
      ++removed;
      for (const auto* list : {&node.inputs, &node.outputs, &node.captures}) {
        for (const ValueId value : *list) {
          if (value.valid()) drop_if_unused(value);
        }
      }
    }
    for (const ValueId id : graph_.live_values()) drop_if_unused(id);
    return removed;
  }

 private:
  static void append(std::vector<ValueId>& list, const std::vector<ValueId>& more) {
    list.insert(list.end(), more.begin(), more.end());
  }

  bool is_dead(NodeId id) const {
    const auto& outputs = graph_.node(id).outputs;
    return std::none_of(outputs.begin(), outputs.end(), [&](ValueId output) {
      return output.valid() && (graph_.value(output).is_output || !graph_.value(output).users.empty());
    });
  }

  /// Removes those of the given values that have lost their last reader, then the nodes that computed nothing
  /// else, and so on towards the inputs of the graph.
  void remove_unread(std::vector<ValueId> values) {
    while (!values.empty()) {
      const ValueId id = values.back();
      values.pop_back();
      if (!id.valid() || !graph_.value(id).alive) continue;
      const NodeId producer = graph_.value(id).producer;
      if (producer.valid() && is_dead(producer)) {
        const Node node = graph_.node(producer);
        graph_.remove_node(producer);
        for (const auto* list : {&node.inputs, &node.captures, &node.outputs}) append(values, *list);
      } else {
        drop_if_unused(id);
      }
    }
  }

  void redirect(ValueId from, ValueId to) {
    const std::vector<NodeId> users = graph_.value(from).users;
    for (const NodeId user : users) {
      for (auto* list : {&graph_.mutable_node(user).inputs, &graph_.mutable_node(user).captures}) {
        std::replace(list->begin(), list->end(), from, to);
      }
    }
    auto& target = graph_.mutable_value(to).users;
    target.insert(target.end(), users.begin(), users.end());
    graph_.mutable_value(from).users.clear();
  }

  void drop_if_unused(ValueId id) {
    const Value& value = graph_.value(id);
    if (value.alive && value.users.empty() && !value.is_output && !value.is_input && !value.captured &&
        !value.producer.valid()) {
      graph_.remove_value(id);
    }
  }

  Graph& graph_;
};

std::vector<NodeId> apply(Graph& graph, const Rewrite& rewrite) {
  if (const auto refused = refuse(graph, rewrite)) {
    fail(ErrorCode::internal, "rewrite '{}' refused: {}", rewrite.why, refused->detail);
  }
  return RewriteDriver(graph).apply(rewrite);
}

void replace_by_constants(Graph& graph, NodeId id, const std::vector<Tensor>& outputs) {
  RewriteDriver(graph).replace_by_constants(id, outputs);
}

std::size_t remove_dead(Graph& graph) {
  return RewriteDriver(graph).remove_dead();
}

}  // namespace bnrun
