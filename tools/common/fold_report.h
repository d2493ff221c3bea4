// What a fold did, for people and for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bnrun/fold.h"

namespace bnrun::cli {

/// Into what and how, or why not and what would help.
std::string fate_of(const FoldEntry& entry);
/// One line: what it is and its fate.
std::string text_of(const FoldEntry& entry);

nlohmann::json json_of(const FoldEntry& entry);
nlohmann::json json_of(const FoldReport& report);

}  // namespace bnrun::cli
