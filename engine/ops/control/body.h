// Subgraphs of If, Loop and Scan.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "op/op.h"

namespace bnrun {

/// A subgraph attribute, run operator by operator.
class Body {
 public:
  /// Throws invalid_model when the attribute is missing.
  Body(AttributeReader& node, std::string_view attribute);

  std::size_t inputs() const { return graph_->inputs().size(); }
  std::size_t outputs() const { return graph_->outputs().size(); }
  /// What the subgraph tells of output i before it runs. Symbols mean nothing outside and are left out.
  ValueType output_type(std::size_t i) const;
  bool deterministic() const;

  /// `args` belongs to the node around the subgraph and holds the values it captures.
  std::vector<Tensor> run(std::span<const TensorView> inputs, const RunArgs& args) const;

 private:
  std::shared_ptr<const Graph> graph_;
  std::vector<std::string> captured_names_;  // of the node, in Node::captures order
};

/// What holds of both descriptions: a dimension, or the shape, in which they differ is unknown. Throws
/// invalid_model when the element types differ.
ValueType common_type(const ValueType& a, const ValueType& b);

/// Puts a computed tensor where output i belongs.
void store(const RunArgs& args, std::size_t i, const Tensor& result);

/// The one element of a boolean tensor. Throws invalid_model when it is none.
bool read_condition(const TensorView& condition);

}  // namespace bnrun
