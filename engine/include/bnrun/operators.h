// The operators this engine knows.
#pragma once

#include <string_view>
#include <vector>

#include "bnrun/export.h"

namespace bnrun {

struct OperatorInfo {
  std::string_view domain;  ///< "" is ai.onnx
  std::string_view name;
  /// The opset versions at which it changed, all of them implemented. Later versions mean the last one.
  std::vector<int> versions;
};

/// All of them, by domain and name.
BNRUN_API std::vector<OperatorInfo> supported_operators();

}  // namespace bnrun
