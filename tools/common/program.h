// The frame of a command-line program: subcommands, the options all of them have, errors to exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bnrun/error.h"
#include "common/console.h"

namespace bnrun::cli {

/// Exit codes (README.md, "Usage"). 70 is EX_SOFTWARE of sysexits.h: a defect of ours.
enum Exit : int {
  kDone = 0,
  kAnswerIsNo = 1,
  kUsage = 2,
  kInvalidModel = 3,
  kUnsupported = 4,
  kInvalidInput = 5,
  kResourceLimit = 6,
  kIo = 7,
  kDefect = 70,
};
int exit_code(ErrorCode code);

/// What a body throws when the command line is well formed but makes no sense: one line, exit 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Runs `body`; an Error that comes out of it names the file. For engine calls that know no file.
template <class Body>
auto in_file(const std::string& file, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw error.within(file);
  }
}

/// One of a few words, which completions offer (choices_of).
CLI::Validator one_of(const std::vector<std::string>& words);
/// The words of one_of that an option takes; empty where it takes others.
std::vector<std::string> choices_of(const CLI::Option& option);

/// An option that takes one of a few words, each standing for a value.
template <class T>
CLI::Option* add_choice(CLI::App& command, const std::string& name, T& target,
                        const std::vector<std::pair<std::string, T>>& choices,
                        const std::string& description) {
  std::vector<std::string> words;
  for (const auto& [word, value] : choices) words.push_back(word);
  const auto choose = [&target, choices](const std::string& given) {
    for (const auto& [word, value] : choices)
      if (word == given) target = value;
  };
  return command.add_option_function<std::string>(name, choose, description)
      ->check(one_of(words))
      ->type_name(CLI::detail::join(words, "|"));
}

class Program {
 public:
  /// `example` stands at the foot of the program's --help.
  Program(const std::string& name, const std::string& description, const std::string& example);

  const Console& console() const { return console_; }

  /// A subcommand whose options the caller adds; `body` runs when it is chosen and returns the exit code.
  /// `example` stands at the foot of its --help.
  CLI::App& add(const std::string& name, const std::string& description, const std::string& example,
                std::function<int()> body);
  /// The subcommand meant when the command line names none.
  void set_default(const std::string& name) { default_ = name; }

  /// Parses, runs, reports: what `main` returns. Without arguments, and for `help [COMMAND]`, it prints a page.
  int main(int argc, const char* const* argv);

 private:
  int run_chosen();
  bool is_mistyped_command(const std::string& word) const;
  std::string unknown_argument() const;
  int print(const std::string& page) const;

  Console console_;
  CLI::App app_;
  std::vector<std::string> commands_;
  std::string default_;
  std::function<int()> chosen_;
};

}  // namespace bnrun::cli
