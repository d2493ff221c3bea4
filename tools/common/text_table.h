// A table of text for a terminal.
#pragma once

#include <string>
#include <vector>

namespace bnrun::cli {

class TextTable {
 public:
  /// One letter per column: 'l' left-aligned, 'r' right-aligned.
  explicit TextTable(std::string alignment) : alignment_(std::move(alignment)) {}

  /// As many cells as there are columns; what a terminal would obey is escaped.
  void add(std::vector<std::string> row);
  /// Lines of equal columns, two spaces between them, nothing behind the last.
  std::string text() const;
  /// The same as a table of Markdown, the first row being its head; as readable as it stands.
  std::string markdown() const;

 private:
  std::vector<std::size_t> widths() const;

  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

/// Letters on screen: code points of UTF-8 text.
std::size_t display_width(const std::string& text);

}  // namespace bnrun::cli
