// Simplifications that come free with the machinery of folding and keep the graph standard ONNX.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fold/chain.h"
#include "graph/rewrite.h"

namespace bnrun {

/// The next simplification that the driver accepts, or nullopt. `keep` names rules that are switched off:
///   identity    an operator that returns its input goes (Identity, Dropout at inference, Cast to the same
///   type) rearrange   two Reshapes, Squeezes, Transposes, ... in a row that cancel go gemm        MatMul +
///   Add of a bias become one Gemm where both operands are proven matrices
std::optional<Rewrite> find_simplification(FoldView& view, const std::vector<std::string>& keep);

}  // namespace bnrun
