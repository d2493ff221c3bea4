// The values that steps read and write: those of the graph, and those that only steps have.
#pragma once

#include <memory>
#include <vector>

#include "graph/graph.h"
#include "op/op.h"
#include "program/program.h"

namespace bnrun {

class Values {
 public:
  /// The graph must outlive this, and lose nothing but constants that no step reads.
  explicit Values(const Graph& graph) : graph_(graph) {}

  ValueId add(ValueType type, Tensor constant = {});
  std::size_t count() const { return graph_.value_slots() + added_.size(); }

  const ValueType& type(ValueId id) const;
  /// nullptr where it is computed, or where a caller may override it.
  const Tensor* constant(ValueId id) const;
  /// What it is where no caller gives it and no step computes it, or undefined.
  Tensor held(ValueId id) const;
  bool is_output(ValueId id) const { return of_graph(id) && graph_.value(id).is_output; }
  /// There before the first step: a constant, an input, or captured.
  bool is_given(ValueId id) const;

 private:
  struct Added {
    ValueType type;
    Tensor constant;
  };
  bool of_graph(ValueId id) const { return static_cast<std::size_t>(id.index) < graph_.value_slots(); }
  const Added& added(ValueId id) const {
    return added_[static_cast<std::size_t>(id.index) - graph_.value_slots()];
  }

  const Graph& graph_;
  std::vector<Added> added_;
};

/// FoldArgs of a step, with the arrays they point into.
class StepArgs {
 public:
  StepArgs(const Values& values, const Step& step);
  FoldArgs get() const;

 private:
  std::vector<ValueType> inputs_;
  std::vector<ValueType> outputs_;
  std::vector<const Tensor*> constants_;
  std::unique_ptr<bool[]> used_;
};

}  // namespace bnrun
