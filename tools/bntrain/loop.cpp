#include "loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

#include "common/interrupt.h"
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

void train_on(const Loop& loop, train::Training& training) {
  const auto& path = loop.checkpoint;
  if (loop.resume && std::filesystem::exists(path)) {
    cli::in_file(path, [&] { training.resume(io::read_file(path)); });
    loop.console.note(fmt::format("resumed behind epoch {} of {}", training.history().size(), path));
  }
  std::optional<TensorBoard> board;
  if (!loop.tensorboard.empty()) board.emplace(loop.tensorboard, loop.classification);
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
    if (loop.progress == 2) loop.console.note(line);
    if (loop.progress == 1) bar.update(training.history().size(), line);
  }
  training.finish();
}

}  // namespace bnrun
