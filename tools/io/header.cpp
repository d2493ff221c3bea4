#include "io/header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace bnrun::io {
namespace {

constexpr std::uint8_t kNumber = kPointNumber | kCommaNumber;

bool is_number(const Cell& cell) {
  return !cell.missing && (cell.kinds & kNumber) != 0;
}

bool is_integer(const Cell& cell) {
  return is_number(cell) && cell.value == std::floor(cell.value) && std::abs(cell.value) < 1e15;
}

/// Sorted by what they say for or against a header.
struct Signs {
  std::vector<std::string> stand_out;  ///< fit no cell below, which are all of one kind
  std::vector<std::string> values;  ///< no name looks like this: a fraction, a date, what comes again below
  std::vector<double> integers;
  std::size_t words = 0;    ///< text above text
  std::size_t missing = 0;  ///< above a column that is not missing as a whole
  bool quoted_above_unquoted = true;
};

Signs read_signs(std::span<const FirstCell> first, std::span<const Below> below) {
  Signs signs;
  for (std::size_t c = 0; c < first.size(); ++c) {
    const auto& [text, quoted, cell] = first[c];
    const bool typed = below[c].has_value && below[c].kinds != kText;
    if (!quoted || below[c].quoted_number || !is_integer(cell) || !typed) signs.quoted_above_unquoted = false;
    if (cell.missing) {
      signs.missing += below[c].has_value ? 1 : 0;
    } else if (cell.too_large) {
      signs.values.push_back(text);
    } else if (typed && (cell.kinds & below[c].kinds) == 0) {
      signs.stand_out.push_back(text);
    } else if (is_integer(cell)) {
      signs.integers.push_back(cell.value);
    } else if (cell.kinds != kText || is_date(text) || below[c].repeats_first) {
      signs.values.push_back(text);
    } else {
      ++signs.words;
    }
  }
  return signs;
}

bool steps_evenly(const std::vector<double>& numbers) {
  const auto step = [&](std::size_t i) { return numbers[i] - numbers[i - 1]; };
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    if (step(i) != step(1) || step(i) == 0.0) return false;
  }
  return true;
}

bool are_years(const std::vector<double>& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](double x) { return x >= 1900.0 && x <= 2100.0; }) &&
         std::set<double>(numbers.begin(), numbers.end()).size() == numbers.size();
}

bool could_be_names(const std::vector<double>& integers) {
  if (are_years(integers)) return true;
  if (integers.size() == 1) return integers[0] == 0.0;
  return steps_evenly(integers) && (integers.size() > 2 || integers[1] == integers[0] + 1.0);
}

/// The numbers 0, 1, 2, ...: what is written for columns that never had names.
bool count_from_zero(const std::vector<double>& numbers) {
  return !numbers.empty() && numbers[0] == 0.0 &&
         (numbers.size() == 1 || (numbers[1] == 1.0 && steps_evenly(numbers)));
}

bool distinct(std::span<const FirstCell> first) {
  std::set<std::string> texts;
  return std::all_of(first.begin(), first.end(),
                     [&](const FirstCell& cell) { return texts.insert(cell.text).second; });
}

HeaderVerdict decide_numbers(std::span<const FirstCell> first, std::span<const Below> below,
                             const Signs& signs) {
  const auto fraction_below =
      std::any_of(below.begin(), below.end(), [](const Below& column) { return column.has_fraction; });
  const bool index = first[0].text.empty() && below[0].has_value && below[0].counts_rows;
  if (index && count_from_zero(signs.integers) && signs.integers.size() + 1 == first.size())
    return {true, "its numbers count the columns, and the first column counts the rows"};
  if (count_from_zero(signs.integers) && first.size() > 1) {
    if (fraction_below && signs.integers.size() > 2)
      return {true, "its numbers count the columns, and those below are no integers"};
    return {std::nullopt, "its numbers may count the columns"};
  }
  const auto unlike_years = [&](std::size_t c) { return below[c].has_fraction || !below[c].has_value; };
  if (signs.integers.size() > 1 && are_years(signs.integers) && steps_evenly(signs.integers)) {
    for (std::size_t c = 0; c < first.size(); ++c) {
      if (unlike_years(c)) return {std::nullopt, "its numbers may be years that name the columns"};
    }
  }
  return {false, "it holds numbers as the lines below do"};
}

}  // namespace

HeaderVerdict decide_header(std::span<const FirstCell> first, std::span<const Below> below,
                            std::span<const std::string> expected) {
  std::size_t hits = 0;
  for (const std::string& name : expected) {
    const auto found = std::find_if(first.begin(), first.end(), [&](const FirstCell& cell) {
      return cell.text == name && !name.empty();
    });
    if (found == first.end()) continue;
    if (!is_number(found->cell)) return {true, fmt::format("it names the column '{}'", name)};
    ++hits;
  }
  if (hits > 2 && hits == expected.size()) return {true, "it names the columns"};

  const Signs signs = read_signs(first, below);
  const bool rows_below =
      std::any_of(below.begin(), below.end(), [](const Below& column) { return column.has_value; });
  if (!signs.stand_out.empty()) {
    if (!signs.values.empty())
      return {std::nullopt,
              fmt::format("'{}' is unlike what is below, '{}' is not", signs.stand_out[0], signs.values[0])};
    if (!signs.integers.empty() && !could_be_names(signs.integers))
      return {std::nullopt,
              fmt::format("'{}' is unlike what is below, {} is not", signs.stand_out[0], signs.integers[0])};
    return {true, fmt::format("'{}' is unlike what is below it", signs.stand_out[0])};
  }
  if (!signs.values.empty()) return {false, fmt::format("'{}' is a value, no name", signs.values[0])};
  if (rows_below && signs.quoted_above_unquoted) return {true, "its numbers are quoted, those below are not"};
  if (signs.words == 0) {
    const HeaderVerdict verdict = decide_numbers(first, below, signs);
    if (verdict.header == false && hits > 0 && hits == expected.size())
      return {std::nullopt, "its numbers may be names that are asked for"};
    return verdict;
  }
  if (!signs.integers.empty()) return {std::nullopt, "it holds words above words and numbers above numbers"};
  if (signs.missing > 0) return {std::nullopt, "it holds words above words and a blank above values"};
  if (!distinct(first)) return {std::nullopt, "it holds words above words, some of them twice"};
  return {true, "it holds words only, none of which comes again below"};
}

}  // namespace bnrun::io
