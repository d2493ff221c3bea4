// Which nodes of a graph are computed on bytes, and which then need not be computed at all.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "graph/graph.h"
#include "graph/integer_product.h"
#include "kernels/math/activation.h"

namespace bnrun {

/// A sum of bytes that become bytes again, and the nodes that do all that.
struct ByteSum {
  IntegerSum sum;
  Activation activation;  ///< is_bound
  ByteOutput output;
  std::vector<NodeId> nodes;  ///< the last has the result
};

struct ByteLayers {
  std::map<NodeId, IntegerProduct> products;
  std::map<NodeId, ByteSum> sums;  ///< by the first node of each
  /// What these have as bytes and nobody else reads: DequantizeLinear in front of them.
  std::set<NodeId> unread;
};

/// `floats`: not only operators that are defined on bytes.
ByteLayers find_byte_layers(const Graph& graph, bool floats);

/// The bytes that alone are made of what a node computes.
std::optional<ByteOutput> output_behind(const Graph& graph, NodeId id);

}  // namespace bnrun
