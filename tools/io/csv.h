// Tables in CSV files (RFC 4180), plain or gzip.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bnrun::io {

/// A rectangular table of cells. A column is numeric when each of its cells is a number ("nan" and "inf"
/// are); the text of every cell stays available. Columns and rows count from 0 here and from 1 in messages.
class Table {
 public:
  const std::string& source() const { return source_; }  ///< the file, as messages name it
  std::size_t rows() const { return rows_.size(); }
  std::size_t columns() const { return columns_.size(); }
  std::size_t line(std::size_t row) const { return rows_[row].line; }  ///< in the file, from 1

  /// Whether the first line was a header; without one the columns are named "column_1", ...
  bool has_header() const { return has_header_; }
  const std::string& name(std::size_t column) const { return columns_[column].name; }
  std::vector<std::string> names() const;
  /// Position of the column of this name. Throws invalid_input when there is none, or more than one.
  std::size_t find(std::string_view name) const;

  bool numeric(std::size_t column) const { return columns_[column].first_text == kNone; }
  /// One number per row. Throws invalid_input that names the first cell that is none.
  std::span<const double> numbers(std::size_t column) const;
  /// One cell per row as it stands in the file, without its quotes.
  std::vector<std::string> text(std::size_t column) const;

 private:
  friend Table parse_csv(std::string text, std::string source);
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  struct Column {
    std::string name;
    std::vector<double> numbers;     ///< empty when a cell is no number
    std::size_t first_text = kNone;  ///< row of the first cell that is none
  };
  struct Row {
    std::size_t begin;  ///< offset in text_
    std::size_t line;   ///< in the file, from 1
  };

  std::string cell(std::size_t row, std::size_t column) const;

  std::string source_;
  std::string text_;
  bool has_header_ = false;
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

/// Reads a table; "-" is standard input. A first line with a cell that is no number is a header; blank lines
/// are passed over. Throws io, or invalid_input naming file, line and column: rows of different lengths, an
/// open quote, no rows at all.
Table read_csv(const std::string& path);
/// The same from memory; `source` is how messages name it.
Table parse_csv(std::string text, std::string source);

}  // namespace bnrun::io
