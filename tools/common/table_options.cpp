#include "common/table_options.h"

#include <algorithm>
#include <sstream>

#include "common/metadata.h"
#include "common/program.h"

namespace bnrun::cli {
namespace {

constexpr const char* kGroup = "Tables";

char parse_separator(const std::string& word) {
  const std::vector<std::pair<std::string, char>> words{
      {"tab", '\t'}, {"\\t", '\t'}, {"space", ' '}, {"comma", ','}, {"semicolon", ';'}};
  for (const auto& [name, separator] : words) {
    if (word == name) return separator;
  }
  const bool usable = word.size() == 1 && word[0] != '"' && word[0] != '\n' && word[0] != '\r';
  if (!usable) throw CLI::ValidationError("--sep", "'" + word + "' is not one character, tab or space");
  return word[0];
}

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.emplace_back(io::trimmed(part));
  return parts;
}

}  // namespace

void add_table_options(CLI::App& command, io::TableOptions& options) {
  add_choice<io::HeaderRule>(
      command, "--header", options.header,
      {{"yes", io::HeaderRule::yes}, {"no", io::HeaderRule::no}, {"auto", io::HeaderRule::automatic}},
      "Whether the first line of a table names its columns; auto tells it from the lines "
      "below, or says that it cannot (auto)")
      ->group(kGroup);
  command
      .add_option_function<std::string>(
          "--sep", [&options](const std::string& word) { options.separator = parse_separator(word); },
          "What separates columns: a character, tab or space (told from the text)")
      ->type_name("CHARACTER")
      ->group(kGroup);
  add_choice<std::optional<char>>(command, "--decimal", options.decimal, {{".", '.'}, {",", ','}},
                                  "What stands before decimals (told from the text)")
      ->group(kGroup);
  command
      .add_option_function<std::string>(
          "--na", [&options](const std::string& list) { options.missing = split_list(list); },
          "Spellings of a missing value besides the blank cell, separated by commas (NA,N/A,nan,null,?,- and "
          "the like)")
      ->type_name("LIST")
      ->group(kGroup);
}

void add_table_options(CLI::App& command, io::TableRules& rules) {
  add_table_options(command, rules.reading);
  command
      .add_flag("--by-position", rules.by_position,
                "Take the columns of a table in order, whatever its header calls them")
      ->group(kGroup);
}

io::TableRules rules_for(const Model& model, io::TableRules given) {
  given.order = features_of(model);
  given.columns = columns_of(model);
  given.takes_missing = model.metadata().properties.contains("bnrun.missing");
  if (!given.reading.missing && model.metadata().properties.contains("bnrun.na"))
    given.reading.missing = list_property(model, "bnrun.na");
  return given;
}

}  // namespace bnrun::cli
