// Inputs made up for a model: for timing, and to see whether it runs.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "bnrun/model.h"
#include "bnrun/tensor.h"

namespace bnrun::cli {

/// Sizes that a model leaves open, by the name of the dimension or by "INPUT:AXIS".
using Sizes = std::map<std::string, std::int64_t>;

/// Adds --size NAME=N.
void add_size_option(CLI::App& command, Sizes& sizes);

/// One tensor for each input, undefined for one that has a default. An open size is what `sizes` says, or `rows` where it
/// is the first of an input or called as such a one. Numbers of floating point are drawn from -1 to 1, always the same
/// ones; categories that the model knows come one after the other; others are 0 (an index is then in range) and text is
/// empty. Throws UsageError for a size that stays open and one
/// of `sizes` that no input has, and unsupported for an input of unknown rank.
std::vector<Tensor> made_up_inputs(std::span<const PortInfo> ports, std::int64_t rows, const Sizes& sizes);

/// What axis 0 of the first input with axes says; 1 where none has any.
std::int64_t rows_of(std::span<const TensorView> inputs);

}  // namespace bnrun::cli
