#include "data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "bnrun/error.h"
#include "common/metadata.h"
#include "common/table_options.h"
#include "io/names.h"

namespace bnrun {
namespace {

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::invalid_input, fmt::format(format, std::forward<Args>(args)...));
}

std::string place(const io::Table& table, std::size_t row, std::size_t column) {
  return fmt::format("{}: line {}, column '{}'", table.source(), table.line(row), table.name(column));
}

/// "'a', 'b'".
std::string quoted(const io::Table& table, std::span<const std::size_t> columns) {
  std::vector<std::string> names;
  for (const std::size_t c : columns) names.push_back(fmt::format("'{}'", table.name(c)));
  return fmt::format("{}", fmt::join(names, ", "));
}

bool whole(double value) {
  return std::isfinite(value) && std::floor(value) == value && std::abs(value) < 1e15;
}

/// The rows that have each of these targets.
std::vector<std::size_t> rows_with_target(const io::Table& table, std::span<const std::size_t> targets,
                                          MissingTarget rule) {
  std::vector<bool> lacking(table.rows(), false);
  for (const std::size_t target : targets) {
    const bool numeric = table.numeric(target);
    const auto text = numeric ? std::vector<std::string>() : table.text(target);
    for (std::size_t r = 0; r < table.rows(); ++r) {
      const bool missing = numeric ? std::isnan(table.numbers(target)[r]) : table.is_missing(text[r]);
      if (missing && rule == MissingTarget::error)
        refuse(
            "{}: there is no target: '{}' (--missing-target drop leaves such rows out; --na says what is "
            "missing)",
            place(table, r, target), table.cells(r)[target]);
      if (missing) lacking[r] = true;
    }
  }
  std::vector<std::size_t> rows;
  for (std::size_t r = 0; r < table.rows(); ++r) {
    if (!lacking[r]) rows.push_back(r);
  }
  if (rows.empty()) refuse("{}: no row has a target in column {}", table.source(), quoted(table, targets));
  return rows;
}

/// The class of each of the rows: integers without the notation they were written in, so that 3 and 3.0 are
/// one class.
std::vector<std::string> class_names(const io::Table& table, std::size_t column,
                                     const std::vector<std::size_t>& rows) {
  std::vector<std::string> names;
  const bool numeric = table.numeric(column);
  const bool integers = numeric && std::all_of(rows.begin(), rows.end(), [&](std::size_t r) {
                          return whole(table.numbers(column)[r]);
                        });
  if (integers) {
    for (const std::size_t r : rows)
      names.push_back(fmt::format("{}", static_cast<std::int64_t>(table.numbers(column)[r])));
    return names;
  }
  const auto text = table.text(column);
  for (const std::size_t r : rows) names.push_back(text[r]);
  return names;
}

struct Decision {
  Task task;
  std::string reason;
};

/// Throws where most cells are numbers and a few are not.
void refuse_few_words(const io::Table& table, std::size_t column, const std::vector<std::size_t>& rows,
                      const std::string& remedy) {
  const auto text = table.text(column);
  const auto is_number = [&](const std::string& cell) {
    const auto kinds = io::read_cell(cell, {}).kinds;
    return kinds != io::kAnyKind && (kinds & (io::kPointNumber | io::kCommaNumber)) != 0;
  };
  std::size_t numbers = 0;
  std::size_t first_word = table.rows();
  for (const std::size_t r : rows) {
    if (is_number(text[r]))
      ++numbers;
    else if (!table.is_missing(text[r]))
      first_word = std::min(first_word, r);
  }
  if (first_word == table.rows() || numbers * 2 < rows.size()) return;
  const bool large = io::read_cell(text[first_word], {}).too_large;
  refuse("{}: '{}' is {}, but {} of {} cells are numbers: mend it, or {}", place(table, first_word, column),
         text[first_word], large ? "too large for a number, which ends at 1.8e308" : "no number", numbers,
         rows.size(), remedy);
}

Decision decide_task(const io::Table& table, std::size_t target, const std::vector<std::size_t>& rows) {
  constexpr std::size_t kFew = 20;
  constexpr std::size_t kSome = 50;
  constexpr std::size_t kRowsPerClass = 10;
  const std::string name = fmt::format("'{}'", table.name(target));
  if (!table.numeric(target)) {
    refuse_few_words(table, target, rows, "--task classification takes each value for a class");
    return {Task::classification, name + " holds words"};
  }
  std::set<double> values;
  for (const std::size_t r : rows) values.insert(table.numbers(target)[r]);
  if (!std::all_of(values.begin(), values.end(), whole))
    return {Task::regression, name + " holds numbers with fractions"};
  const bool few = values.size() <= 2 || (values.size() <= kFew && values.size() < rows.size()) ||
                   (values.size() <= kSome && values.size() * kRowsPerClass <= rows.size());
  const std::string what =
      fmt::format("{} holds {} different integers in {} rows", name, values.size(), rows.size());
  return few ? Decision{Task::classification, what + "; --task regression predicts them as numbers"}
             : Decision{Task::regression, what + "; --task classification takes them for classes"};
}

