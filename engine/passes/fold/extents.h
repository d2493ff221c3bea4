// Unknown extents of a graph's inputs, known by name while it is being folded.
#pragma once

#include <map>
#include <string>

#include "graph/graph.h"

namespace bnrun {

/// For as long as it lives, each dimension of an input that is unknown and has no name has one of its own: an
/// extent that comes back, in the target of a Reshape say, is then proven to be the same.
class NamedExtents {
 public:
  explicit NamedExtents(Graph& graph);
  ~NamedExtents();
  NamedExtents(const NamedExtents&) = delete;
  NamedExtents& operator=(const NamedExtents&) = delete;

 private:
  Graph& graph_;
  std::map<ValueId, Dims> declared_;  ///< where the rank was known before
  std::string prefix_ = "unknown";    ///< of these names and of no others
};

}  // namespace bnrun
