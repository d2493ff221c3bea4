// What a number on the command line must be, said in a few words.
#pragma once

#include <CLI/CLI.hpp>

namespace bnrun::cli {

CLI::Validator positive_number();         ///< above 0
CLI::Validator number_of_zero_or_more();  ///< 0 or above
CLI::Validator fraction();                ///< from 0 to below 1
CLI::Validator count();                   ///< a whole number above 0
CLI::Validator count_or_zero();           ///< a whole number of 0 or more
CLI::Validator not_empty();               ///< some text

}  // namespace bnrun::cli
