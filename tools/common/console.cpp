#include "common/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/printable.h"

namespace bnrun::cli {
namespace {

/// After everything printed before, wherever the two streams go.
void print_line(std::string_view prefix, std::string_view message) {
  std::fflush(stdout);
  fmt::print(stderr, "{}{}\n", prefix, message);
}

}  // namespace

void Console::error(std::string_view message) const {
  print_line(program_ + ": ", printable(message));
}

void Console::note(std::string_view message) const {
  if (!quiet) print_line("", printable_lines(message));
}

void Console::detail(std::string_view message) const {
  if (verbose) print_line("", printable_lines(message));
}

bool Console::shows_progress() const {
  return !quiet && ::isatty(STDERR_FILENO) != 0;
}

bool is_terminal() {
  return ::isatty(STDOUT_FILENO) != 0;
}

bool colour_output() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool refused =
      (no_color != nullptr && *no_color != '\0') || term == nullptr || std::string_view(term) == "dumb";
  return !refused && is_terminal();
}

Progress::Progress(const Console& console, std::string label, std::size_t total)
    : shown_(console.shows_progress()), label_(std::move(label)), total_(std::max<std::size_t>(total, 1)) {}

Progress::~Progress() {
  wipe();
}

void Progress::update(std::size_t done, std::string_view remark) {
  constexpr std::size_t kWidth = 30;
  const auto now = Clock::now();
  if (!shown_ || (drawn_ && done < total_ && now - last_ < std::chrono::milliseconds(100))) return;
  const std::size_t filled = std::min(done, total_) * kWidth / total_;
  fmt::print(stderr, "\r\033[K{} [{}{}] {}/{} {}", label_, std::string(filled, '#'),
             std::string(kWidth - filled, '.'), done, total_, printable(remark));
  std::fflush(stderr);
  drawn_ = true;
  last_ = now;
}

void Progress::wipe() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace bnrun::cli
