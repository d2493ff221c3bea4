// What bnfold says of a fold and of a comparison, for people and for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bnrun/fold.h"
#include "bnrun/verify.h"

namespace bnrun {

/// Operators before and after, then one line per BatchNormalization or disguise.
std::string text_of(const FoldReport& report);
/// One row per output, then the verdict and, where they part, the first value that differs.
std::string text_of(const VerifyReport& report);

nlohmann::json json_of(const FoldReport& report);
nlohmann::json json_of(const VerifyReport& report);

}  // namespace bnrun
