// What fit and tune do alike: rows held out, epoch after epoch, files about it.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "bnrun/train.h"
#include "common/console.h"

namespace bnrun {

/// How many of `rows` rows "--holdout" keeps apart: digits alone are a number of rows, others a fraction.
/// Throws cli::UsageError when it is neither, or nothing would be left.
std::size_t held_out_rows(const std::string& text, std::size_t rows);

struct RunSettings {
  std::string holdout = "0";
  std::uint64_t holdout_seed = 1;
  // Files, and a folder; empty: none.
  std::string history;
  std::string curves;
  std::string tensorboard;
  std::string checkpoint;
  bool resume = false;
  int progress = 2;
};
void add_run_settings(CLI::App& command, RunSettings& settings);
/// Throws cli::UsageError where they do not fit together, or a checkpoint is there already, and io where a file cannot
/// be written.
void check_run_settings(const RunSettings& settings);

struct Loop {
  const cli::Console& console;
  const RunSettings& settings;
  int epochs = 0;
  bool classification = false;
};

/// Trains, with checkpoints, until it is done or interrupted.
void train_on(const Loop& loop, train::Training& training);

/// Where results are printed beside a model that is written to `output`, "-" being standard output.
std::FILE* beside(const std::string& output);

/// Writes what is to be kept of a training besides the model at `output`, which learned these targets: every epoch, and
/// curves.
void write_records(const RunSettings& settings, const std::vector<std::string>& targets,
                   const std::string& output, bool classification,
                   const std::vector<train::EpochReport>& history);

/// The last words: where the model is.
void end_with(const cli::Console& console, const std::string& output);

}  // namespace bnrun
