#include "common/text_table.h"

#include <algorithm>
#include <utility>

#include "common/printable.h"

namespace bnrun::cli {

std::size_t display_width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

void TextTable::add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = printable(cell);
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> TextTable::widths() const {
  std::vector<std::size_t> widths(alignment_.size(), 0);
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  return widths;
}

std::string TextTable::markdown() const {
  TextTable escaped(alignment_);
  for (auto row : rows_) {
    for (std::string& cell : row)
      for (std::size_t at = 0; (at = cell.find('|', at)) != std::string::npos; at += 2) cell.insert(at, 1, '\\');
    escaped.rows_.push_back(std::move(row));
  }
  const auto widths = escaped.widths();
  std::string out;
  for (const auto& row : escaped.rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - display_width(row[i]), ' ');
      out += "| " + (alignment_[i] == 'r' ? padding + row[i] : row[i] + padding) + ' ';
    }
    out += "|\n";
    if (&row != &escaped.rows_.front()) continue;
    for (std::size_t i = 0; i < row.size(); ++i)
      out += '|' + std::string(widths[i] + 1, '-') + (alignment_[i] == 'r' ? ':' : '-');
    out += "|\n";
  }
  return out;
}

std::string TextTable::text() const {
  const auto widths = this->widths();
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - display_width(row[i]), ' ');
      line += (i > 0 ? "  " : "") + (alignment_[i] == 'r' ? padding + row[i] : row[i] + padding);
    }
    line.resize(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

}  // namespace bnrun::cli
