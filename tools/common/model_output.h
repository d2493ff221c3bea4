// Where a program writes the model it makes: a file, or standard output for "-".
#pragma once

#include <string>
#include <vector>

#include "bnrun/model.h"

namespace bnrun::cli {

/// Before any work: throws UsageError when `output` is "-" and standard output is a terminal, or when it is
/// the file `input` ("-": none), which would be lost; io when a file could not be written there.
void check_model_output(const std::string& output, const std::string& input);

/// Throws UsageError when a file that is to be written is one of those read, or is to be written twice. "-",
/// "", devices and pipes are no files.
void check_distinct(const std::vector<std::string>& written, const std::vector<std::string>& read);

/// Writes the model whole or not at all; to standard output without external data.
void write_model(const Model& model, const std::string& output,
                 ExternalData external_data = ExternalData::automatic);

}  // namespace bnrun::cli
