// Model-local functions.
#pragma once

#include <onnx/onnx_pb.h>

namespace bnrun {

/// Inlines all calls of model-local functions, in the graph and in every subgraph, and removes the
/// functions. Attributes take the caller's value or the function's default, values get new names, and
/// operator sets that only a function imports are added to those of the model. Throws invalid_model
/// when a function calls itself, `unsupported` when it needs another version of an operator set than
/// the model, and resource_limit when the calls expand to too many nodes.
void inline_functions(onnx::ModelProto& model);

}  // namespace bnrun
