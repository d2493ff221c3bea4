#include "common/program.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <utility>
#include <vector>

#include "bnrun/machine.h"
#include "bnrun/version.h"
#include "common/command_pages.h"
#include "common/interrupt.h"
#include "common/printable.h"

namespace bnrun::cli {

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

int Program::main(int argc, const char* const* argv) {
  install_interrupt_handler();
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments == std::vector<std::string>{"--man-page"})
    return print(man_page(app_, app_.get_name() + " " BNRUN_VERSION));
  if (arguments.size() == 2 && arguments[0] == "--completion") return print(completion(app_, arguments[1]));
  const auto first = std::find_if(arguments.begin(), arguments.end(),
                                  [](const std::string& a) { return a == "-" || !a.starts_with('-'); });
  if (!default_.empty() && first != arguments.end() &&
      std::find(commands_.begin(), commands_.end(), *first) == commands_.end())
    arguments.insert(arguments.begin(), default_);
  std::reverse(arguments.begin(), arguments.end());  // the order CLI11 wants
  try {
    app_.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? kDone : kUsage;
  }
  return run_chosen();
}

/// A page that packages install.
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
