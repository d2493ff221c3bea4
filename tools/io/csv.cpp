#include "io/csv.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

#include "io/fail.h"
#include "io/file.h"
#include "io/foreign.h"
#include "io/header.h"
#include "io/names.h"

namespace bnrun::io {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::array<char, 4> kSeparators{',', ';', '\t', '|'};

std::string name_of_separator(char separator) {
  if (separator == '\t') return "tab";
  if (separator == ' ') return "space";
  return std::string("'") + separator + "'";
}

/// Walks the cells of a text. A line ends at LF, CR LF or CR.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& source, char separator, std::size_t at = 0)
      : text_(text), source_(&source), separator_(separator), at_(at) {}

  std::size_t at() const { return at_; }
  std::size_t line() const { return line_; }
  bool at_end() const { return at_ >= text_.size(); }
  bool row_ended() const { return row_ended_; }
  bool quoted() const { return quoted_; }  ///< whether the last cell was

  void skip_blank_lines() {
    for (;;) {
      const std::size_t i = skip_blanks(at_);
      if (i < text_.size() && !is_line_end(text_[i])) return;
      if (i >= text_.size()) {
        at_ = text_.size();
        return;
      }
      at_ = i;
      step_over_line_end();
    }
  }

  /// The next cell of the row. Valid until the next call.
  std::string_view next() {
    const std::size_t begin = skip_blanks(at_);
    if (separator_ == ' ') at_ = begin;
    quoted_ = begin < text_.size() && text_[begin] == '"';
    if (quoted_) return read_quoted(begin);
    std::size_t end = at_;
    while (end < text_.size() && text_[end] != separator_ && !is_line_end(text_[end])) ++end;
    const std::string_view cell = trimmed(text_.substr(at_, end - at_));
    finish(end);
    return cell;
  }

 private:
  static bool is_line_end(char c) { return c == '\n' || c == '\r'; }

  /// Blanks that separate nothing.
  std::size_t skip_blanks(std::size_t i) const {
    while (i < text_.size() && (text_[i] == ' ' || (text_[i] == '\t' && separator_ != '\t'))) ++i;
    return i;
  }

  void step_over_line_end() {
    at_ += text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n' ? 2 : 1;
    ++line_;
  }

  std::string_view read_quoted(std::size_t begin) {
    const std::size_t opened = line_;
    unquoted_.clear();
    for (std::size_t i = begin + 1;; ++i) {
      if (i >= text_.size())
        fail(ErrorCode::invalid_input, "{}: line {}: a quoted cell has no closing quote", *source_, opened);
      const bool next_is = i + 1 < text_.size();
      if (text_[i] == '"') {
        if (!next_is || text_[i + 1] != '"') {
          const std::size_t end = separator_ == ' ' ? i + 1 : skip_blanks(i + 1);
          if (end < text_.size() && text_[end] != separator_ && !is_line_end(text_[end]))
            fail(ErrorCode::invalid_input, "{}: line {}: text follows a closing quote", *source_, line_);
          finish(end);
          return unquoted_;
        }
        ++i;
      } else if (text_[i] == '\n' || (text_[i] == '\r' && (!next_is || text_[i + 1] != '\n'))) {
        ++line_;
      }
      unquoted_ += text_[i];
    }
  }

  /// Steps over the separator or the line end at `end`.
  void finish(std::size_t end) {
    if (separator_ == ' ') end = skip_run(end);
    at_ = end;
    row_ended_ = end >= text_.size() || is_line_end(text_[end]);
    if (end >= text_.size()) return;
    if (row_ended_)
      step_over_line_end();
    else
      ++at_;
  }

  /// Of several spaces in a row the last one separates; those before the end of a line do not.
  std::size_t skip_run(std::size_t end) const {
    const std::size_t after = skip_blanks(end);
    return after >= text_.size() || is_line_end(text_[after]) || after == end ? after : after - 1;
  }

  std::string_view text_;
  const std::string* source_;
  char separator_;
  std::size_t at_;
  std::size_t line_ = 1;
  bool row_ended_ = true;
  bool quoted_ = false;
  std::string unquoted_;
};

