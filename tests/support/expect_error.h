// Errors in tests: what is thrown, and with which code.
#pragma once

#include <gtest/gtest.h>

#include <source_location>
#include <string>

#include "bnrun/error.h"

namespace bnrun::testing {

/// Expects that `action` throws an Error with this code, and returns its message.
template <class F>
std::string expect_error(ErrorCode code, F&& action,
                         std::source_location where = std::source_location::current()) {
  const auto fail = [&](const std::string& what) {
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << what;
  };
  try {
    action();
  } catch (const Error& error) {
    if (error.code() != code) {
      fail("thrown is " + std::string(name_of(error.code())) + " instead of " + std::string(name_of(code)) +
           ": " + error.what());
    }
    return error.what();
  }
  fail("nothing was thrown");
  return "";
}

}  // namespace bnrun::testing
