// The result of a comparison of two models, as text and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bnrun/verify.h"

namespace bnrun {

std::string text_of(const Divergence& divergence);
/// What was compared, on which inputs, and how it was judged: sentences without an end of line.
std::vector<std::string> circumstances_of(const VerifyReport& report);
/// The verdict in words, one sentence.
std::string sentence_of(const VerifyReport& report);
/// Of one output: "agrees", or by how much it differs.
std::string verdict_on(const OutputComparison& output, const VerifyReport& report);
/// One row per output, then the verdict and, where they part, the first value that differs.
std::string text_of(const VerifyReport& report);
nlohmann::json json_of(const VerifyReport& report);

}  // namespace bnrun
