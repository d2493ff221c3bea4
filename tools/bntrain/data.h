// Tables as something to learn from: which columns are features, what the target is.
#pragma once

#include <string>
#include <vector>

#include "bnrun/model.h"
#include "bnrun/train.h"
#include "io/csv.h"

namespace bnrun {

enum class Task { automatic, classify, regress };

struct LabelledTable {
  train::Dataset data;
  train::ModelDescription description;
  bool classification() const { return !description.classes.empty(); }
};

/// Every column but the target is a feature. Text targets are classes in order of their names, integers of at
/// most 20 different values classes in order of size, other numbers are to be predicted. Throws invalid_input
/// naming the cell that is no number.
LabelledTable label_table(const io::Table& table, const std::string& target, Task task);

/// The same for a trained model: its features by name where the table has names for them, else in order; its
/// classes. Throws invalid_input naming the row whose target is none of the classes.
LabelledTable label_table_for(const Model& model, const io::Table& table, const std::string& target);

}  // namespace bnrun