/// Of the usual separators those that stand in the first line outside quotes, the most frequent first. Tabs
/// beside another separator or at the end of a line that has others are blanks.
std::vector<char> separators_in_first_line(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \r\n");
  if (begin == std::string_view::npos) return {};
  std::vector<std::pair<std::size_t, char>> counts;
  for (const char separator : kSeparators) counts.emplace_back(0, separator);
  std::size_t blank_tabs = 0;
  std::size_t run = 0;  // tabs since the last other character than a space
  bool open = false;
  char before = '\n';
  for (std::size_t i = begin; i < text.size() && (open || (text[i] != '\n' && text[i] != '\r')); ++i) {
    const char c = text[i];
    if (c == '"') open = !open;
    const auto found = std::ranges::find(counts, c, &std::pair<std::size_t, char>::second);
    const bool separates = !open && found != counts.end();
    if (separates) ++found->first;
    if (c == '\t' && separates) ++run;
    if (c == ' ' || c == '\t') continue;
    const bool beside = (separates || std::ranges::find(kSeparators, before) != kSeparators.end());
    if (beside) blank_tabs += run;
    run = 0;
    before = separates ? c : 'x';
  }
  const auto others = std::ranges::count_if(
      counts, [](const auto& entry) { return entry.first > 0 && entry.second != '\t'; });
  if (others > 0)
    std::ranges::find(counts, '\t', &std::pair<std::size_t, char>::second)->first -= blank_tabs + run;
  std::ranges::stable_sort(counts, std::ranges::greater(), &std::pair<std::size_t, char>::first);
  std::vector<char> present;
  for (const auto& [count, separator] : counts) {
    if (count > 0) present.push_back(separator);
  }
  return present;
}

/// Columns of a reading all of whose rows have equally many; 0 when they have not.
std::size_t equal_columns(std::string_view text, const std::string& source, char separator) {
  Scanner scanner(text, source, separator);
  std::size_t columns = 0;
  try {
    for (scanner.skip_blank_lines(); !scanner.at_end(); scanner.skip_blank_lines()) {
      std::size_t cells = 0;
      do {
        scanner.next();
        ++cells;
      } while (!scanner.row_ended());
      if (columns == 0) columns = cells;
      if (cells != columns) return 0;
    }
  } catch (const Error&) {
    return 0;
  }
  return columns;
}

}  // namespace

/// Fills a Table.
class TableReader {
 public:
  TableReader(std::string text, std::string source, const TableOptions& options) : options_(options) {
    table_.source_ = std::move(source);
    table_.text_ = std::move(text);
    const auto usual = missing_spellings();
    table_.missing_ = options.missing.value_or(std::vector<std::string>(usual.begin(), usual.end()));
  }

  Table read() {
    refuse_unless_text(table_.text_, table_.source_);
    begin_ = table_.text_.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
    choose_separator();
    Scanner scanner(table_.text_, table_.source_, table_.separator_, begin_);
    scanner.skip_blank_lines();
    if (!scanner.at_end()) read_first_row(scanner);
    for (scanner.skip_blank_lines(); !scanner.at_end(); scanner.skip_blank_lines()) read_row(scanner);
    apply_header();
    if (table_.rows_.empty()) fail(ErrorCode::invalid_input, "{}: the table has no rows", table_.source_);
    choose_decimal();
    return std::move(table_);
  }

 private:
  using Column = Table::Column;
  static constexpr std::size_t kNone = Table::kNone;

  void choose_separator() {
    if (options_.separator) {
      table_.separator_ = *options_.separator;
      return;
    }
    const std::string_view text = std::string_view(table_.text_).substr(begin_);
    auto candidates = separators_in_first_line(text);
    if (options_.decimal == ',' && candidates.size() > 1) std::erase(candidates, ',');
    if (candidates.empty()) return;
    table_.separator_ = candidates[0];
    if (candidates.size() == 1) return;
    std::vector<std::string> readings;
    for (const char candidate : candidates) {
      const std::size_t columns = equal_columns(text, table_.source_, candidate);
      if (columns < 2) continue;
      if (readings.empty()) table_.separator_ = candidate;
      readings.push_back(fmt::format("{} columns by {}", columns, name_of_separator(candidate)));
    }
    if (readings.size() > 1)
      fail(ErrorCode::invalid_input, "{}: every row has {}: say which with --sep", table_.source_,
           fmt::join(readings, " and "));
  }

  void read_first_row(Scanner& scanner) {
    table_.rows_.push_back({scanner.at(), scanner.line()});
    do {
      std::string text(scanner.next());
      const Cell cell = read_cell(text, table_.missing_);
      first_.push_back({std::move(text), scanner.quoted(), cell});
    } while (!scanner.row_ended());
    table_.columns_.resize(first_.size());
    below_.resize(first_.size());
  }

  void read_row(Scanner& scanner) {
    const std::size_t row = table_.rows_.size();
    const std::size_t line = scanner.line();
    table_.rows_.push_back({scanner.at(), line});
    std::size_t cells = 0;
    do {
      const auto text = scanner.next();
      if (cells < first_.size()) add_below(cells, row, text, scanner.quoted());
      ++cells;
    } while (!scanner.row_ended());
    if (cells == first_.size()) return;
    const std::string remedy = options_.separator
                                   ? ""
                                   : fmt::format(" (separated by {}; --sep names another separator)",
                                                 name_of_separator(table_.separator_));
    fail(ErrorCode::invalid_input, "{}: line {} has {} columns, expected {}{}", table_.source_, line, cells,
         first_.size(), remedy);
  }