bool holds_numbers(const io::Table& table, std::size_t column) {
  return table.numeric(column) || table.boolean(column);
}

/// The first of these rows whose cell is neither 0 nor 1; nullopt: none. REQUIRES: holds_numbers.
std::optional<std::size_t> first_no_label(const io::Table& table, std::size_t column,
                                          const std::vector<std::size_t>& rows) {
  const auto found = std::ranges::find_if_not(rows, [&](std::size_t r) {
    return table.numbers(column)[r] == 0.0 || table.numbers(column)[r] == 1.0;
  });
  return found == rows.end() ? std::nullopt : std::optional(*found);
}

/// Of several targets, or of one that is a label.
Decision decide_task(const io::Table& table, const std::vector<std::size_t>& targets,
                     const std::vector<std::size_t>& rows, Task asked) {
  const std::string names = quoted(table, targets);
  if (asked == Task::classification)
    refuse(
        "{}: --task classification has one target, and {} are {}: columns of 0 and 1 are --task multilabel",
        table.source(), names, targets.size());
  for (const std::size_t target : targets) {
    if (!holds_numbers(table, target))
      refuse(
          "{}: '{}' holds words: several targets are numbers, or labels of 0 and 1; words are classes as the "
          "only target",
          table.source(), table.name(target));
    const auto other = asked == Task::regression ? std::nullopt : first_no_label(table, target, rows);
    if (other && asked == Task::multilabel)
      refuse("{}: '{}' is no label, which is 0 or 1, or true or false", place(table, *other, target),
             table.cells(*other)[target]);
    if (other) return {Task::regression, names + " are numbers"};
  }
  if (asked != Task::automatic) return {asked, "--task says so"};
  return {Task::multilabel, names + " hold 0 and 1; --task regression predicts them as numbers"};
}

/// By size where all are numbers, else by name.
std::vector<std::string> sorted_classes(const io::Table& table, std::size_t column,
                                        const std::vector<std::size_t>& rows,
                                        const std::vector<std::string>& names) {
  std::set<std::pair<double, std::string>> sorted;
  for (std::size_t i = 0; i < names.size(); ++i)
    sorted.emplace(table.numeric(column) ? table.numbers(column)[rows[i]] : 0.0, names[i]);
  std::vector<std::string> classes;
  for (const auto& entry : sorted) classes.push_back(entry.second);
  return classes;
}

/// A number as float32. Throws invalid_input naming the cell that is too large.
float narrow(const io::Table& table, std::size_t row, std::size_t column) {
  const double number = table.numbers(column)[row];
  const auto x = static_cast<float>(number);
  if (std::isinf(x)) refuse("{}: {} is not a finite number in float32", place(table, row, column), number);
  return x;
}

std::vector<std::int64_t> labels_of(const io::Table& table, std::size_t target,
                                    const std::vector<std::size_t>& rows,
                                    const std::vector<std::string>& names,
                                    const std::vector<std::string>& classes) {
  std::map<std::string, std::int64_t> positions;
  for (const auto& name : classes) positions.emplace(name, static_cast<std::int64_t>(positions.size()));
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = positions.find(names[i]);
    if (found == positions.end())
      refuse("{}: '{}' is none of the model's {} classes{}", place(table, rows[i], target), names[i],
             classes.size(),
             io::nearest_name(names[i], classes).empty()
                 ? ""
                 : fmt::format(" (nearest: '{}')", io::nearest_name(names[i], classes)));
    labels.push_back(found->second);
  }
  return labels;
}

/// [rows, targets]
std::vector<float> numbers_of(const io::Table& table, const std::vector<std::size_t>& targets,
                              const std::vector<std::size_t>& rows) {
  std::vector<float> numbers;
  for (const std::size_t r : rows) {
    for (const std::size_t target : targets) numbers.push_back(narrow(table, r, target));
  }
  return numbers;
}

