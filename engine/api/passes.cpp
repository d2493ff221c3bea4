// The public functions that take a Model and work on its graph.
// Those that change the model work on a copy of the graph, so that the model stays as it is when they throw.
#include "api/model_access.h"
#include "base/large_blocks.h"
#include "bnrun/fold.h"
#include "bnrun/inspect.h"
#include "bnrun/verify.h"
#include "inspect/inspect.h"
#include "passes/fold/fold.h"
#include "passes/to_inference.h"
#include "verify/verify.h"

namespace bnrun {

ModelCounts count(const Model& model) {
  return count(graph_of(model));
}
std::vector<std::string> unmatched_patterns(const Model& model, const FoldOptions& options) {
  return unmatched_patterns(graph_of(model), options);
}
std::vector<Conversion> convert_to_inference(Model& model) {
  Graph graph = graph_of(model);
  auto converted = convert_to_inference(graph);
  graph_of(model) = std::move(graph);
  return converted;
}
FoldReport fold(Model& model, const FoldOptions& options) {
  [[maybe_unused]] ReuseOfLargeBlocks reuse;
  Graph graph = graph_of(model);
  FoldReport report = fold(graph, options);
  graph_of(model) = std::move(graph);
  return report;
}

Inspection inspect(const Model& model) {
  return inspect(graph_of(model));
}
Inspection inspect_layers(const Model& model) {
  return inspect_layers(graph_of(model));
}
std::optional<std::int64_t> macs_per_row(const Model& model) {
  return macs_per_row(graph_of(model));
}
bool keeps_rows_apart(const Model& model) {
  return keeps_rows_apart(graph_of(model));
}

VerifyReport verify(const Model& a, const Model& b, const VerifyOptions& options) {
  return verify(graph_of(a), graph_of(b), options);
}

}  // namespace bnrun
