// Running a graph operator by operator: the reference for compiled programs.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace bnrun {

/// Called with every computed value, in execution order.
using ValueObserver = std::function<void(ValueId, const Tensor&)>;

/// Elements to be taken instead of those of an initializer, or of what a node computes, in the same type.
using OtherConstants = std::map<ValueId, Tensor>;

/// Runs a graph operator by operator. `inputs` in the order of `graph.inputs()`, an undefined view keeping
/// the default of an overridable initializer; results in the order of `graph.outputs()`. `captures` are the
/// values that a subgraph reads from the graph around it, by name.
std::vector<Tensor> interpret(const Graph& graph, std::span<const TensorView> inputs,
                              const ValueObserver& observer = {},
                              std::span<const std::pair<std::string, TensorView>> captures = {},
                              const OtherConstants& others = {});

}  // namespace bnrun
