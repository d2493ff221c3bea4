#include "common/command_pages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "common/program.h"

namespace bnrun::cli {
namespace {

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

/// "-o", "--output"
std::vector<std::string> flags_of(const CLI::Option& option) {
  std::vector<std::string> flags;
  for (const std::string& name : option.get_snames()) flags.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) flags.push_back("--" + name);
  return flags;
}

/// Those that --help shows and that have a dash.
std::vector<const CLI::Option*> options_of(const CLI::App& app) {
  std::vector<const CLI::Option*> options;
  for (const CLI::Option* option : app.get_options()) {
    if (option->nonpositional() && !option->get_group().empty()) options.push_back(option);
  }
  return options;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  return {commands.begin(), commands.end()};
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

// -------- manual page

std::string troff(const std::string& text) {
  std::string out = replaced(replaced(text, "\\", "\\e"), "-", "\\-");
  if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
  return replaced(replaced(out, "\n.", "\n\\&."), "\n'", "\n\\&'");
}

std::string troff_options(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    const auto flags = flags_of(*option);
    const std::string name = flags.empty() ? option->get_name() : fmt::format("{}", fmt::join(flags, ", "));
    text += fmt::format(".TP\n\\fB{}\\fR", troff(name));
    if (takes_value(*option) && !flags.empty())
      text += fmt::format(" \\fI{}\\fR", troff(option->get_type_name()));
    text += fmt::format("\n{}\n", troff(option->get_description()));
  }
  return text;
}

std::string troff_example(const CLI::App& app) {
  std::string footer = app.get_footer();
  constexpr std::string_view kTitle = "Example:\n";
  if (footer.starts_with(kTitle)) footer.erase(0, kTitle.size());
  return footer.empty() ? "" : fmt::format(".PP\n.nf\n{}\n.fi\n", troff(footer));
}

// -------- shells

/// Calls `add` for the program itself ("") and for each of its commands, with their options.
template <class Add>
void for_each_command(const CLI::App& app, Add&& add) {
  add(std::string(), options_of(app));
  for (const CLI::App* command : commands_of(app)) {
    auto options = options_of(*command);
    for (const CLI::Option* option : options_of(app)) {
      if (option->get_name() != "--help" && option->get_name() != "--version") options.push_back(option);
    }
    add(command->get_name(), options);
  }
}

std::string names_of_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands_of(app)) names.push_back(command->get_name());
  return fmt::format("{}", fmt::join(names, " "));
}

std::string bash_completion(const CLI::App& app) {
  std::string words;
  std::string values;
  for_each_command(app, [&](const std::string& command, const auto& options) {
    std::vector<std::string> flags;
    for (const CLI::Option* option : options) {
      const auto own = flags_of(*option);
      flags.insert(flags.end(), own.begin(), own.end());
      const auto choices = choices_of(*option);
      if (!choices.empty() && values.find(fmt::format("    {})", fmt::join(own, "|"))) == std::string::npos)
        values += fmt::format("    {}) values=\"{}\" ;;\n", fmt::join(own, "|"), fmt::join(choices, " "));
    }
    words +=
        fmt::format("    {}) words=\"{}\" ;;\n", command.empty() ? "\"\"" : command, fmt::join(flags, " "));
  });
  return fmt::format(R"(# Completion of {0} in bash.
_{0}() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command="" words="" values="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case " {1} " in *" $word "*) command=$word; break ;; esac
  done
  case $previous in
{3}  esac
  case $command in
{2}  esac
  if [[ -n $values ]]; then
    COMPREPLY=($(compgen -W "$values" -- "$current"))
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
    if [[ -z $command && $COMP_CWORD -eq 1 ]]; then COMPREPLY+=($(compgen -W "{1}" -- "$current")); fi
  fi
}}
complete -o filenames -F _{0} {0}
)",
                     app.get_name(), names_of_commands(app), words, values);
}

std::string zsh_quoted(const std::string& text) {
  return replaced(replaced(replaced(first_line(text), "'", "'\\''"), "[", "\\["), "]", "\\]");
}

