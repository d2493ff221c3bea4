// fail(code, format, arguments...): throws bnrun::Error. The library has one as well, but its public headers
// know nothing of fmt.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "bnrun/error.h"

namespace bnrun::io {

template <class... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace bnrun::io
