// What a fold did, for people and for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bnrun/fold.h"

namespace bnrun::cli {

/// One line: folded into what, or declined, why, and what would help.
std::string text_of(const FoldEntry& entry);
/// Operators before and after, then a line per entry.
std::string text_of(const FoldReport& report);

nlohmann::json json_of(const FoldEntry& entry);
nlohmann::json json_of(const FoldReport& report);

}  // namespace bnrun::cli
