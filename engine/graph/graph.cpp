#include "graph/graph.h"

#include <algorithm>
#include <queue>

#include "base/fail.h"
#include "op/registry.h"

namespace bnrun {

std::int64_t Graph::opset(std::string_view domain) const {
  const auto found = opsets.find(domain);
  return found == opsets.end() ? 0 : found->second;
}

std::vector<NodeId> Graph::live_nodes() const {
  std::vector<NodeId> ids;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].alive) ids.push_back({static_cast<std::int32_t>(i)});
  }
  return ids;
}

std::vector<ValueId> Graph::live_values() const {
  std::vector<ValueId> ids;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].alive) ids.push_back({static_cast<std::int32_t>(i)});
  }
  return ids;
}

std::vector<NodeId> Graph::topological_order() const {
  std::vector<int> missing(nodes_.size(), 0);  // produced inputs that have not been computed yet
  std::priority_queue<NodeId, std::vector<NodeId>, std::greater<>> ready;
  const auto live = live_nodes();
  for (const NodeId id : live) {
    int count = 0;
    for (const auto* list : {&node(id).inputs, &node(id).captures}) {
      for (const ValueId input : *list) count += input.valid() && value(input).producer.valid() ? 1 : 0;
    }
    missing[static_cast<std::size_t>(id.index)] = count;
    if (count == 0) ready.push(id);
  }
  std::vector<NodeId> order;
  while (!ready.empty()) {
    const NodeId id = ready.top();
    ready.pop();
    order.push_back(id);
    for (const ValueId output : node(id).outputs) {
      if (!output.valid()) continue;
      for (const NodeId user : value(output).users) {
        if (--missing[static_cast<std::size_t>(user.index)] == 0) ready.push(user);
      }
    }
  }
  if (order.size() != live.size()) {
    for (const NodeId id : live) {
      if (missing[static_cast<std::size_t>(id.index)] > 0) {
        fail(ErrorCode::invalid_model, "{} depends on its own output (the graph has a cycle)",
             describe(*this, id));
      }
    }
  }
  return order;
}

ValueId Graph::find_value(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? ValueId{} : found->second;
}

std::string Graph::fresh_name(std::string_view stem) const {
  std::string name(stem);
  for (int i = 1; by_name_.contains(name) || name.empty(); ++i) name = fmt::format("{}_{}", stem, i);
  return name;
}

ValueId Graph::insert_value(Value value) {
  const ValueId id{static_cast<std::int32_t>(values_.size())};
  if (!by_name_.emplace(value.name, id).second) {
    fail(ErrorCode::invalid_model, "the name '{}' is defined twice", value.name);
  }
  values_.push_back(std::move(value));
  return id;
}

ValueId Graph::add_input(std::string name, ValueType type) {
  Value value{.name = std::move(name), .type = std::move(type), .constant = {}, .producer = {}, .users = {}};
  value.is_input = true;
  const ValueId id = insert_value(std::move(value));
  inputs_.push_back(id);
  return id;
}

ValueId Graph::add_constant(std::string name, Tensor tensor) {
  ValueType type = ValueType::of(tensor.view());
  return insert_value({.name = std::move(name),
                       .type = std::move(type),
                       .constant = std::move(tensor),
                       .producer = {},
                       .users = {}});
}

ValueId Graph::add_value(std::string name, ValueType type) {
  return insert_value(
      {.name = std::move(name), .type = std::move(type), .constant = {}, .producer = {}, .users = {}});
}

ValueId Graph::add_captured(std::string name, ValueType type) {
  const ValueId id = add_value(std::move(name), std::move(type));
  mutable_value(id).captured = true;
  return id;
}

NodeId Graph::add_node(Node node) {
  const NodeId id{static_cast<std::int32_t>(nodes_.size())};
  for (const ValueId output : node.outputs) {
    if (!output.valid()) continue;
    Value& value = mutable_value(output);
    if (value.producer.valid() || value.is_input || value.constant.defined()) {
      fail(ErrorCode::invalid_model, "the name '{}' is defined twice", value.name);
    }
    value.producer = id;
  }
  for (const auto* list : {&node.inputs, &node.captures}) {
    for (const ValueId input : *list) {
      if (input.valid()) mutable_value(input).users.push_back(id);
    }
  }
  nodes_.push_back(std::move(node));
  if (nodes_.back().op == nullptr) make_operator(id);
  return id;
}

void Node::set_attribute(std::string_view attribute, AttributeValue value) {
  attributes.insert_or_assign(std::string(attribute), std::move(value));
  op = nullptr;
}

void Graph::make_operator(NodeId id) {
  Node& node = mutable_node(id);
  const std::int64_t version = opset(node.domain);
  const auto problem = [&](const Error& error) {
    node.problem = std::make_shared<const Error>(error.within(describe(*this, id)));
  };
  try {
    node.problem = nullptr;
    node.op = make_op(call_of(node, wide), version);
    if (node.op != nullptr) return;
    problem(Error(ErrorCode::unsupported,
                  fmt::format("operator {} of domain '{}' (opset {}) is not supported", node.op_type,
                              node.domain.empty() ? "ai.onnx" : node.domain, version)));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw error.within(describe(*this, id));
    problem(error);
  }
}

