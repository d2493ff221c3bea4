// A program's manual page and its completion in shells, from the same definitions as its --help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace bnrun::cli {

/// In troff, section 1. `version`: "bnrun 0.1.0".
std::string man_page(const CLI::App& app, const std::string& version);

/// `shell`: "bash", "zsh" or "fish". Empty for any other.
std::string completion(const CLI::App& app, const std::string& shell);

}  // namespace bnrun::cli
