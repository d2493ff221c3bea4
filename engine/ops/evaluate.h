// Running operators one by one: the plain way, and the yardstick for every faster one.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "ops/op.h"

namespace bnrun {

/// Infers shapes for these inputs, allocates, runs. Unlisted optional outputs come back undefined.
/// `wanted[i]`: output i has a name in the node.
std::vector<Tensor> evaluate(const Op& op, std::span<const TensorView> inputs, std::span<const bool> wanted,
                             std::span<const TensorView> captures = {});

/// Writes the inferred type of every value into the graph, merging it with what the file declares. A value
/// whose producer is unknown to the operator table keeps its declared type. Throws invalid_model on a
/// contradiction.
void infer_types(Graph& graph);

/// Computed constants before rounding: what a constant subgraph gives when evaluated in double.
using ExactConstants = std::map<ValueId, Tensor>;

/// Replaces every node whose outputs are known, because all its inputs are constant or because their types
/// tell (the shape of a static tensor), by the constants it computes (outputs of at most `max_bytes` each),
/// puts the branch taken in place of each If with a constant condition, and removes what lost its last
/// reader by it. Returns the number of nodes computed. With `exact`, small floating-point results are kept
/// there in double as well.
std::size_t evaluate_constants(Graph& graph, ExactConstants* exact = nullptr,
                               std::size_t max_bytes = std::size_t{1} << 28);

/// Throws `unsupported`, naming the node, unless the engine can run every node, those of subgraphs included.
void check_supported(const Graph& graph);

/// Sees every computed value of an interpretation, in order.
using ValueObserver = std::function<void(ValueId, const Tensor&)>;

/// Runs a graph operator by operator. `inputs` in the order of `graph.inputs()`, an undefined view keeping
/// the default of an overridable initializer; results in the order of `graph.outputs()`. `captures` are the
/// values that a subgraph reads from the graph around it, by name.
std::vector<Tensor> interpret(const Graph& graph, std::span<const TensorView> inputs,
                              const ValueObserver& observer = {},
                              std::span<const std::pair<std::string, TensorView>> captures = {});

/// The same graph with every float16, bfloat16 and float32 widened to float64: inputs, constants, declared
/// types and the element types that attributes name (Cast, ConstantOfShape, ...). The truth results are
/// measured against. An initializer of more than `max_bytes` keeps its elements under the wide type:
/// `interpret` widens it for each node that reads it, so that a large model is never held in double as a
/// whole.
Graph widened(const Graph& graph, std::size_t max_bytes = std::numeric_limits<std::size_t>::max());

}  // namespace bnrun
