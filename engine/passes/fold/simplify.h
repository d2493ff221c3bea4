// Simplifications that come free with the machinery of folding and keep the graph standard ONNX.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "passes/fold/chain.h"
#include "graph/rewrite.h"

namespace bnrun {

/// A simplification by rewriting that starts at this node and that the driver accepts, or nullopt; those that
/// `keep` names are switched off.
std::optional<Rewrite> find_simplification(FoldView& view, NodeId id, const std::vector<std::string>& keep);

}  // namespace bnrun
