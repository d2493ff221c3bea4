// The inputs and outputs of two models, side by side.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace bnrun {

/// Ports of two models, matched by name.
struct MatchedPorts {
  std::vector<std::size_t> positions;  ///< in the second model, of each port of the first
  std::string mismatch;                ///< the first difference; empty when there is none
};

MatchedPorts match_inputs(const Graph& a, const Graph& b);
MatchedPorts match_outputs(const Graph& a, const Graph& b);

}  // namespace bnrun
