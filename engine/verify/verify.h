// Verification of two graphs.
#pragma once

#include "bnrun/verify.h"
#include "graph/graph.h"

namespace bnrun {

/// As the function of the same name in bnrun/verify.h, which takes Models.
VerifyReport verify(const Graph& a, const Graph& b, const VerifyOptions& options);

}  // namespace bnrun