  void add_below(std::size_t c, std::size_t row, std::string_view text, bool quoted) {
    Below& below = below_[c];
    Column& column = table_.columns_[c];
    if (column.kinds == kText) {  // nothing more is to be learnt but whether the first cell comes again
      below.repeats_first = below.repeats_first || text == first_[c].text;
      below.has_value = true;
      return;
    }
    const Cell cell = read_cell(text, table_.missing_);
    add_cell(column, cell, row);
    column.numbers.push_back(cell.value);
    if (column.kinds == kText) column.numbers = {};
    below.kinds = column.kinds;
    below.has_value = below.has_value || !std::isnan(cell.value) || cell.kinds != kAnyKind;
    below.repeats_first = below.repeats_first || text == first_[c].text;
    const bool number = !cell.missing && (cell.kinds & (kPointNumber | kCommaNumber)) != 0;
    below.quoted_number = below.quoted_number || (quoted && number);
    below.has_fraction = below.has_fraction || (number && cell.value != std::floor(cell.value));
    below.counts_rows = below.counts_rows && number && cell.value == static_cast<double>(row - 1);
  }

  static void add_cell(Column& column, const Cell& cell, std::size_t row) {
    column.kinds &= cell.kinds;
    if ((cell.kinds & kPointNumber) == 0) column.first_other_point = std::min(column.first_other_point, row);
    if ((cell.kinds & kCommaNumber) == 0) column.first_other_comma = std::min(column.first_other_comma, row);
    if (cell.missing) column.first_missing = std::min(column.first_missing, row);
  }

  void apply_header() {
    if (first_.empty()) return;
    HeaderVerdict verdict{options_.header == HeaderRule::yes, "--header says so"};
    if (options_.header == HeaderRule::automatic) verdict = decide_header(first_, below_, options_.expected);
    if (!verdict.header)
      fail(ErrorCode::invalid_input,
           "{}: the first line may be names or data ({}): say --header yes or --header no", table_.source_,
           verdict.reason);
    table_.has_header_ = *verdict.header;
    table_.reading_ =
        fmt::format("the first line is {}: {}", *verdict.header ? "a header" : "data", verdict.reason);
    for (std::size_t c = 0; c < first_.size(); ++c) {
      Column& column = table_.columns_[c];
      column.named = table_.has_header_ && !first_[c].text.empty();
      column.name = column.named ? first_[c].text : fmt::format("column_{}", c + 1);
      if (table_.has_header_) {
        for (std::size_t* row :
             {&column.first_other_point, &column.first_other_comma, &column.first_missing}) {
          if (*row != kNone) --*row;
        }
      } else {
        add_cell(column, first_[c].cell, 0);
        if (column.kinds == kText)
          column.numbers = {};
        else
          column.numbers.insert(column.numbers.begin(), first_[c].cell.value);
      }
    }
    if (table_.has_header_) table_.rows_.erase(table_.rows_.begin());
  }

  /// A column speaks for the point or the comma when all its cells are numbers with the one only.
  void choose_decimal() {
    if (options_.decimal) {
      table_.decimal_ = *options_.decimal == ',' ? kCommaNumber : kPointNumber;
    } else {
      const auto first_that = [&](Kind fits, Kind fits_not) {
        const auto found = std::find_if(table_.columns_.begin(), table_.columns_.end(), [=](const Column& c) {
          return (c.kinds & fits) != 0 && (c.kinds & fits_not) == 0;
        });
        return static_cast<std::size_t>(found - table_.columns_.begin());
      };
      const std::size_t none = table_.columns_.size();
      const std::size_t comma = first_that(kCommaNumber, kPointNumber);
      const std::size_t point = first_that(kPointNumber, kCommaNumber);
      if (comma != none && (point != none || are_thousands(comma)))
        fail(
            ErrorCode::invalid_input,
            "{}: line {}, column {} ({}): '{}' may be a number with a decimal comma or none{}: say --decimal "
            ", or --decimal .",
            table_.source_, table_.line(table_.columns_[comma].first_other_point), comma + 1,
            table_.name(comma), table_.cell(table_.columns_[comma].first_other_point, comma),
            point == none
                ? ""
                : fmt::format(", and column {} ({}) has decimal points", point + 1, table_.name(point)));
      if (comma != none) table_.decimal_ = kCommaNumber;
    }
    for (std::size_t c = 0; c < table_.columns(); ++c) {
      if (!table_.numeric(c) && !table_.boolean(c)) table_.columns_[c].numbers = {};
    }
    table_.reading_ += fmt::format("; columns are separated by {}, decimals by '{}'",
                                   name_of_separator(table_.separator_), table_.decimal());
  }

