// Arrays to learn from: images or rows of numbers in an IDX or npy file, what each is in another.
#pragma once

#include <string>

#include "data.h"

namespace bnrun {

/// A file of one array whose first axis counts rows, as float32; a table is not one. Throws invalid_input.
Tensor read_array(const std::string& path);

/// Labels from an IDX or npy file of one number or word a row, or a table of one column, as a table.
io::Table read_labels(const std::string& path);

/// The rows of the array at `path` with their labels, the task being decided as of a table's target. Of `choice`
/// the columns mean nothing. Throws invalid_input where there are not as many labels as rows.
LabelledTable label_array(const std::string& path, const io::Table& labels, const Choice& choice);

}  // namespace bnrun
