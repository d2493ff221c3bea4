// The options that say how tables are read, which all programs share.
#pragma once

#include <CLI/CLI.hpp>

#include "bnrun/model.h"
#include "io/data.h"

namespace bnrun::cli {

/// Adds --header, --sep, --decimal and --na.
void add_table_options(CLI::App& command, io::TableOptions& options);
/// Adds these and --by-position.
void add_table_options(CLI::App& command, io::TableRules& rules);

/// `given` with what the model says of the table it was trained on.
io::TableRules rules_for(const Model& model, io::TableRules given);

}  // namespace bnrun::cli
