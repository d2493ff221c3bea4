// Text for pages: everything that comes from a model passes through escape().
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bnrun::cli {

/// The text as it may stand in HTML and XML, in elements and in quoted attributes. What is no UTF-8, and
/// control characters, which XML forbids, become the replacement character.
std::string escape(std::string_view text);

/// <tag attributes>content</tag>; only `content` that is HTML already and `attributes` of one's own may go
/// in.
std::string element(std::string_view tag, std::string_view content, std::string_view attributes = "");

/// A table of plain text, which it escapes. Each cell has its heading as `data-head`, so that a narrow screen can show the
/// rows of one of many columns, which has the class "wide", as lists.
class HtmlTable {
 public:
  /// `alignment` has one letter per column: 'l' left-aligned, 'r' right-aligned.
  HtmlTable(const std::vector<std::string>& head, std::string alignment);
  void add(const std::vector<std::string>& cells, std::string_view row_class = "");
  std::string html() const;

 private:
  std::string line(std::string_view tag, const std::vector<std::string>& cells,
                   std::string_view row_class) const;

  std::string alignment_;
  std::vector<std::string> headings_;
  std::string head_;
  std::string body_;
};

}  // namespace bnrun::cli
