// What was not asked for on the command line, chosen from rows and epochs.
#pragma once

#include <optional>
#include <string>

#include "bnrun/train_recipe.h"
#include "settings.h"

namespace bnrun {

/// Nullopt where Keras's defaults are asked for, or the end is `open` and nothing was asked for.
std::optional<train::Recipe> recipe_for(const TrainingSettings& settings, std::int64_t rows, bool open);

/// The rows that are left to learn from when a share of them is validated on.
std::int64_t rows_to_learn_from(std::int64_t rows, double validation);

/// Throws invalid_input naming `source` where a share of its rows to watch leaves none to watch or none to learn from;
/// `remedy` is what helps besides more rows.
void check_watched(const std::string& source, std::int64_t rows, double validation, const char* remedy);

std::int64_t learned_weights(const train::Network& network);

/// Sets in `options` what was not given, for a network of so many weights.
void complete(const TrainingSettings& settings, const train::Recipe& recipe, std::int64_t weights,
              train::FitOptions& options);

/// One line of what was chosen; `momentum`: that of BatchNormalization, too.
std::string told(const train::FitOptions& options, const train::Recipe& recipe, bool momentum = true);

}  // namespace bnrun
