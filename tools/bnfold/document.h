// The result of one run of `bnfold fold`, and its report as text, JSON and HTML.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "bnrun/fold.h"
#include "bnrun/inspect.h"
#include "bnrun/verify.h"
#include "common/timing.h"
#include "provenance.h"

namespace bnrun {

struct FoldDocument {
  std::string model;
  std::string output;  ///< empty with --dry-run
  FoldReport fold;
  std::optional<VerifyReport> verification;
  /// Why it was not compared with the original, and how to; empty when it was.
  std::string unverified;
  Inspection before, after;  ///< all but the fold
  Provenance provenance;
  std::optional<cli::Timing> timing;
};

/// What the folded model was compared with.
const char* reference_of(const FoldDocument& document);

/// One row of the comparison of the model before and after.
struct Change {
  std::string what;
  std::string before;
  std::string after;
};
/// Operators by name, then nodes, parameters, multiply-accumulates and time.
std::vector<Change> changes_of(const FoldDocument& document);

/// Before and after, what became of each BatchNormalization, and with `detailed` how the numbers changed.
std::string text_of(const FoldDocument& document, bool detailed);
nlohmann::json json_of(const FoldDocument& document);
/// One page that needs nothing else: no script, no style sheet, no picture beside it. Well-formed as XML too.
std::string html_of(const FoldDocument& document);

}  // namespace bnrun
