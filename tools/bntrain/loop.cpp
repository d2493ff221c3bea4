#include "loop.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

#include "common/interrupt.h"
#include "common/numbers.h"
#include "common/program.h"
#include "io/file.h"
#include "report.h"
#include "tensorboard.h"

namespace bnrun {

std::size_t held_out_rows(const std::string& text, std::size_t rows) {
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
  double number = 0.0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end || !(number >= 0.0 && std::isfinite(number)))
    throw cli::UsageError(
        fmt::format("--holdout {}: expected a fraction below 1, or a number of rows", text));
  if (number == 0.0) return 0;
  if (!digits && number > 1.0)
    throw cli::UsageError(fmt::format("--holdout {} is neither a fraction nor a number of rows", text));
  const double wanted = digits ? number : number * static_cast<double>(rows);
  const auto count = static_cast<std::size_t>(std::llround(std::min(wanted, static_cast<double>(rows))));
  if (count == 0 || count >= rows)
    throw cli::UsageError(fmt::format("--holdout {} keeps {} of {} rows apart, which leaves nothing to {}{}",
                                      text, count, rows, count == 0 ? "measure" : "train on",
                                      !digits && number == 1.0 ? "; one row is --holdout 1" : ""));
  return count;
}

void add_run_settings(CLI::App& command, RunSettings& o) {
  const auto add = [&](const std::string& name, auto& value, const std::string& description) {
    return command.add_option(name, value, description)->group("Training")->type_name("");
  };
  const auto add_file = [&](const std::string& name, std::string& path, const std::string& description) {
    return add(name, path, description)->check(cli::not_empty());
  };
  add("--holdout", o.holdout, "Rows never seen in training: a fraction such as 0.2, or a number of rows");
  add("--holdout-seed", o.holdout_seed, "Which rows those are; apart from --seed, so that runs compare (1)");
  add_file("--history", o.history, "Write loss and metric of every epoch to this .csv or .json file");
  add_file("--curves", o.curves, "Write learning curves to this .html file");
  add_file("--tensorboard", o.tensorboard, "Write loss and metric of every epoch for TensorBoard")
      ->type_name("FOLDER");
  add_file("--checkpoint", o.checkpoint, "Write the state of the training to this file after every epoch")
      ->type_name("FILE");
  command.add_flag("--resume", o.resume, "Go on from the checkpoint, if there is one, to the same bits")
      ->group("Training");
  add("--progress", o.progress, "0: none, 1: a bar, 2: a line for every epoch (2)")
      ->check(cli::one_of({"0", "1", "2"}));
}

void check_run_settings(const RunSettings& settings) {
  const std::string& checkpoint = settings.checkpoint;
  if (settings.resume && checkpoint.empty()) throw cli::UsageError("--resume needs --checkpoint");
  check_history(settings.history);
  if (!checkpoint.empty()) io::check_keeps(checkpoint);
  if (!settings.resume && !checkpoint.empty() && std::filesystem::exists(checkpoint))
    throw cli::UsageError(fmt::format(
        "{}: is there already; --resume goes on from it, else delete it or name another file", checkpoint));
  for (const auto& path : {settings.history, settings.curves, checkpoint})
    if (!path.empty()) io::check_writable(path);
}

void train_on(const Loop& loop, train::Training& training) {
  const RunSettings& settings = loop.settings;
  const auto& path = settings.checkpoint;
  if (settings.resume && std::filesystem::exists(path)) {
    cli::in_file(path, [&] { training.resume(io::read_file(path)); });
    loop.console.note(fmt::format("resumed behind epoch {} of {}", training.history().size(), path));
  }
  std::optional<TensorBoard> board;
  if (!settings.tensorboard.empty()) board.emplace(settings.tensorboard, loop.classification);
  for (const auto& epoch : training.history())
    if (board) board->add(epoch);
  cli::Progress bar(loop.console, "training", static_cast<std::size_t>(loop.epochs));
  while (!training.done()) {
    try {
      training.run_epoch();
    } catch (const Error& error) {
      if (path.empty() || training.history().empty()) throw;
      throw Error(error.code(),
                  fmt::format("{}; {} holds epoch {}", error.what(), path, training.history().size()));
    }
    if (training.interrupted()) break;
    if (!path.empty()) io::write_durably(path, training.checkpoint());
    if (board) board->add(training.history().back());
    const auto line = epoch_line(training.history().back(), loop.epochs, loop.classification);
    if (settings.progress == 2) loop.console.note(line);
    if (settings.progress == 1) bar.update(training.history().size(), line);
  }
  training.finish();
}

std::FILE* beside(const std::string& output) {
  return output == "-" ? stderr : stdout;
}

void write_records(const RunSettings& settings, const std::vector<std::string>& targets,
                   const std::string& output, bool classification,
                   const std::vector<train::EpochReport>& history) {
  write_history(settings.history, classification, history);
  write_curves(settings.curves, fmt::format("{} by {}", fmt::join(targets, ", "), output), classification,
               history);
}

void end_with(const cli::Console& console, const std::string& output) {
  if (output != "-") console.note(fmt::format("wrote {}", output));
  std::fflush(stdout);
}

}  // namespace bnrun
