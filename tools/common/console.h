// What a program tells its user on standard error: errors, notes, progress. Standard output is for data.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace bnrun::cli {

class Console {
 public:
  explicit Console(std::string program) : program_(std::move(program)) {}

  bool quiet = false;
  bool verbose = false;

  void error(std::string_view message) const;   ///< always
  void note(std::string_view message) const;    ///< unless quiet
  void detail(std::string_view message) const;  ///< only when verbose

  /// Whether a bar may be drawn: standard error is a terminal and nobody asked for quiet.
  bool shows_progress() const;

 private:
  std::string program_;
};

/// Whether standard output is a terminal.
bool is_terminal();
/// Whether standard output is a terminal that wants colours (NO_COLOR, TERM=dumb).
bool colour_output();

/// A bar on standard error, drawn at most ten times a second and wiped at the end; nothing where the console
/// shows no progress.
class Progress {
 public:
  Progress(const Console& console, std::string label, std::size_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::size_t done, std::string_view remark = {});
  /// Removes the bar until the next update, so that a line can be printed.
  void wipe();

 private:
  using Clock = std::chrono::steady_clock;
  bool shown_;
  bool drawn_ = false;
  std::string label_;
  std::size_t total_;
  Clock::time_point last_{};
};

}  // namespace bnrun::cli
