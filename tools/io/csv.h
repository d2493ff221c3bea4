// Tables in text files (RFC 4180 and its relatives), plain or gzip.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/cell.h"

namespace bnrun::io {

enum class HeaderRule { automatic, yes, no };

/// How a table is to be read; what is left out is told from the text where only one reading makes sense.
struct TableOptions {
  HeaderRule header = HeaderRule::automatic;
  std::optional<char> separator;
  std::optional<char> decimal;                      ///< '.' or ','
  std::optional<std::vector<std::string>> missing;  ///< spellings besides the blank cell; else the usual ones
  /// Columns that are expected: a first line that holds one of these names is a header.
  std::vector<std::string> expected;
};

/// A rectangular table of cells without the blanks around them (those inside quotes stay). A column is
/// numeric when each of its cells is a number or missing, boolean when each is true or false, or yes or no,
/// in any case of letters; the text of every cell stays available. Columns and rows count from 0 here, from 1
/// in messages.
class Table {
 public:
  const std::string& source() const { return source_; }  ///< the file, as messages name it
  std::size_t rows() const { return rows_.size(); }
  std::size_t columns() const { return columns_.size(); }
  std::size_t line(std::size_t row) const { return rows_[row].line; }  ///< in the file, from 1

  /// Whether the first line was a header; without one the columns are named "column_1", ...
  bool has_header() const { return has_header_; }
  /// How the text was read, and why the first line is a header or none.
  const std::string& reading() const { return reading_; }
  char decimal() const { return decimal_ == kCommaNumber ? ',' : '.'; }

  const std::string& name(std::size_t column) const { return columns_[column].name; }
  /// Whether it is the header that named it.
  bool named(std::size_t column) const { return columns_[column].named; }
  std::vector<std::string> names() const;
  /// Position of the column of this name. Throws invalid_input when there is none (naming the nearest), or
  /// more than one.
  std::size_t find(std::string_view name) const;

  bool numeric(std::size_t column) const { return (columns_[column].kinds & decimal_) != 0; }
  bool boolean(std::size_t column) const;
  /// One number per row of a numeric or boolean column, NaN where it is missing. Throws invalid_input that
  /// names the first cell that is none.
  std::span<const double> numbers(std::size_t column) const;
  /// The first row whose cell is blank or spelled as missing; nullopt: none, or a column of text.
  std::optional<std::size_t> first_missing(std::size_t column) const;

  /// One cell per row as it stands in the file, without its quotes.
  std::vector<std::string> text(std::size_t column) const;
  /// Those of several columns, in one pass over the table.
  std::vector<std::vector<std::string>> text(std::span<const std::size_t> columns) const;
  /// All cells of a row.
  std::vector<std::string> cells(std::size_t row) const;
  /// Blank, spelled as missing, or NaN.
  bool is_missing(std::string_view cell) const { return read_cell(cell, missing_).kinds == kAnyKind; }

 private:
  friend class TableReader;
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  struct Column {
    std::string name;
    bool named = false;
    std::vector<double> numbers;            ///< empty when the column is text
    std::uint8_t kinds = kAnyKind;          ///< what all its cells fit
    std::size_t first_other_point = kNone;  ///< row of the first cell that is no number with a decimal point
    std::size_t first_other_comma = kNone;  ///< the same with a decimal comma
    std::size_t first_missing = kNone;
  };
  struct Row {
    std::size_t begin;  ///< offset in text_
    std::size_t line;   ///< in the file, from 1
  };

  std::string cell(std::size_t row, std::size_t column) const;

  std::string source_;
  std::string text_;
  std::string reading_;
  std::vector<std::string> missing_;
  char separator_ = ',';
  Kind decimal_ = kPointNumber;
  bool has_header_ = false;
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

/// Reads a table; "-" is standard input. Blank lines are passed over. Throws io, or invalid_input naming
/// file, line and column: rows of different lengths, an open quote, no rows at all, another format than text;
/// and naming the option that decides where the text can be read in several ways.
Table read_csv(const std::string& path, const TableOptions& options = {});
/// The same from memory; `source` is how messages name it.
Table parse_csv(std::string text, std::string source, const TableOptions& options = {});

/// Nobody means the sign that a NaN happens to have.
template <class T>
T without_sign_of_nan(T value) {
  return std::isnan(value) ? std::numeric_limits<T>::quiet_NaN() : value;
}
/// A number as a cell: the shortest text that reads back as it was in its type, and nan without a sign.
std::string number_cell(double number);
std::string number_cell(float number);
/// A cell as it has to stand in a CSV file: in quotes where it needs them.
std::string quoted_cell(const std::string& cell);

}  // namespace bnrun::io
