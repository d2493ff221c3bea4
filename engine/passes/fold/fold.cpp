// Folding as others call it: prepare, search, report.
#include "passes/fold/fold.h"

#include <algorithm>
#include <utility>

#include "base/fail.h"
#include "passes/fold/extents.h"
#include "passes/fold/rules.h"
#include "passes/fold/search.h"
#include "passes/prepare.h"
#include "passes/to_inference.h"

namespace bnrun {

bool FoldReport::complete() const {
  return std::all_of(entries.begin(), entries.end(), [](const FoldEntry& entry) { return entry.folded; });
}

bool FoldReport::changed() const {
  return rewrites != 0 || !converted.empty() || !simplifications.empty() || !(before == after);
}

ModelCounts count(const Graph& graph) {
  ModelCounts counts;
  for (const NodeId id : graph.live_nodes()) {
    ++counts.operators[graph.node(id).op_type];
    ++counts.nodes;
  }
  for (const ValueId id : graph.live_values()) {
    const Tensor& constant = graph.value(id).constant;
    if (constant.defined() && is_floating(constant.dtype())) counts.parameters += constant.elements();
  }
  return counts;
}

std::vector<std::string> unmatched_patterns(const Graph& graph, const FoldOptions& options) {
  std::vector<std::string> patterns = options.only;
  patterns.insert(patterns.end(), options.skip.begin(), options.skip.end());
  for (const NodeId id : graph.live_nodes()) {
    const std::string name = label_of(graph, id);
    std::erase_if(patterns, [&](const std::string& pattern) { return matches_any({pattern}, name); });
  }
  return patterns;
}

FoldReport fold(Graph& graph, const FoldOptions& options) {
  for (const std::string& name : options.without) {
    const auto all = simplifications();
    if (std::ranges::find(all, name, &Simplification::name) == all.end())
      fail(ErrorCode::invalid_input, "there is no simplification '{}' to leave out", name);
  }
  FoldReport report;
  report.before = count(graph);
  if (options.as_inference) report.converted = convert_to_inference(graph);
  const NamedExtents named(graph);
  ExactConstants exact;
  prepare(graph,
          {.constants = does(options, "constants"),
           .dead = does(options, "dead"),
           .packed = !options.keep_integers},
          &exact);
  FoldSearch search(graph, std::move(exact), options);
  search.run();
  report.entries = search.entries();
  report.simplifications = search.simplifications();
  report.rewrites = search.rewrites();
  report.after = count(graph);
  return report;
}

}  // namespace bnrun
