// Where a program reads a model from: a file, or standard input for "-".
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>

#include "bnrun/model.h"
#include "bnrun/session.h"

namespace bnrun::cli {

/// The model of a file. "-" is standard input, which is read once however often it is asked for; it may be gzipped and
/// has no external data. Throws as Model::load does.
Model load_model(const std::string& path);

/// The same, compiled. What the engine lacks is an error that says what else can be done with the model.
Session open_session(const std::string& path, const SessionOptions& options);
/// The same of a model that was read from there.
Session open_session(const std::string& path, Model&& model, const SessionOptions& options);

/// --kernels: what computes products and convolutions.
void add_kernels_option(CLI::App& command, Kernels& kernels);

/// Throws UsageError when more than one of these is "-".
void check_one_reads_standard_input(std::span<const std::string> paths);

}  // namespace bnrun::cli
