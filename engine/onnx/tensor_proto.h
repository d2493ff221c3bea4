// TensorProto <-> Tensor, and reading external data. No other code opens files that a model names.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>

#include "bnrun/tensor.h"
#include "onnx/stored.h"

namespace bnrun {

/// Where external data may be read from: files in or below this folder. Empty: nowhere.
struct ExternalDataDoor {
  std::filesystem::path folder;
};

/// raw_data that split_model left in the model's file.
struct StoredRawData {
  const InputFile& file;
  StoredBytes at;
};

/// Reads a tensor in any of ONNX's encodings. Empties `proto`'s data as it goes, so that a model is never
/// held twice. `stored` is its raw_data where that is not in `proto`, or null. Throws invalid_model, unsupported,
/// resource_limit or io; messages name the tensor.
Tensor read_tensor(onnx::TensorProto& proto, const ExternalDataDoor& door,
                   const StoredRawData* stored = nullptr);

/// Element type and dimensions; leaves other fields alone.
void write_tensor_type(const Tensor& tensor, onnx::TensorProto& proto);
/// The same, and the elements (raw_data where the type allows).
void write_tensor(const Tensor& tensor, onnx::TensorProto& proto);

}  // namespace bnrun
