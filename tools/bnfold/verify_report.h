// The result of a comparison of two models, as text and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bnrun/verify.h"

namespace bnrun {

std::string text_of(const Divergence& divergence);
/// One row per output, then the verdict and, where they part, the first value that differs.
std::string text_of(const VerifyReport& report);
nlohmann::json json_of(const VerifyReport& report);

}  // namespace bnrun