/// All columns but the targets that the choice takes.
std::vector<std::size_t> feature_columns(const io::Table& table, std::span<const std::size_t> targets,
                                         const Choice& choice) {
  std::vector<bool> taken(table.columns(), choice.features.empty());
  for (const std::string& glob : choice.features) {
    bool fits = false;
    for (std::size_t c = 0; c < table.columns(); ++c) {
      if (!io::fits_glob(table.name(c), glob)) continue;
      taken[c] = true;
      fits = true;
    }
    if (!fits)
      refuse("{}: --features {}: there is no column {}", table.source(), glob,
             io::with_nearest(glob, table.names()));
  }
  for (const std::string& name : choice.drop) taken[table.find(name)] = false;
  for (const std::size_t target : targets) taken[target] = false;
  std::vector<std::size_t> columns;
  std::set<std::string> names;
  for (std::size_t c = 0; c < table.columns(); ++c) {
    if (!taken[c]) continue;
    columns.push_back(c);
    if (!names.insert(table.name(c)).second)
      refuse("{}: two columns are named '{}': a model could not tell them apart", table.source(),
             table.name(c));
  }
  if (columns.empty()) refuse("{}: no column besides the target", table.source());
  return columns;
}

[[noreturn]] void refuse_missing(const io::Table& table, std::size_t row, std::size_t column) {
  refuse(
      "{}: '{}' is a missing value: --missing mean, median, zero or indicator says what becomes of it, "
      "--drop "
      "leaves the column out",
      place(table, row, column), table.cells(row)[column]);
}

/// Whether it is a number with a sign of money, a percentage or separated thousands.
bool is_adorned_number(const std::string& cell) {
  std::string bare;
  std::size_t i = 0;
  for (const std::string_view sign : {"$", "€", "£"}) {
    if (cell.starts_with(sign)) i = sign.size();
  }
  for (; i < cell.size(); ++i) {
    if (cell[i] != ',' && cell[i] != ' ' && cell[i] != '_' && cell[i] != '%') bare += cell[i];
  }
  for (const std::string_view sign : {"€", "£"}) {
    if (bare.ends_with(sign)) bare.resize(bare.size() - sign.size());
  }
  const auto kinds = io::read_cell(bare, {}).kinds;
  return kinds != io::kAnyKind && (kinds & io::kPointNumber) != 0;
}

/// Throws where text is no set of categories but something that is to be made numbers of first.
void check_categories(const io::Table& table, std::size_t column, const std::vector<std::size_t>& rows,
                      const std::vector<std::string>& text, const std::vector<std::string>& values) {
  constexpr std::size_t kMany = 100;
  constexpr std::size_t kSome = 20;
  const std::string& name = table.name(column);
  const std::string as_they_are =
      fmt::format("--drop '{}' leaves it out, --categories '{}' takes it as it is", name, name);
  refuse_few_words(table, column, rows, as_they_are);
  const auto first =
      *std::find_if(rows.begin(), rows.end(), [&](std::size_t r) { return !table.is_missing(text[r]); });
  if (std::all_of(values.begin(), values.end(), [](const auto& value) { return io::is_date(value); }))
    refuse("{}: '{}' is a date: make numbers of it (year, month, day of the week, days since the first); {}",
           place(table, first, column), text[first], as_they_are);
  if (std::all_of(values.begin(), values.end(), is_adorned_number))
    refuse("{}: '{}' is a number with something around it: write the number alone; {}",
           place(table, first, column), text[first], as_they_are);
  if (values.size() > kMany || (values.size() > kSome && values.size() * 2 > rows.size()))
    refuse("{}: column '{}' holds {} different texts in {} rows, which are hardly categories; {}",
           table.source(), name, values.size(), rows.size(), as_they_are);
}

/// Positions of the rows' cells in the values of the column, which are sorted; NaN where one is missing.
std::vector<float> text_positions(const io::Table& table, std::size_t column,
                                  const std::vector<std::size_t>& rows, const Choice& choice,
                                  train::TableColumns::Text& described) {
  const auto text = table.text(column);
  std::set<std::string> values;
  for (const std::size_t r : rows) {
    if (!table.is_missing(text[r])) {
      values.insert(text[r]);
    } else if (choice.missing == train::MissingRule::error) {
      refuse_missing(table, r, column);
    }
  }
  described.name = table.name(column);
  described.values.assign(values.begin(), values.end());
  const auto& chosen = choice.categories;
  if (std::find(chosen.begin(), chosen.end(), described.name) == chosen.end())
    check_categories(table, column, rows, text, described.values);
  std::vector<float> positions;
  for (const std::size_t r : rows) {
    const auto found = values.find(text[r]);
    positions.push_back(
        table.is_missing(text[r]) || found == values.end()
            ? std::numeric_limits<float>::quiet_NaN()
            : static_cast<float>(std::lower_bound(described.values.begin(), described.values.end(), text[r]) -
                                 described.values.begin()));
  }
  return positions;
}

