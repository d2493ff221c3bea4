#include "common/program.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bnrun/machine.h"
#include "bnrun/version.h"
#include "common/command_pages.h"
#include "common/interrupt.h"
#include "common/printable.h"
#include "io/names.h"

namespace bnrun::cli {
namespace {

/// " (nearest: 'inspect')", or nothing.
std::string nearest_among(const std::string& name, const std::vector<std::string>& names) {
  const std::string nearest = io::nearest_name(name, names);
  return nearest.empty() ? "" : " (nearest: '" + nearest + "')";
}

std::vector<std::string> names_of_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

}  // namespace

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_model:
      return kInvalidModel;
    case ErrorCode::unsupported:
      return kUnsupported;
    case ErrorCode::invalid_input:
      return kInvalidInput;
    case ErrorCode::resource_limit:
      return kResourceLimit;
    case ErrorCode::io:
      return kIo;
    case ErrorCode::internal:
      break;
  }
  return kDefect;
}

namespace {
constexpr std::string_view kOneOf = "one of ";
}  // namespace

CLI::Validator one_of(const std::vector<std::string>& words) {
  return CLI::IsMember(words).description("").name(std::string(kOneOf) + CLI::detail::join(words, "|"));
}

std::vector<std::string> choices_of(const CLI::Option& option) {
  // CLI11 lends its validators to those alone who may change them.
  auto& lent = const_cast<CLI::Option&>(option);
  try {
    for (int i = 0;; ++i) {
      const std::string& name = lent.get_validator(i)->get_name();
      if (name.starts_with(kOneOf)) return CLI::detail::split(name.substr(kOneOf.size()), '|');
    }
  } catch (const CLI::OptionNotFound&) {
    return {};
  }
}

Program::Program(const std::string& name, const std::string& description, const std::string& example)
    : console_(name), app_(description, name) {
  app_.set_version_flag(
      "--version", [name] { return name + " " BNRUN_VERSION "\n" + build_description(); },
      "Print the version and what it was built with");
  app_.add_flag("-q,--quiet", console_.quiet, "Errors only");
  app_.add_flag("-v,--verbose", console_.verbose, "Say more");
  app_.require_subcommand(1);
  app_.failure_message([name](const CLI::App*, const CLI::Error& error) {
    return name + ": " + printable(error.what()) + " (see --help)\n";
  });
  app_.footer("Example:\n" + example);
  app_.fallthrough();
  app_.get_formatter()->column_width(34);
}

CLI::App& Program::add(const std::string& name, const std::string& description, const std::string& example,
                       std::function<int()> body) {
  commands_.push_back(name);
  auto& command = *app_.add_subcommand(name, description);
  command.footer("Example:\n" + example);
  command.callback([this, body = std::move(body)] { chosen_ = body; });
  return command;
}

/// Output to /dev/stdout is written to standard output, where it stands: by its name the file behind it would be
/// replaced, and what others wrote there lost.
static void name_standard_output(std::vector<std::string>& arguments) {
  constexpr std::string_view kLong = "--output=";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string& argument = arguments[i];
    const bool behind = i > 0 && (arguments[i - 1] == "-o" || arguments[i - 1] == "--output");
    if (behind && argument == "/dev/stdout") argument = "-";
    if (argument.starts_with(kLong) && argument.substr(kLong.size()) == "/dev/stdout")
      argument = "--output=-";
  }
}

int Program::main(int argc, const char* const* argv) {
  install_interrupt_handler();
  std::vector<std::string> arguments(argv + 1, argv + argc);
  name_standard_output(arguments);
  if (arguments == std::vector<std::string>{"--man-page"})
    return print(man_page(app_, app_.get_name() + " " BNRUN_VERSION));
  if (arguments.size() == 2 && arguments[0] == "--completion") return print(completion(app_, arguments[1]));
  if (arguments.empty()) return print(app_.help());
  if (arguments[0] == "help") {  // `help COMMAND` is `COMMAND --help`
    arguments.erase(arguments.begin());
    if (!arguments.empty() && !arguments[0].starts_with('-') &&
        std::find(commands_.begin(), commands_.end(), arguments[0]) == commands_.end()) {
      console_.error("there is no command '" + arguments[0] + "'" + nearest_among(arguments[0], commands_) +
                     " (see --help)");
      return kUsage;
    }
    arguments.emplace_back("--help");
  }
  const auto first = std::find_if(arguments.begin(), arguments.end(),
                                  [](const std::string& a) { return a == "-" || !a.starts_with('-'); });
  if (first != arguments.end() && std::find(commands_.begin(), commands_.end(), *first) == commands_.end()) {
    if (is_mistyped_command(*first)) {
      console_.error("there is no command '" + *first + "'" + nearest_among(*first, commands_) +
                     " (see --help)");
      return kUsage;
    }
    arguments.insert(arguments.begin(), default_);
  }
  std::reverse(arguments.begin(), arguments.end());  // the order CLI11 wants
  try {
    app_.parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (const std::string unknown = unknown_argument(); !unknown.empty() && error.get_exit_code() != 0) {
      console_.error(unknown + " (see --help)");
      return kUsage;
    }
    return app_.exit(error) == 0 ? kDone : kUsage;
  }
  return run_chosen();
}

/// A word that stands where a command or a model may: no file is called so, and it looks like a command.
bool Program::is_mistyped_command(const std::string& word) const {
  if (default_.empty()) return true;
  std::error_code none;
  return word.find_first_of("./") == std::string::npos && word != "-" &&
         !std::filesystem::exists(word, none) && !io::nearest_name(word, commands_).empty();
}

/// What is wrong with the first argument that no option and no place took; empty where all were taken. An option comes
/// first: what stands behind it may have been meant for it.
std::string Program::unknown_argument() const {
  const auto left = app_.remaining(true);
  const auto option = std::find_if(left.begin(), left.end(),
                                   [](const std::string& a) { return a.size() > 1 && a[0] == '-'; });
  if (option == left.end()) return left.empty() ? "" : "'" + left[0] + "' is one argument too many";
  std::vector<std::string> known = names_of_options(app_);
  for (const CLI::App* command : app_.get_subcommands()) {
    const auto own = names_of_options(*command);
    known.insert(known.end(), own.begin(), own.end());
  }
  const std::string name = option->substr(0, option->find('='));
  return "there is no option '" + name + "'" + nearest_among(name, known);
}

/// The help, or a page that packages install.
int Program::print(const std::string& page) const {
  if (page.empty()) {
    console_.error("--completion takes bash, zsh or fish");
    return kUsage;
  }
  return std::fwrite(page.data(), 1, page.size(), stdout) == page.size() && std::fflush(stdout) == 0 ? kDone
                                                                                                     : kIo;
}

int Program::run_chosen() {
  try {
    const int code = chosen_();
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    console_.error("standard output: cannot be written");
    return kIo;
  } catch (const Error& error) {
    console_.error(error.what());
    return exit_code(error.code());
  } catch (const UsageError& error) {
    console_.error(error.what());
    return kUsage;
  } catch (const std::filesystem::filesystem_error& error) {
    console_.error(error.path1().string() + ": " + error.code().message());
    return kIo;
  } catch (const std::bad_alloc&) {
    console_.error("out of memory");
    return kResourceLimit;
  } catch (const std::exception& error) {
    console_.error(std::string("internal error: ") + error.what());
    return kDefect;
  }
}

}  // namespace bnrun::cli
