// Program: what a graph becomes in order to be run. Immutable; shared by any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bnrun/tensor.h"
#include "graph/graph.h"
#include "op/op.h"
#include "op/prepared.h"
#include "op/value_type.h"

namespace bnrun {

using SlotId = ValueId;  ///< values keep the ids they have in the compiled graph; invalid: absent

/// One operator, of the graph or fused from several, and the values it reads and writes.
struct Step {
  std::shared_ptr<const Op> op;
  std::vector<SlotId> inputs;
  std::vector<SlotId> outputs;
  std::vector<SlotId> captures;
  std::string where;                     ///< "node 'dense_1' (Gemm)", for messages
  std::string_view kernel = "operator";  ///< what computes it, for profiles: a row of the table of kernels
  std::size_t constant_bytes = 0;        ///< of what `op` holds itself, which are no inputs
  const WorksInParts* parts = nullptr;   ///< of `op`, where it does
};

/// A value whose axis 0 is cut into blocks of rows.
struct RowValue {
  SlotId slot;
  DType dtype = DType::undefined;
  Shape row;  ///< of one row, without axis 0
  std::size_t row_bytes = 0;
  bool whole = false;      ///< read from or written to a tensor with all rows
  std::size_t offset = 0;  ///< otherwise: in the scratch memory of one block
};

/// Steps that a block of rows goes through while it is in cache, before the next block starts.
struct RowBlocks {
  std::int64_t rows = 0;         ///< of one block
  std::int64_t most_rows = 0;    ///< of one that is longer to even out what threads do
  std::int64_t least_rows = 0;   ///< of one block: fewer are not worth waking a thread
  std::vector<RowValue> values;  ///< all that are not constant
  /// The inputs of all steps, one after the other: a position in `values`, or -1 for a constant.
  std::vector<std::int32_t> inputs;
  std::vector<std::int32_t> outputs;  ///< likewise
  std::vector<std::int32_t> sources;  ///< values that exist before the stage
  std::vector<std::int32_t> results;  ///< values that others read after it
  std::size_t scratch_bytes = 0;
  std::size_t step_scratch_bytes = 0;  ///< more, that the step that wants most takes for one block
};

/// Steps run one after the other; without `blocks` it is a single step on whole tensors.
struct Stage {
  std::vector<Step> steps;
  std::optional<RowBlocks> blocks;
};

struct Program {
  struct Port {
    std::string name;
    ValueType type;
    SlotId slot;
  };
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  /// By slot; undefined for values that are computed or given by
  /// the caller. Default values of inputs are defined.
  std::vector<Tensor> constants;
  std::vector<Stage> stages;
};

}  // namespace bnrun
