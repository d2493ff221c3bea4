#include "program/byte_layers.h"

#include <algorithm>
#include <utility>

#include "graph/node_query.h"
#include "program/byte_ops.h"

namespace bnrun {
namespace {

std::optional<ByteSum> byte_sum(const Graph& graph, NodeId id) {
  const auto sum = integer_sum(graph, id);
  if (!sum) return std::nullopt;
  ByteSum found{*sum, {}, {}, {id}};
  if (const NodeId next = sole_reader(graph, output_of(graph, id)); next.valid()) {
    const auto activation = require_op(graph, next).as_activation(NodeArgs(graph, next).get());
    if (activation && is_bound(*activation)) {
      found.activation = *activation;
      found.nodes.push_back(next);
    }
  }
  const auto output = output_behind(graph, found.nodes.back());
  if (!output) return std::nullopt;
  found.output = *output;
  found.nodes.push_back(sole_reader(graph, output_of(graph, found.nodes.back())));
  return found;
}

/// Whether products and sums of integers alone read a value, which have it as such.
bool stands_for_bytes(const Graph& graph, ValueId id, const ByteLayers& layers) {
  const Value& value = graph.value(id);
  return !value.is_output && !value.users.empty() && std::ranges::all_of(value.users, [&](NodeId user) {
    if (layers.sums.contains(user)) return true;
    const auto product = layers.products.find(user);
    if (product != layers.products.end()) return product->second.x != id;
    return layers.unread.contains(user) && is_packed(graph, output_of(graph, user));
  });
}

}  // namespace

std::optional<ByteOutput> output_behind(const Graph& graph, NodeId id) {
  const ValueId output = output_of(graph, id);
  const NodeId next = output.valid() ? sole_reader(graph, output) : NodeId{};
  if (!next.valid() || graph.node(next).inputs[0] != output) return std::nullopt;
  return byte_output(graph, next);
}

ByteLayers find_byte_layers(const Graph& graph, bool floats) {
  ByteLayers layers;
  const auto order = graph.topological_order();
  for (const NodeId id : order) {
    auto product = integer_product(graph, id);
    if (product && (floats || product->output)) layers.products.emplace(id, std::move(*product));
    auto sum = floats ? byte_sum(graph, id) : std::nullopt;
    if (sum) layers.sums.emplace(id, std::move(*sum));
  }
  if (layers.products.empty() && layers.sums.empty()) return layers;
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const bool unread = std::ranges::all_of(graph.node(*id).outputs, [&](ValueId output) {
      return output.valid() && stands_for_bytes(graph, output, layers);
    });
    if (unread) layers.unread.insert(*id);
  }
  return layers;
}

}  // namespace bnrun
