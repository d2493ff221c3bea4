// One cell of a table: what its text says.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace bnrun::io {

/// What a column may be, as far as its cells tell. A set of bits: a cell fits several, a column what all of
/// its cells fit.
enum Kind : std::uint8_t {
  kText = 0,
  kPointNumber = 1,  ///< a number whose decimals stand behind a point
  kCommaNumber = 2,  ///< a number whose decimals stand behind a comma
  kTrueFalse = 4,
  kYesNo = 8,
  kAnyKind = 15,  ///< a missing value
};

struct Cell {
  std::uint8_t kinds = kText;
  bool missing =
      false;  ///< blank, or spelled as one of the missing values ("nan" written as a number is not)
  bool too_large = false;  ///< written like a number, but no double holds it
  double value = 0.0;      ///< of a number; 1 and 0 of true, yes and false, no; NaN of a missing value
};

/// Spellings of a missing value besides the blank cell, where nobody gives others.
std::span<const std::string> missing_spellings();

/// Blanks around the cell do not count; a number too small for a double is 0.
Cell read_cell(std::string_view cell, std::span<const std::string> missing);

/// Whether it is a day, or a day and a time, in one of the usual notations.
bool is_date(std::string_view cell);

/// Without blanks (spaces and tabs) at either end.
std::string_view trimmed(std::string_view text);

}  // namespace bnrun::io
