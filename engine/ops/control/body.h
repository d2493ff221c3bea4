// Subgraphs of If, Loop and Scan.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exec/executor.h"
#include "graph/graph.h"
#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

/// A subgraph attribute: a program of its own, compiled when it is first run. Thread-safe.
class Body {
 public:
  /// Throws invalid_model when the attribute is missing.
  Body(AttributeReader& node, std::string_view attribute);

  const std::shared_ptr<const Graph>& graph() const { return graph_; }
  std::size_t inputs() const { return graph_->inputs().size(); }
  std::size_t outputs() const { return graph_->outputs().size(); }
  /// The type that the subgraph declares or infers for output i. Its
  /// symbolic dimensions are unknown outside of the subgraph.
  ValueType output_type(std::size_t i) const;
  bool deterministic() const;

  /// `args` belongs to the node around the subgraph and holds the values it captures.
  std::vector<Tensor> run(std::span<const TensorView> inputs, const RunArgs& args) const;

  // The same in parts, for a body that runs again and again: its captures stand behind its inputs.
  void append_captures(const RunArgs& args, std::vector<TensorView>& inputs) const;
  /// Into tensors of an earlier run where they fit; see Executor::run.
  void run(std::span<const TensorView> inputs, std::vector<Tensor>& outputs) const;

 private:
  const Executor& executor() const;

  std::shared_ptr<const Graph> graph_;
  std::size_t captures_;  ///< how many values all subgraphs of the node capture
  /// Positions in Node::captures of the values that this
  /// subgraph reads, in the order of its program's inputs.
  std::vector<std::size_t> captured_;
  mutable std::once_flag compiled_;
  mutable std::unique_ptr<const Executor> executor_;
};

/// The type that covers both: dimensions in which they differ are unknown, and so is the shape when the ranks
/// differ. Throws invalid_model when the element types differ.
ValueType common_type(const ValueType& a, const ValueType& b);

/// Puts a computed tensor where output i belongs.
void store(const RunArgs& args, std::size_t i, const Tensor& result);

/// The one element of a boolean tensor. Throws invalid_model when it is none.
bool read_condition(const TensorView& condition);

}  // namespace bnrun
