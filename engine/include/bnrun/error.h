// Errors of the engine: one exception type with a code inside.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "bnrun/export.h"

namespace bnrun {

/// What kind of thing went wrong; the command line maps each to an exit code.
enum class ErrorCode {
  invalid_model,   ///< the model file breaks the ONNX format or its own declarations
  unsupported,     ///< the model is valid, but uses an operator, type or attribute the engine lacks
  invalid_input,   ///< data given to the engine does not fit the model or is malformed
  resource_limit,  ///< a size or memory limit was reached
  io,              ///< reading or writing failed
  internal,        ///< a defect of the engine itself
};

BNRUN_API std::string_view name_of(ErrorCode code);

/// The only exception the engine throws. `what()` is one line that names the file, node or row concerned
/// and, where there is one, the remedy.
class BNRUN_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

  /// The same error with `context` ("node 'a' (Gemm)", a file name) in front of its message.
  Error within(std::string_view context) const;

 private:
  ErrorCode code_;
};

}  // namespace bnrun
