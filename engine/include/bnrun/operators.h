// The operators this engine knows.
#pragma once

#include <string_view>
#include <vector>

#include "bnrun/export.h"

namespace bnrun {

struct OperatorInfo {
  std::string_view domain;  ///< "" is ai.onnx
  std::string_view name;
  std::vector<int>
      versions;  ///< opset versions at which it changed, each implemented; later ones mean the last
};

/// All of them, by domain and name.
BNRUN_API std::vector<OperatorInfo> supported_operators();

}  // namespace bnrun
