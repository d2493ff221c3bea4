#include "common/html.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace bnrun::cli {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// With each byte that is no UTF-8 replaced.
std::string as_utf8(std::string_view text) {
  using nlohmann::json;
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : as_utf8(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if ((c >= 0 && c < ' ') || c == '\x7f')
          out += kReplacement;
        else
          out += c;
    }
  }
  return out;
}

std::string element(std::string_view tag, std::string_view content, std::string_view attributes) {
  return fmt::format("<{0}{1}{2}>{3}</{0}>", tag, attributes.empty() ? "" : " ", attributes, content);
}

HtmlTable::HtmlTable(const std::vector<std::string>& head, std::string alignment)
    : alignment_(std::move(alignment)), headings_(head), head_(line("th", head, "")) {}

void HtmlTable::add(const std::vector<std::string>& cells, std::string_view row_class) {
  body_ += line("td", cells, row_class);
}

std::string HtmlTable::html() const {
  constexpr std::size_t kFewColumns = 4;
  return element("table", element("thead", head_) + element("tbody", body_),
                 headings_.size() > kFewColumns ? "class=\"wide\"" : "") +
         '\n';
}

std::string HtmlTable::line(std::string_view tag, const std::vector<std::string>& cells,
                            std::string_view row_class) const {
  std::string row;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::string attributes = alignment_[i] == 'r' ? "class=\"r\"" : "class=\"l\"";
    if (tag == "td") attributes += fmt::format(" data-head=\"{}\"", escape(headings_[i]));
    row += element(tag, escape(cells[i]), attributes);
  }
  return element("tr", row, row_class.empty() ? "" : fmt::format("class=\"{}\"", row_class)) + '\n';
}

}  // namespace bnrun::cli
