// Serialising a model whose weights are not in the message.
#pragma once

#include <onnx/onnx_pb.h>

#include <ostream>
#include <vector>

#include "bnrun/tensor.h"

namespace bnrun {

/// Writes the bytes that protobuf would write if initializer i of the model's graph had the bytes of
/// `raw_data[i]` as its raw_data field; where raw_data[i] is undefined it is written as it is. The elements
/// go from the tensors straight to `out`, since a copy in the message would double what a model takes in
/// memory. Throws resource_limit, before anything is written, when the result would pass protobuf's limit.
/// Failures of `out` show in its state. REQUIRES: one element of `raw_data` per initializer.
void serialize(onnx::ModelProto model, const std::vector<Tensor>& raw_data, std::ostream& out);

}  // namespace bnrun
