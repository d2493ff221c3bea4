// Model-local functions.
#pragma once

#include <onnx/onnx_pb.h>

namespace bnrun {

/// Puts the body of each model-local function in place of its calls, in the graph and in every subgraph, and
/// drops the functions: attributes take the caller's value or the function's default, values get names of
/// their own, operator sets that only a function imports become the model's. Throws invalid_model when a
/// function calls itself, `unsupported` when it needs another version of an operator set than the model,
/// resource_limit when the calls multiply beyond reason.
void inline_functions(onnx::ModelProto& model);

}  // namespace bnrun