  /// Whether every comma of the column stands before exactly three digits, as in 1,234.
  bool are_thousands(std::size_t column) const {
    const auto cells = table_.text(column);
    return std::all_of(cells.begin(), cells.end(), [](const std::string& cell) {
      const std::size_t comma = cell.find(',');
      return comma == std::string::npos || (cell.size() - comma == 4 && cell[0] != '0' && comma <= 4);
    });
  }

  const TableOptions& options_;
  Table table_;
  std::size_t begin_ = 0;
  std::vector<FirstCell> first_;
  std::vector<Below> below_;
};

std::vector<std::string> Table::names() const {
  std::vector<std::string> names;
  for (const auto& column : columns_) names.push_back(column.name);
  return names;
}

std::size_t Table::find(std::string_view name) const {
  const auto named = [&](const Column& column) { return column.name == name; };
  const auto found = std::find_if(columns_.begin(), columns_.end(), named);
  if (found == columns_.end())
    fail(ErrorCode::invalid_input, "{}: there is no column {}{}", source_, with_nearest(name, names()),
         has_header_ ? "" : "; the table has no header (--header yes)");
  if (std::find_if(found + 1, columns_.end(), named) != columns_.end())
    fail(ErrorCode::invalid_input, "{}: two columns are named '{}'", source_, name);
  return static_cast<std::size_t>(found - columns_.begin());
}

bool Table::boolean(std::size_t column) const {
  return !numeric(column) && (columns_[column].kinds & (kTrueFalse | kYesNo)) != 0;
}

std::span<const double> Table::numbers(std::size_t column) const {
  const Column& c = columns_[column];
  if (numeric(column) || boolean(column)) return c.numbers;
  const std::size_t row = decimal_ == kCommaNumber ? c.first_other_comma : c.first_other_point;
  const std::string text = cell(row, column);
  fail(
      ErrorCode::invalid_input, "{}: line {}, column {} ({}): '{}' is {}", source_, rows_[row].line,
      column + 1, c.name, text,
      read_cell(text, missing_).too_large ? "too large for a number, which ends at 1.8e308" : "not a number");
}

std::optional<std::size_t> Table::first_missing(std::size_t column) const {
  const Column& c = columns_[column];
  return c.first_missing == kNone || c.numbers.empty() ? std::nullopt : std::optional(c.first_missing);
}

std::vector<std::string> Table::text(std::size_t column) const {
  return std::move(text(std::span(&column, 1))[0]);
}

std::vector<std::vector<std::string>> Table::text(std::span<const std::size_t> columns) const {
  std::vector<std::vector<std::string>> cells(columns.size(), std::vector<std::string>(rows()));
  if (columns.empty()) return cells;
  std::vector<std::vector<std::size_t>> wanted(this->columns());  // places in `columns`
  for (std::size_t i = 0; i < columns.size(); ++i) wanted[columns[i]].push_back(i);
  const std::size_t last = *std::max_element(columns.begin(), columns.end());
  for (std::size_t row = 0; row < rows(); ++row) {
    Scanner scanner(text_, source_, separator_, rows_[row].begin);
    for (std::size_t c = 0; c <= last; ++c) {
      const auto cell = scanner.next();
      for (const std::size_t i : wanted[c]) cells[i][row] = cell;
    }
  }
  return cells;
}

std::vector<std::string> Table::cells(std::size_t row) const {
  std::vector<std::string> cells;
  Scanner scanner(text_, source_, separator_, rows_[row].begin);
  for (std::size_t c = 0; c < columns(); ++c) cells.emplace_back(scanner.next());
  return cells;
}

std::string Table::cell(std::size_t row, std::size_t column) const {
  Scanner scanner(text_, source_, separator_, rows_[row].begin);
  for (std::size_t i = 0; i < column; ++i) scanner.next();
  return std::string(scanner.next());
}

Table read_csv(const std::string& path, const TableOptions& options) {
  return parse_csv(read_file(path), display_name(path), options);
}

Table parse_csv(std::string text, std::string source, const TableOptions& options) {
  return TableReader(std::move(text), std::move(source), options).read();
}

std::string number_cell(double number) {
  return fmt::format("{}", without_sign_of_nan(number));
}
std::string number_cell(float number) {
  return fmt::format("{}", without_sign_of_nan(number));
}

std::string quoted_cell(const std::string& cell) {
  const bool plain = cell.find_first_of(",;|\t\"\r\n") == std::string::npos && trimmed(cell) == cell;
  if (plain) return cell;
  std::string out = "\"";
  for (const char c : cell) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

}  // namespace bnrun::io
