#include "io/cell.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <regex>
#include <vector>

namespace bnrun::io {
namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

/// A number whose decimals stand behind a point. `cell.kinds` stays kText where it is none.
Cell read_number(std::string_view text) {
  Cell cell;
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, cell.value);
  if (stop != end || error == std::errc::invalid_argument) return cell;
  // Out of range is said of the tiny and of the huge; strtod tells them apart.
  if (error == std::errc::result_out_of_range) cell.value = std::strtod(std::string(text).c_str(), nullptr);
  cell.too_large = error != std::errc() && std::isinf(cell.value);
  if (!cell.too_large) cell.kinds = kPointNumber;
  return cell;
}

struct Word {
  std::string_view text;
  Kind kind;
  double value;
};
constexpr std::array<Word, 4> kWords{
    {{"true", kTrueFalse, 1.0}, {"false", kTrueFalse, 0.0}, {"yes", kYesNo, 1.0}, {"no", kYesNo, 0.0}}};

}  // namespace

std::span<const std::string> missing_spellings() {
  static const std::vector<std::string> kSpellings{"NA",   "N/A",  "n/a",  "#N/A", "<NA>", "NaN", "nan",
                                                   "NULL", "null", "None", "?",    "-",    "."};
  return kSpellings;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

Cell read_cell(std::string_view text, std::span<const std::string> missing) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  text = trimmed(text);
  Cell cell;
  if (!text.empty()) cell = read_number(text);
  const bool listed = text.empty() || std::find(missing.begin(), missing.end(), text) != missing.end();
  if (listed || (cell.kinds != kText && std::isnan(cell.value)))
    return {kAnyKind, cell.kinds == kText || !std::isnan(cell.value), false, kNaN};
  if (cell.kinds == kPointNumber) {
    if (text.find('.') == std::string_view::npos) cell.kinds |= kCommaNumber;
    return cell;
  }
  if (cell.too_large) return cell;
  if (const std::size_t comma = text.find(','); comma != std::string_view::npos) {
    if (text.find('.') != std::string_view::npos || text.find(',', comma + 1) != std::string_view::npos)
      return cell;
    std::string with_point(text);
    with_point[comma] = '.';
    cell = read_number(with_point);
    if (cell.kinds == kPointNumber) cell.kinds = kCommaNumber;
    return cell;
  }
  for (const Word& word : kWords) {
    if (equal_ignoring_case(text, word.text)) return {word.kind, false, false, word.value};
  }
  return cell;
}

bool is_date(std::string_view cell) {
  static const std::regex kDate(
      R"((\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{2,4}))"
      R"(([T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?)?)");
  constexpr std::size_t kLongest = 40;  // std::regex recurses letter by letter
  const std::string_view text = trimmed(cell);
  return text.size() <= kLongest && std::regex_match(text.begin(), text.end(), kDate);
}

}  // namespace bnrun::io
