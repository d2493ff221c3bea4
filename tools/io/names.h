// Columns by name: which column of a table is which column of a model's input.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/csv.h"

namespace bnrun::io {

/// The name that reads most like `name`; "" when none is near. Case, blanks, '_', '-' and '.' weigh little.
std::string nearest_name(std::string_view name, std::span<const std::string> names);

/// "'name' (nearest: 'Name')", or without a near one "'name' among: a, b".
std::string with_nearest(std::string_view name, std::span<const std::string> names);

/// Positions of the columns called `wanted`, in that order. Throws invalid_input that lists all that are
/// missing with the nearest names, or names one that is there twice.
std::vector<std::size_t> columns_named(const Table& table, std::span<const std::string> wanted);

/// Whether `text` fits a pattern in which * stands for any letters and ? for one.
bool fits_glob(std::string_view text, std::string_view glob);

}  // namespace bnrun::io
