#include "graph/node_query.h"

#include <algorithm>

namespace bnrun {

namespace {

/// Operators between integers and the layer that they are packed for: Transpose, Reshape and the like.
constexpr int kMostMoves = 8;

bool is_floating_value(const Graph& graph, ValueId id) {
  return id.valid() && is_floating(graph.value(id).type.dtype);
}

/// Its floating-point output consists of elements of its one floating-point input.
bool rearranges(const Graph& graph, const Node& node) {
  return node.op != nullptr && node.op->copies() && !node.inputs.empty() && node.outputs.size() == 1 &&
         is_floating_value(graph, node.inputs[0]) &&
         std::none_of(node.inputs.begin() + 1, node.inputs.end(),
                      [&](ValueId input) { return is_floating_value(graph, input); });
}

}  // namespace

bool is_packed(const Graph& graph, ValueId id) {
  const auto constant = [&](ValueId input) {
    return !input.valid() || graph.value(input).as_constant() != nullptr;
  };
  for (int moves = 0; moves <= kMostMoves; ++moves) {
    const NodeId producer = id.valid() ? graph.value(id).producer : NodeId{};
    if (!producer.valid() || !is_floating_value(graph, id)) return false;
    const Node& node = graph.node(producer);
    if (node.op == nullptr || node.inputs.empty() || !node.captures.empty() ||
        !std::all_of(node.inputs.begin() + 1, node.inputs.end(), constant))
      return false;
    id = node.inputs[0];
    if (!rearranges(graph, node))
      return node.op->linear() && id.valid() && constant(id) && !is_floating_value(graph, id);
  }
  return false;
}

bool reads_packed(const Graph& graph, NodeId id, std::size_t input) {
  const Node& node = graph.node(id);
  if (node.op == nullptr) return false;
  return input > 0 ? node.op->linear() : rearranges(graph, node) && is_packed(graph, node.outputs[0]);
}

NodeArgs::NodeArgs(const Graph& graph, std::span<const ValueId> inputs, std::span<const ValueId> outputs,
                   const ExactConstants* exact, const ExactConstants* unpacked)
    : used_(new bool[outputs.size()]) {
  for (const ValueId input : inputs) {
    inputs_.push_back(input.valid() ? graph.value(input).type : ValueType{});
    const Tensor* constant = input.valid() ? graph.value(input).as_constant() : nullptr;
    if (constant != nullptr && exact != nullptr) {
      const auto found = exact->find(input);
      if (found != exact->end()) constant = &found->second;
    }
    if (constant == nullptr && unpacked != nullptr) {
      const auto found = unpacked->find(input);
      if (found != unpacked->end()) constant = &found->second;
    }
    constants_.push_back(constant);
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const ValueId output = outputs[i];
    outputs_.push_back(output.valid() ? graph.value(output).type : ValueType{});
    used_[i] = output.valid() && (graph.value(output).is_output || !graph.value(output).users.empty());
  }
}

FoldArgs NodeArgs::get() const {
  return {.inputs = inputs_,
          .outputs = outputs_,
          .constants = constants_,
          .output_used = {used_.get(), outputs_.size()}};
}

Readers readers_of(const Graph& graph, ValueId value) {
  Readers readers;
  std::vector<NodeId> users = graph.value(value).users;
  std::sort(users.begin(), users.end());
  users.erase(std::unique(users.begin(), users.end()), users.end());
  for (const NodeId user : users) {
    const Node& node = graph.node(user);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != value) continue;
      const bool elements = node.op == nullptr || node.op->reads_elements(i);
      (elements ? readers.of_elements : readers.of_dimensions).push_back(user);
    }
    const auto captured = std::count(node.captures.begin(), node.captures.end(), value);
    readers.of_elements.insert(readers.of_elements.end(), static_cast<std::size_t>(captured), user);
  }
  return readers;
}

std::optional<Formula> formula_of(const Graph& graph, NodeId id) {
  if (!id.valid()) return std::nullopt;
  const auto* op = dynamic_cast<const HasFormula*>(graph.node(id).op.get());
  if (op == nullptr) return std::nullopt;
  const NodeArgs args(graph, id);
  return op->formula(args.get());
}

bool computes(const Graph& graph, NodeId id, Formula::Kind kind) {
  const auto formula = formula_of(graph, id);
  return formula && formula->kind == kind;
}

NodeId sole_reader(const Graph& graph, ValueId value) {
  return graph.value(value).users.size() == 1 ? sole_reader_of_elements(graph, value) : NodeId{};
}

NodeId sole_reader_of_elements(const Graph& graph, ValueId value) {
  const Readers readers = readers_of(graph, value);
  if (readers.of_elements.size() != 1 || graph.value(value).is_output) return {};
  const NodeId reader = readers.of_elements[0];
  const auto& inputs = graph.node(reader).inputs;
  return std::find(inputs.begin(), inputs.end(), value) != inputs.end() ? reader : NodeId{};
}

}  // namespace bnrun