void fill_features(const io::Table& table, const std::vector<std::size_t>& columns, const Choice& choice,
                   LabelledTable& result) {
  for (const std::string& name : choice.categories) table.find(name);
  const auto is_text = [&](std::size_t c) {
    const auto& chosen = choice.categories;
    return (!table.numeric(c) && !table.boolean(c)) ||
           std::find(chosen.begin(), chosen.end(), table.name(c)) != chosen.end();
  };
  result.data.columns = static_cast<std::int64_t>(columns.size());
  const std::size_t width = columns.size();
  result.data.features.resize(result.rows.size() * width);
  std::size_t at = 0;  // column of the data
  for (const bool texts : {false, true}) {
    for (const std::size_t c : columns) {
      if (is_text(c) != texts) continue;
      const auto put = [&](std::size_t i, float x) { result.data.features[i * width + at] = x; };
      if (texts) {
        const auto positions =
            text_positions(table, c, result.rows, choice, result.columns.texts.emplace_back());
        for (std::size_t i = 0; i < positions.size(); ++i) put(i, positions[i]);
      } else {
        result.columns.numbers.push_back(table.name(c));
        for (std::size_t i = 0; i < result.rows.size(); ++i) {
          const float x = narrow(table, result.rows[i], c);
          if (std::isnan(x) && choice.missing == train::MissingRule::error)
            refuse_missing(table, result.rows[i], c);
          put(i, x);
        }
      }
      ++at;
    }
  }
}

}  // namespace

LabelledTable label_table(const io::Table& table, const Choice& choice) {
  const auto columns = feature_columns(table, find_targets(table, choice.targets), choice);
  LabelledTable result = label_rows(table, choice);
  for (const std::size_t c : columns) result.description.features.push_back(table.name(c));
  fill_features(table, columns, choice, result);
  return result;
}

LabelledTable label_rows(const io::Table& table, const Choice& choice) {
  const auto targets = find_targets(table, choice.targets);
  LabelledTable result;
  result.rows = rows_with_target(table, targets, choice.missing_target);
  for (const std::size_t target : targets) result.targets.push_back(table.name(target));
  Decision decision{choice.task, "--task says so"};
  if (targets.size() > 1 || choice.task == Task::multilabel)
    decision = decide_task(table, targets, result.rows, choice.task);
  else if (choice.task == Task::automatic)
    decision = decide_task(table, targets[0], result.rows);
  result.task = decision.task;
  result.reason = decision.reason;
  if (targets.size() > 1 || result.task == Task::multilabel)
    result.description.targets = result.targets;
  else
    result.description.target = result.targets[0];
  if (result.task != Task::classification) {
    result.data.targets = numbers_of(table, targets, result.rows);
    return result;
  }
  const auto names = class_names(table, targets[0], result.rows);
  result.description.classes = sorted_classes(table, targets[0], result.rows, names);
  if (result.description.classes.size() < 2)
    refuse("{}: column '{}' holds one class only", table.source(), result.targets[0]);
  result.data.labels = labels_of(table, targets[0], result.rows, names, result.description.classes);
  return result;
}

std::int64_t LabelledTable::outputs() const {
  return classification() ? std::ssize(description.classes) : std::ssize(targets);
}

std::vector<std::string> target_names(const std::vector<std::string>& given) {
  std::vector<std::string> names;
  for (const std::string& list : given) {
    for (std::size_t first = 0; first <= list.size();) {
      const std::size_t comma = std::min(list.find(',', first), list.size());
      std::string name = list.substr(first, comma - first);
      name.erase(0, name.find_first_not_of(' '));
      name.erase(name.find_last_not_of(' ') + 1);
      names.push_back(std::move(name));
      first = comma + 1;
    }
  }
  return names;
}

std::vector<std::size_t> find_targets(const io::Table& table, const std::vector<std::string>& given) {
  const auto known = table.names();
  std::vector<std::size_t> columns;
  for (const std::string& name : given) {
    const bool whole_name = std::ranges::find(known, name) != known.end();
    for (const std::string& part : whole_name ? std::vector{name} : target_names({name})) {
      const std::size_t column = table.find(part);
      if (std::ranges::find(columns, column) != columns.end())
        refuse("{}: --target names '{}' twice", table.source(), part);
      columns.push_back(column);
    }
  }
  return columns;
}

