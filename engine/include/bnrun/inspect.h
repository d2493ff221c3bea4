// What a model consists of, what it costs to run, and what folding would do to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bnrun/export.h"
#include "bnrun/fold.h"
#include "bnrun/model.h"

namespace bnrun {

/// One operator of the graph as it runs.
struct LayerInfo {
  std::string op_type;
  std::string domain;              ///< "" is ai.onnx
  std::string name;                ///< may be empty
  std::string output;              ///< name of its first output
  std::vector<std::size_t> after;  ///< the layers whose outputs it reads, by position among all, ascending
  std::string type;                ///< of its first output, e.g. "float32[N,16]"; '?' is an unknown dimension
  /// Elements of its floating-point constants, each counted at its first reader.
  std::int64_t parameters = 0;
  /// Multiply-accumulates of matrix products and convolutions per row, 0 for other operators.
  /// Absent where their number is unknown (unknown shapes, Einsum, loops, other domains).
  std::optional<std::int64_t> macs;
  std::string problem;  ///< why it cannot run here; empty when it can
};

struct Inspection {
  std::map<std::string, std::int64_t> opsets;  ///< domain -> version; "" is ai.onnx
  std::vector<LayerInfo> layers;               ///< in execution order
  std::size_t computed_ahead = 0;              ///< operators with constant inputs only, not among the layers
  std::int64_t parameters = 0;
  std::int64_t parameter_bytes = 0;
  /// Per row along axis 0 of the first input; absent when the number is unknown for some layer.
  std::optional<std::int64_t> macs;
  FoldReport fold;           ///< what fold() would do
  std::string fold_problem;  ///< why it cannot fold; empty when it can
};

/// Throws invalid_model when the model contradicts itself. What is merely unsupported is reported as such.
BNRUN_API Inspection inspect(const Model& model);

/// The same but for the fold.
BNRUN_API Inspection inspect_layers(const Model& model);

/// Inspection::macs alone.
BNRUN_API std::optional<std::int64_t> macs_per_row(const Model& model);

/// Whether row i of each output (along axis 0) is known to be computed from row i of the inputs alone, whatever the
/// number of rows: then a batch may be run in parts. False where an operator leaves it open. Throws as inspect does.
BNRUN_API bool keeps_rows_apart(const Model& model);

}  // namespace bnrun
