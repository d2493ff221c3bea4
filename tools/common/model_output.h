// Where a program writes the model it makes: a file, or standard output for "-".
#pragma once

#include <string>

#include "bnrun/model.h"

namespace bnrun::cli {

/// Before any work: throws UsageError when `output` is "-" and standard output is a terminal, or when it is
/// the file `input` ("-": none), which would be lost; io when a file could not be written there.
void check_model_output(const std::string& output, const std::string& input);

/// Writes the model whole or not at all; to standard output without external data.
void write_model(const Model& model, const std::string& output,
                 ExternalData external_data = ExternalData::automatic);

}  // namespace bnrun::cli