ModelTable read_model_table(const cli::Console& console, const Model& model, const std::string& path,
                            const io::TableRules& given, const std::vector<std::string>& targets) {
  io::TableRules rules = cli::rules_for(model, given);
  rules.reading.expected = rules.order;
  for (const auto& target : target_names(targets)) rules.reading.expected.push_back(target);
  io::Table table = io::read_csv(path, rules.reading);
  console.detail(table.source() + ": " + table.reading());
  auto columns = find_targets(table, targets);
  return {std::move(table), std::move(rules), std::move(columns)};
}

std::vector<std::size_t> ordered_targets(const Model& model, const io::Table& table,
                                         std::vector<std::size_t> targets) {
  const auto known = cli::list_property(model, "bnrun.targets");
  if (known.empty()) return targets;
  const auto place = [&](std::size_t target) {
    return std::ranges::find(known, table.name(target)) - known.begin();
  };
  const bool all =
      std::ranges::none_of(targets, [&](std::size_t t) { return place(t) == std::ssize(known); });
  if (!all || targets.size() != known.size())
    refuse("{}: --target is {}, and the model predicts {}", table.source(), quoted(table, targets),
           fmt::join(known, ","));
  std::ranges::sort(targets, {}, place);
  return targets;
}

Truth read_truth(const Model& model, const io::Table& table, std::vector<std::size_t> targets,
                 MissingTarget missing) {
  const auto outputs = model.outputs();
  if (outputs.size() != 1) refuse("the model must have one output to be measured on a table");
  targets = ordered_targets(model, table, std::move(targets));
  const bool probabilities = outputs[0].name == "probabilities";
  if (!cli::list_property(model, "bnrun.targets").empty())
    return read_truth(table, targets, missing, probabilities ? Task::multilabel : Task::regression);
  auto classes = cli::list_property(model, "bnrun.classes");
  if (targets.size() > 1 && !classes.empty())
    refuse("{}: {} targets are given, and the model tells the classes of one", table.source(),
           targets.size());
  if (targets.size() > 1) return read_truth(table, targets, missing, Task::automatic);
  if (probabilities && classes.empty() && outputs[0].dims && outputs[0].dims->size() == 2 &&
      (*outputs[0].dims)[1].extent) {
    const auto count =
        std::max<std::int64_t>(*(*outputs[0].dims)[1].extent, 2);  // one output tells two apart
    for (std::int64_t c = 0; c < count; ++c) classes.push_back(fmt::format("{}", c));
  }
  return read_truth(table, targets[0], missing, std::move(classes));
}

Truth read_truth(const io::Table& table, const std::vector<std::size_t>& targets, MissingTarget missing,
                 Task task) {
  Truth truth{.rows = rows_with_target(table, targets, missing)};
  for (const std::size_t target : targets) truth.names.push_back(table.name(target));
  truth.task = decide_task(table, targets, truth.rows, task).task;
  truth.targets = numbers_of(table, targets, truth.rows);
  return truth;
}

Truth read_truth(const io::Table& table, std::size_t target, MissingTarget missing,
                 std::vector<std::string> classes) {
  const std::vector targets{target};
  Truth truth{.names = {table.name(target)}, .rows = rows_with_target(table, targets, missing)};
  truth.classes = std::move(classes);
  if (!truth.classes.empty()) {
    truth.task = Task::classification;
    truth.labels =
        labels_of(table, target, truth.rows, class_names(table, target, truth.rows), truth.classes);
  } else if (holds_numbers(table, target)) {
    truth.targets = numbers_of(table, targets, truth.rows);
  } else {
    refuse(
        "{}: column '{}' holds words, and the model names no classes: `bntrain tune` with --epochs 0 names "
        "them",
        table.source(), table.name(target));
  }
  return truth;
}

std::vector<float> of_both_classes(std::span<const float> second) {
  std::vector<float> both;
  for (const float p : second) {
    both.push_back(1.0F - p);
    both.push_back(p);
  }
  return both;
}

std::vector<std::string> classes_of(const io::Table& table, std::size_t target, MissingTarget missing,
                                    std::size_t count) {
  const auto rows = rows_with_target(table, std::vector{target}, missing);
  const auto sorted = sorted_classes(table, target, rows, class_names(table, target, rows));
  std::vector<std::string> numbers;
  for (std::size_t c = 0; c < count; ++c) numbers.push_back(fmt::format("{}", c));
  const auto is_number = [&](const std::string& name) {
    return std::find(numbers.begin(), numbers.end(), name) != numbers.end();
  };
  if (std::all_of(sorted.begin(), sorted.end(), is_number)) return numbers;
  if (sorted.size() != count)
    refuse("{}: column '{}' holds {} classes, and the model tells {} apart: number them from 0 as it does",
           table.source(), table.name(target), sorted.size(), count);
  return sorted;
}

}  // namespace bnrun
