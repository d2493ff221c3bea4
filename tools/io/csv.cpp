#include "io/csv.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "io/fail.h"
#include "io/file.h"

namespace bnrun::io {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Walks the cells of a CSV text.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& source, std::size_t at = 0)
      : text_(text), source_(&source), at_(at) {}

  std::size_t at() const { return at_; }
  std::size_t line() const { return line_; }
  bool at_end() const { return at_ >= text_.size(); }
  bool row_ended() const { return row_ended_; }

  void skip_blank_lines() {
    for (;;) {
      std::size_t i = at_;
      while (i < text_.size() && (text_[i] == ' ' || text_[i] == '\t' || text_[i] == '\r')) ++i;
      if (i < text_.size() && text_[i] != '\n') return;
      at_ = std::min(i + 1, text_.size());
      if (i >= text_.size()) return;
      ++line_;
    }
  }

  /// The next cell of the row. Valid until the next call.
  std::string_view next() {
    if (!at_end() && text_[at_] == '"') return quoted();
    const std::size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
    std::string_view cell = text_.substr(at_, end - at_);
    finish(end);
    if (row_ended_ && cell.ends_with('\r')) cell.remove_suffix(1);
    return cell;
  }

 private:
  std::string_view quoted() {
    const std::size_t opened = line_;
    unquoted_.clear();
    for (std::size_t i = at_ + 1;; ++i) {
      if (i >= text_.size())
        fail(ErrorCode::invalid_input, "{}: line {}: a quoted cell has no closing quote", *source_, opened);
      if (text_[i] == '"') {
        if (i + 1 < text_.size() && text_[i + 1] == '"') {
          ++i;
        } else {
          ++i;
          if (i < text_.size() && text_[i] == '\r') ++i;
          if (i < text_.size() && text_[i] != ',' && text_[i] != '\n')
            fail(ErrorCode::invalid_input, "{}: line {}: text follows a closing quote", *source_, line_);
          finish(i);
          return unquoted_;
        }
      } else if (text_[i] == '\n') {
        ++line_;
      }
      unquoted_ += text_[i];
    }
  }

  /// Steps over the separator at `end`.
  void finish(std::size_t end) {
    row_ended_ = end >= text_.size() || text_[end] == '\n';
    if (end < text_.size() && text_[end] == '\n') ++line_;
    at_ = std::min(end + 1, text_.size());
  }

  std::string_view text_;
  const std::string* source_;
  std::size_t at_;
  std::size_t line_ = 1;
  bool row_ended_ = true;
  std::string unquoted_;
};

std::optional<double> parse_number(std::string_view cell) {
  constexpr std::string_view kBlank = " \t";
  const std::size_t begin = cell.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return std::nullopt;
  cell = cell.substr(begin, cell.find_last_not_of(kBlank) + 1 - begin);
  if (cell.size() > 1 && cell[0] == '+' && cell[1] != '-') cell.remove_prefix(1);
  double number = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  if (error != std::errc() || end != cell.data() + cell.size()) return std::nullopt;
  return number;
}

}  // namespace

std::vector<std::string> Table::names() const {
  std::vector<std::string> names;
  for (const auto& column : columns_) names.push_back(column.name);
  return names;
}

std::size_t Table::find(std::string_view name) const {
  const auto named = [&](const Column& column) { return column.name == name; };
  const auto found = std::find_if(columns_.begin(), columns_.end(), named);
  if (found == columns_.end())
    fail(ErrorCode::invalid_input, "{}: there is no column '{}' among: {}", source_, name,
         fmt::join(names(), ", "));
  if (std::find_if(found + 1, columns_.end(), named) != columns_.end())
    fail(ErrorCode::invalid_input, "{}: two columns are named '{}'", source_, name);
  return static_cast<std::size_t>(found - columns_.begin());
}

std::span<const double> Table::numbers(std::size_t column) const {
  const Column& c = columns_[column];
  if (c.first_text != kNone)
    fail(ErrorCode::invalid_input, "{}: line {}, column {} ({}): '{}' is not a number", source_,
         rows_[c.first_text].line, column + 1, c.name, cell(c.first_text, column));
  return c.numbers;
}

std::vector<std::string> Table::text(std::size_t column) const {
  std::vector<std::string> cells(rows());
  for (std::size_t row = 0; row < rows(); ++row) cells[row] = cell(row, column);
  return cells;
}

std::string Table::cell(std::size_t row, std::size_t column) const {
  Scanner scanner(text_, source_, rows_[row].begin);
  for (std::size_t i = 0; i < column; ++i) scanner.next();
  return std::string(scanner.next());
}

Table read_csv(const std::string& path) {
  return parse_csv(read_file(path), display_name(path));
}

Table parse_csv(std::string text, std::string source) {
  Table table;
  table.source_ = std::move(source);
  table.text_ = std::move(text);
  if (table.text_.find('\0') != std::string::npos)
    fail(ErrorCode::invalid_input, "{}: this is no CSV file: it contains zero bytes", table.source_);
  Scanner scanner(table.text_, table.source_,
                  table.text_.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0);

  scanner.skip_blank_lines();
  const Scanner first = scanner;
  if (!scanner.at_end()) {
    do {
      const auto cell = scanner.next();
      if (!parse_number(cell)) table.has_header_ = true;
      table.columns_.push_back({std::string(cell), {}, Table::kNone});
    } while (!scanner.row_ended());
  }
  if (!table.has_header_) {
    for (std::size_t i = 0; i < table.columns_.size(); ++i)
      table.columns_[i].name = fmt::format("column_{}", i + 1);
    scanner = first;
  }

  for (scanner.skip_blank_lines(); !scanner.at_end(); scanner.skip_blank_lines()) {
    const std::size_t row = table.rows_.size();
    const std::size_t line = scanner.line();
    table.rows_.push_back({scanner.at(), line});
    std::size_t cells = 0;
    do {
      const auto cell = scanner.next();
      if (cells < table.columns_.size()) {
        auto& column = table.columns_[cells];
        const auto number = column.first_text == Table::kNone ? parse_number(cell) : std::nullopt;
        if (number) {
          column.numbers.push_back(*number);
        } else if (column.first_text == Table::kNone) {
          column.first_text = row;
          column.numbers = {};
        }
      }
      ++cells;
    } while (!scanner.row_ended());
    if (cells != table.columns_.size())
      fail(ErrorCode::invalid_input, "{}: line {} has {} columns, expected {}", table.source_, line, cells,
           table.columns_.size());
  }
  if (table.rows_.empty()) fail(ErrorCode::invalid_input, "{}: the table has no rows", table.source_);
  return table;
}

}  // namespace bnrun::io