std::string zsh_completion(const CLI::App& app) {
  std::string cases;
  for_each_command(app, [&](const std::string& command, const auto& options) {
    cases += fmt::format("    {})\n      _arguments", command.empty() ? "*" : command);
    for (const CLI::Option* option : options) {
      for (const std::string& flag : flags_of(*option)) {
        cases += fmt::format(" \\\n        '*{}[{}]", flag, zsh_quoted(option->get_description()));
        const auto choices = choices_of(*option);
        if (!choices.empty())
          cases += fmt::format(":value:({})", fmt::join(choices, " "));
        else if (takes_value(*option))
          cases += ":value:_files";
        cases += "'";
      }
    }
    cases += " \\\n        '*:file:_files' ;;\n";
  });
  // What is meant when no command is named comes last.
  const auto last = cases.find("    *)");
  const auto next = cases.find(";;\n", last) + 3;
  std::rotate(cases.begin() + static_cast<std::ptrdiff_t>(last),
              cases.begin() + static_cast<std::ptrdiff_t>(next), cases.end());
  std::string commands;
  for (const CLI::App* command : commands_of(app))
    commands += fmt::format(" '{}:{}'", command->get_name(), zsh_quoted(command->get_description()));
  return fmt::format(R"(#compdef {0}
# Completion of {0} in zsh.
_{0}() {{
  local -a commands=({1})
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe command commands
    _files
    return
  fi
  case $words[2] in
{2}  esac
}}
_{0} "$@"
)",
                     app.get_name(), commands, cases);
}

std::string fish_quoted(const std::string& text) {
  return "'" + replaced(replaced(first_line(text), "\\", "\\\\"), "'", "\\'") + "'";
}

std::string fish_completion(const CLI::App& app) {
  const std::string& name = app.get_name();
  std::string text = fmt::format("# Completion of {} in fish.\n", name);
  for (const CLI::App* command : commands_of(app))
    text += fmt::format("complete -c {} -n __fish_use_subcommand -a {} -d {}\n", name, command->get_name(),
                        fish_quoted(command->get_description()));
  for_each_command(app, [&](const std::string& command, const auto& options) {
    const std::string when =
        command.empty() ? "__fish_use_subcommand" : fmt::format("'__fish_seen_subcommand_from {}'", command);
    for (const CLI::Option* option : options) {
      text += fmt::format("complete -c {} -n {}", name, when);
      for (const std::string& flag : option->get_snames()) text += " -s " + flag;
      for (const std::string& flag : option->get_lnames()) text += " -l " + flag;
      const auto choices = choices_of(*option);
      if (!choices.empty())
        text += fmt::format(" -x -a '{}'", fmt::join(choices, " "));
      else if (takes_value(*option))
        text += " -r";
      text += fmt::format(" -d {}\n", fish_quoted(option->get_description()));
    }
  });
  return text;
}

}  // namespace

std::string man_page(const CLI::App& app, const std::string& version) {
  std::string title = app.get_name();
  std::ranges::transform(title, title.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  std::string text = fmt::format(".TH {} 1 \"\" \"{}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n", title,
                                 troff(version), app.get_name(), troff(first_line(app.get_description())));
  text += fmt::format(".SH SYNOPSIS\n.B {}\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR ...\n", app.get_name());
  text +=
      fmt::format(".SH DESCRIPTION\n{}\n.SH OPTIONS\n{}", troff(app.get_description()), troff_options(app));
  text += ".SH COMMANDS\n";
  for (const CLI::App* command : commands_of(app)) {
    text += fmt::format(".SS {} {}\n{}\n", app.get_name(), command->get_name(),
                        troff(command->get_description()));
    text += troff_options(*command) + troff_example(*command);
  }
  text += ".SH EXAMPLES\n" + troff_example(app);
  text +=
      ".SH EXIT STATUS\n0 done; 1 the answer is no; 2 usage; 3 the model file is invalid; 4 valid, but not "
      "supported; "
      "5 the input data does not fit; 6 a limit was reached; 7 reading or writing failed; 70 a defect.\n";
  return text;
}

std::string completion(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return bash_completion(app);
  if (shell == "zsh") return zsh_completion(app);
  if (shell == "fish") return fish_completion(app);
  return "";
}

}  // namespace bnrun::cli
