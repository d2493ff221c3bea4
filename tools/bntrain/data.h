// Tables as something to learn from: which columns are features, what the target is.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bnrun/model.h"
#include "bnrun/train.h"
#include "common/console.h"
#include "io/csv.h"
#include "io/data.h"
#include "task.h"

namespace bnrun {

enum class MissingTarget { error, drop };

/// What of a table is learnt from, and how.
struct Choice {
  std::vector<std::string> targets;  ///< columns, or several with commas between them
  Task task = Task::automatic;
  MissingTarget missing_target = MissingTarget::error;
  std::vector<std::string> features;    ///< patterns of the columns to take; empty: all but the target
  std::vector<std::string> drop;        ///< columns to leave out
  std::vector<std::string> categories;  ///< columns that are taken for text, whatever they hold
  train::MissingRule missing = train::MissingRule::error;
};

struct LabelledTable {
  train::Dataset data;  ///< its columns are those of `columns`
  train::TableColumns columns;
  std::vector<std::int64_t> row;  ///< of an array, which has no columns with names: the shape of a row
  std::vector<std::size_t> rows;  ///< of the table: those that have a target
  train::ModelDescription description;
  Task task = Task::regression;
  std::string reason;  ///< why it is this task
  bool classification() const { return task == Task::classification; }
  /// Whether its metric is an accuracy, of classes or labels.
  bool counts_right() const { return task != Task::regression; }
  /// Names of the target columns, one for each output where they are several.
  std::vector<std::string> targets;
  /// How many numbers a network has to put out for it.
  std::int64_t outputs() const;
};

/// A target of text is classes in order of their names, few different integers classes in order of size, other
/// numbers are to be predicted. Several targets are labels where all are 0 and 1, or true and false, else numbers. Numbers, and true and false, yes and no, are features as they are; other text
/// is, unless it holds dates, numbers among it, or nearly as many values as rows. Throws invalid_input naming
/// the cell or the column and the option that helps.
LabelledTable label_table(const io::Table& table, const Choice& choice);
/// The columns that --target names: one by its whole name, or several with commas between them. Throws
/// invalid_input when there is no such column, or one is there twice.
std::vector<std::size_t> find_targets(const io::Table& table, const std::vector<std::string>& given);
/// All the names in them.
std::vector<std::string> target_names(const std::vector<std::string>& given);

/// The targets alone.
LabelledTable label_rows(const io::Table& table, const Choice& choice);

/// A table as a model reads it.
struct ModelTable {
  io::Table table;
  io::TableRules rules;
  std::vector<std::size_t> targets;  ///< its columns that --target names
};
/// Reads `path` by the rules given and those of the model. Throws what reading and find_targets() do.
ModelTable read_model_table(const cli::Console& console, const Model& model, const std::string& path,
                            const io::TableRules& given, const std::vector<std::string>& targets);

/// The targets of a table for a trained model.
struct Truth {
  Task task = Task::regression;
  std::vector<std::string> names;    ///< of the targets, in the order of the model's outputs
  std::vector<std::size_t> rows;     ///< of the table: those that have a target
  std::vector<std::string> classes;  ///< of the model; empty: a number is predicted
  std::vector<std::int64_t> labels;
  std::vector<float> targets;  ///< [rows, names]
};
/// Throws invalid_input naming the line whose target is missing, or none of the model's classes, and where the
/// targets are not the model's.
Truth read_truth(const Model& model, const io::Table& table, std::vector<std::size_t> targets,
                 MissingTarget missing);
/// The same of several targets: labels where all are 0 and 1, or `task` says so.
Truth read_truth(const io::Table& table, const std::vector<std::size_t>& targets, MissingTarget missing,
                 Task task);
/// The same of one target, for these classes; none: a number is predicted.
Truth read_truth(const io::Table& table, std::size_t target, MissingTarget missing,
                 std::vector<std::string> classes);
/// The classes of a target for a model that does not name its `count` classes: 0, 1, ... where the target holds
/// nothing else, or as many names as there are, sorted. Throws invalid_input when they are fewer or more.
std::vector<std::string> classes_of(const io::Table& table, std::size_t target, MissingTarget missing,
                                    std::size_t count);
/// The given columns as the model has its outputs; as they are where it does not say.
std::vector<std::size_t> ordered_targets(const Model& model, const io::Table& table,
                                         std::vector<std::size_t> targets);
/// Of the second of two classes alone, as a sigmoid gives them: those of both, [rows, 2].
std::vector<float> of_both_classes(std::span<const float> second);

}  // namespace bnrun
