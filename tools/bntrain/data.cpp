#include "data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "bnrun/error.h"
#include "common/metadata.h"
#include "io/data.h"

namespace bnrun {
namespace {

constexpr std::size_t kMostIntegerClasses = 20;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_input, message);
}

bool whole(double value) {
  return std::isfinite(value) && std::floor(value) == value && std::abs(value) < 1e15;
}

/// The class of each row: integers without the notation they were written in, so that 3 and 3.0 are one
/// class.
std::vector<std::string> class_names(const io::Table& table, std::size_t column) {
  if (!table.numeric(column)) return table.text(column);
  const auto numbers = table.numbers(column);
  for (std::size_t r = 0; r < numbers.size(); ++r) {
    if (std::isnan(numbers[r])) {
      refuse(fmt::format("{}: row {}: no target in column '{}'", table.source(), r + 1, table.name(column)));
    }
  }
  if (!std::all_of(numbers.begin(), numbers.end(), whole)) return table.text(column);
  std::vector<std::string> names;
  for (const double number : numbers) names.push_back(fmt::format("{}", static_cast<std::int64_t>(number)));
  return names;
}

bool looks_like_classes(const io::Table& table, std::size_t column) {
  if (!table.numeric(column)) return true;
  const auto numbers = table.numbers(column);
  return std::all_of(numbers.begin(), numbers.end(), whole) &&
         std::set<double>(numbers.begin(), numbers.end()).size() <= kMostIntegerClasses;
}

/// By size where all are integers, else by name.
std::vector<std::string> sorted_classes(const io::Table& table, std::size_t column) {
  const auto names = class_names(table, column);
  std::set<std::pair<double, std::string>> sorted;
  for (std::size_t r = 0; r < names.size(); ++r) {
    sorted.emplace(table.numeric(column) ? table.numbers(column)[r] : 0.0, names[r]);
  }
  std::vector<std::string> classes;
  for (const auto& entry : sorted) classes.push_back(entry.second);
  return classes;
}

/// The numbers of a column in float32. Throws invalid_input naming the cell that is missing or too large.
std::vector<float> finite_numbers(const io::Table& table, std::size_t column) {
  const auto numbers = table.numbers(column);
  const std::vector<float> narrow(numbers.begin(), numbers.end());
  const auto bad = std::find_if_not(narrow.begin(), narrow.end(), [](float x) { return std::isfinite(x); });
  if (bad != narrow.end()) {
    refuse(fmt::format("{}: row {}, column '{}': {} is not a finite number in float32", table.source(),
                       bad - narrow.begin() + 1, table.name(column),
                       numbers[static_cast<std::size_t>(bad - narrow.begin())]));
  }
  return narrow;
}

void fill_features(const io::Table& table, const std::vector<std::size_t>& columns, train::Dataset& data) {
  data.columns = static_cast<std::int64_t>(columns.size());
  data.features.resize(table.rows() * columns.size());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const auto numbers = finite_numbers(table, columns[c]);
    for (std::size_t r = 0; r < numbers.size(); ++r) data.features[r * columns.size() + c] = numbers[r];
  }
}

void fill_labels(const io::Table& table, std::size_t target, const std::vector<std::string>& classes,
                 train::Dataset& data) {
  std::map<std::string, std::int64_t> positions;
  for (const auto& name : classes) positions.emplace(name, static_cast<std::int64_t>(positions.size()));
  const auto names = class_names(table, target);
  for (std::size_t r = 0; r < names.size(); ++r) {
    const auto found = positions.find(names[r]);
    if (found == positions.end()) {
      refuse(fmt::format("{}: row {}: '{}' in column '{}' is none of the model's {} classes", table.source(),
                         r + 1, names[r], table.name(target), classes.size()));
    }
    data.labels.push_back(found->second);
  }
}

std::vector<std::size_t> columns_but(const io::Table& table, std::size_t target) {
  std::vector<std::size_t> columns;
  for (std::size_t c = 0; c < table.columns(); ++c) {
    if (c != target) columns.push_back(c);
  }
  if (columns.empty()) refuse(fmt::format("{}: no column besides the target", table.source()));
  return columns;
}

}  // namespace

LabelledTable label_table(const io::Table& table, const std::string& target_name, Task task) {
  const std::size_t target = table.find(target_name);
  const auto columns = columns_but(table, target);
  LabelledTable result;
  for (const std::size_t c : columns) result.description.features.push_back(table.name(c));
  result.description.target = target_name;
  if (task == Task::automatic) task = looks_like_classes(table, target) ? Task::classify : Task::regress;
  fill_features(table, columns, result.data);
  if (task == Task::regress) {
    result.data.targets = finite_numbers(table, target);
    return result;
  }
  result.description.classes = sorted_classes(table, target);
  if (result.description.classes.size() < 2) {
    refuse(fmt::format("{}: column '{}' holds one class only", table.source(), target_name));
  }
  fill_labels(table, target, result.description.classes, result.data);
  return result;
}

LabelledTable label_table_for(const Model& model, const io::Table& table, const std::string& target_name) {
  const auto outputs = model.outputs();
  if (model.inputs().size() != 1 || outputs.size() != 1) {
    refuse("the model must have one input and one output to be measured on a table");
  }
  const std::size_t target = table.find(target_name);
  LabelledTable result;
  result.description.features = cli::features_of(model);
  result.description.classes = cli::list_property(model, "bnrun.classes");
  const auto columns =
      io::feature_columns(table, result.description.features).value_or(columns_but(table, target));
  fill_features(table, columns, result.data);
  const bool classes_unnamed = outputs[0].name == "probabilities" && !result.classification();
  if (classes_unnamed && outputs[0].dims && outputs[0].dims->size() == 2 && (*outputs[0].dims)[1].extent) {
    for (std::int64_t c = 0; c < *(*outputs[0].dims)[1].extent; ++c) {
      result.description.classes.push_back(fmt::format("{}", c));
    }
  }
  if (result.classification()) {
    fill_labels(table, target, result.description.classes, result.data);
  } else {
    result.data.targets = finite_numbers(table, target);
  }
  return result;
}

}  // namespace bnrun
