// Reasons for not folding, as a user of the command line reads them.
#pragma once

#include <string>

#include "bnrun/decline.h"

namespace bnrun::cli {

/// What would make the fold possible, with the options to say it by: "raise max_rewrites (--max-rewrites)".
/// Empty when nothing would.
std::string remedy_with_options(Decline reason);

}  // namespace bnrun::cli
