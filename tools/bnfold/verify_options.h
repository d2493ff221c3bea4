// The options of a comparison, which `bnfold fold` and `bnfold verify` share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bnrun/verify.h"
#include "common/console.h"
#include "common/program.h"
#include "io/data.h"

namespace bnrun {

struct VerifyArguments {
  std::vector<std::string> inputs;
  std::string range;
  std::vector<std::string> shapes;
  std::optional<double> rtol;
  std::optional<double> atol;
  std::optional<std::int64_t> rows;
  VerifyOptions options;
  io::TableRules tables;
};

/// Adds the options of a comparison and returns them; adds those of tables too.
std::vector<CLI::Option*> add_verify_options(CLI::App& command, VerifyArguments& arguments);

/// What was asked for; data is read as inputs of `model`, and with -v is said how. Throws UsageError for a malformed
/// range or shape.
VerifyOptions read_verify_options(const cli::Console& console, const VerifyArguments& arguments,
                                  const Model& model);

/// verify() with a bar.
VerifyReport verify_with_progress(const cli::Console& console, const Model& a, const Model& b,
                                  VerifyOptions options);

}  // namespace bnrun