void Graph::add_output(ValueId id) {
  outputs_.push_back(id);
  mutable_value(id).is_output = true;
}

void Graph::mark_overridable(ValueId id) {
  Value& value = mutable_value(id);
  value.overridable = true;
  value.type.content.reset();  // another tensor may take its place
  value.is_input = true;
  inputs_.push_back(id);
}

void Graph::set_type(ValueId id, ValueType type) {
  mutable_value(id).type = std::move(type);
}

void Graph::remove_node(NodeId id) {
  Node& node = mutable_node(id);
  for (const auto* list : {&node.inputs, &node.captures}) {
    for (const ValueId input : *list) {
      if (!input.valid()) continue;
      auto& users = mutable_value(input).users;
      users.erase(std::find(users.begin(), users.end(), id));
    }
  }
  for (const ValueId output : node.outputs) {
    if (output.valid()) mutable_value(output).producer = {};
  }
  node = {};
  node.alive = false;
}

void Graph::remove_value(ValueId id) {
  Value& value = mutable_value(id);
  by_name_.erase(value.name);
  value = {};
  value.alive = false;
}

namespace {

void require(bool holds, std::string_view what, std::string_view where) {
  if (!holds) fail(ErrorCode::internal, "inconsistent graph: {} at '{}'", what, where);
}

auto count_of(const std::vector<ValueId>& list, ValueId id) {
  return std::count(list.begin(), list.end(), id);
}

}  // namespace

void Graph::check_value(ValueId id) const {
  const Value& v = value(id);
  std::vector<NodeId> users = v.users;
  std::sort(users.begin(), users.end());
  for (auto user = users.begin(); user != users.end();) {
    const auto next = std::upper_bound(user, users.end(), *user);
    const Node& reader = node(*user);
    require(reader.alive && count_of(reader.inputs, id) + count_of(reader.captures, id) == next - user,
            "uses and users differ", v.name);
    user = next;
  }
  require(find_value(v.name) == id, "a name leads elsewhere", v.name);
  require(!v.producer.valid() || (!v.constant.defined() && !v.is_input), "a value has two origins", v.name);
  const bool has_origin = v.producer.valid() || v.constant.defined() || v.is_input || v.captured;
  require(has_origin || (v.users.empty() && !v.is_output), "a value has no origin", v.name);
}

void Graph::check_node(NodeId id) const {
  for (const auto* list : {&node(id).inputs, &node(id).captures}) {
    for (const ValueId input : *list) {
      if (!input.valid()) continue;
      const Value& v = value(input);
      require(v.alive, "a node reads a removed value", node(id).name);
      require(std::find(v.users.begin(), v.users.end(), id) != v.users.end(), "a use is not recorded",
              v.name);
    }
  }
  for (const ValueId output : node(id).outputs) {
    if (output.valid())
      require(value(output).producer == id, "an output names another producer", value(output).name);
  }
}

void Graph::check() const {
  for (const NodeId id : live_nodes()) check_node(id);
  for (const ValueId id : live_values()) check_value(id);
  for (const ValueId id : inputs_)
    require(value(id).alive && value(id).is_input, "a lost input", value(id).name);
  for (const ValueId id : outputs_)
    require(value(id).alive && value(id).is_output, "a lost output", value(id).name);
  topological_order();
}

std::vector<std::string> captured_names(const Attributes& attributes) {
  std::vector<std::string> names;
  for (const auto& [name, attribute] : attributes) {
    const auto* subgraph = std::get_if<std::shared_ptr<const Graph>>(&attribute);
    if (subgraph == nullptr) continue;
    for (const ValueId id : (*subgraph)->live_values()) {
      const Value& inner = (*subgraph)->value(id);
      if (inner.captured && std::find(names.begin(), names.end(), inner.name) == names.end())
        names.push_back(inner.name);
    }
  }
  return names;
}

OpCall call_of(const Node& node, bool wide) {
  OpCall call{node.op_type, node.domain, node.attributes, {}, node.outputs.size(), wide};
  for (const ValueId input : node.inputs) call.given.push_back(input.valid());
  return call;
}

const Op& require_op(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op == nullptr) throw Error(*node.problem);
  return *node.op;
}

std::string label_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.name.empty() || node.outputs.empty() || !node.outputs[0].valid()) return node.name;
  return graph.value(node.outputs[0]).name;
}

std::string describe(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.name.empty()) return fmt::format("node '{}' ({})", node.name, node.op_type);
  for (const ValueId output : node.outputs) {
    if (output.valid())
      return fmt::format("the {} node that computes '{}'", node.op_type, graph.value(output).name);
  }
  return fmt::format("an unnamed {} node", node.op_type);
}

}  // namespace bnrun
