// ONNX backend-test folders: model.onnx beside test_data_set_N/{input,output}_M.pb.
#pragma once

#include <filesystem>
#include <string>

#include "bnrun/export.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// Reads one serialised TensorProto. Throws io, invalid_input or unsupported (a sequence or map, say).
BNRUN_API Tensor read_tensor_file(const std::filesystem::path& path);

enum class TestOutcome { pass, fail, skip };

struct BackendTestResult {
  TestOutcome outcome = TestOutcome::fail;
  std::string detail;  ///< why it failed or was skipped
};

/// Runs the model of one folder on each of its data sets, operator by operator and compiled, and compares as
/// ONNX's own runner does (rtol 1e-3, atol 1e-7; integers, booleans and strings exactly). What the engine
/// does not support is a skip.
BNRUN_API BackendTestResult run_backend_test(const std::filesystem::path& folder);

}  // namespace bnrun
