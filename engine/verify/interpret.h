// Running a graph operator by operator: the yardstick for everything faster.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace bnrun {

/// Sees every computed value of an interpretation, in order.
using ValueObserver = std::function<void(ValueId, const Tensor&)>;

/// Runs a graph operator by operator. `inputs` in the order of `graph.inputs()`, an undefined view keeping
/// the default of an overridable initializer; results in the order of `graph.outputs()`. `captures` are the
/// values that a subgraph reads from the graph around it, by name.
std::vector<Tensor> interpret(const Graph& graph, std::span<const TensorView> inputs,
                              const ValueObserver& observer = {},
                              std::span<const std::pair<std::string, TensorView>> captures = {});

}  // namespace bnrun
