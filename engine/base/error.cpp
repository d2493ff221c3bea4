#include "bnrun/error.h"

#include "base/fail.h"

namespace bnrun {

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_model:
      return "invalid model";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::invalid_input:
      return "invalid input";
    case ErrorCode::resource_limit:
      return "resource limit";
    case ErrorCode::io:
      return "input/output";
    case ErrorCode::internal:
      return "internal error";
  }
  return "unknown";
}

Error Error::within(std::string_view context) const {
  return Error(code_, fmt::format("{}: {}", context, what()));
}

}  // namespace bnrun
