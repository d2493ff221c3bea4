// TensorProto <-> Tensor, and reading external data. No other code opens files that a model names.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>

#include "bnrun/tensor.h"

namespace bnrun {

/// Where external data may be read from: files in or below this folder. Empty: nowhere.
struct ExternalDataDoor {
  std::filesystem::path folder;
};

/// Reads a tensor in any of ONNX's encodings. Empties `proto`'s data as it goes, so that a model is never
/// held twice. Throws invalid_model, unsupported, resource_limit or io; messages name the tensor.
Tensor read_tensor(onnx::TensorProto& proto, const ExternalDataDoor& door);

/// Element type and dimensions; leaves other fields alone.
void write_tensor_type(const Tensor& tensor, onnx::TensorProto& proto);
/// The same, and the elements (raw_data where the type allows).
void write_tensor(const Tensor& tensor, onnx::TensorProto& proto);

}  // namespace bnrun
