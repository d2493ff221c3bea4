// fail(code, format, arguments...): throws bnrun::Error.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "bnrun/error.h"

namespace bnrun {

template <class... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace bnrun
