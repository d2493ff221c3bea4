#include "io/names.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "io/fail.h"

namespace bnrun::io {
namespace {

/// Lower case, without what people vary.
std::string plain(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (std::string_view(" \t_-.").find(c) == std::string_view::npos)
      text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

/// Letters to insert, take out or replace, or neighbours to swap: Levenshtein's distance, in the optimal string
/// alignment of Damerau's.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before;  // the row above the one above
  std::vector<std::size_t> above;
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::move(above);
    above = row;
    row[0] = i;
    for (std::size_t k = 1; k <= b.size(); ++k) {
      const std::size_t replaced = above[k - 1] + (a[i - 1] == b[k - 1] ? 0 : 1);
      row[k] = std::min({replaced, row[k - 1] + 1, above[k] + 1});
      if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
        row[k] = std::min(row[k], before[k - 2] + 1);
    }
  }
  return row.back();
}

/// 0 for names that differ in what people vary only; a start in common counts as near, as sepal_len and
/// sepal_length.
double strangeness(std::string_view a, std::string_view b) {
  const std::string x = plain(a);
  const std::string y = plain(b);
  const std::size_t longest = std::max<std::size_t>(std::max(x.size(), y.size()), 1);
  const double apart = static_cast<double>(distance(x, y)) / static_cast<double>(longest);
  const bool starts = std::min(x.size(), y.size()) >= 3 && (x.starts_with(y) || y.starts_with(x));
  return starts ? apart / 2.0 : apart;
}

}  // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> names) {
  constexpr double kFar = 0.45;
  std::string nearest;
  double least = kFar;
  for (const std::string& candidate : names) {
    const double apart = strangeness(name, candidate);
    if (apart < least) {
      least = apart;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string with_nearest(std::string_view name, std::span<const std::string> names) {
  const std::string nearest = nearest_name(name, names);
  if (!nearest.empty()) return fmt::format("'{}' (nearest: '{}')", name, nearest);
  constexpr std::size_t kListed = 20;
  const auto listed = names.first(std::min(names.size(), kListed));
  return fmt::format("'{}' among: {}{}", name, fmt::join(listed, ", "),
                     names.size() > kListed ? ", ..." : "");
}

std::vector<std::size_t> columns_named(const Table& table, std::span<const std::string> wanted) {
  constexpr std::size_t kListed = 8;
  const auto names = table.names();
  std::vector<std::string> missing;
  for (const std::string& name : wanted) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string nearest = nearest_name(name, names);
    missing.push_back(nearest.empty() ? fmt::format("'{}'", name)
                                      : fmt::format("'{}' (nearest: '{}')", name, nearest));
  }
  if (!missing.empty()) {
    const std::size_t more = missing.size() - std::min(missing.size(), kListed);
    missing.resize(std::min(missing.size(), kListed));
    fail(ErrorCode::invalid_input,
         "{}: of the {} columns that the model wants it lacks {}{}; --by-position takes its columns in order",
         table.source(), wanted.size(), fmt::join(missing, ", "),
         more > 0 ? fmt::format(" and {} more", more) : "");
  }
  std::vector<std::size_t> columns;
  for (const std::string& name : wanted) columns.push_back(table.find(name));
  return columns;
}

bool fits_glob(std::string_view text, std::string_view glob) {
  if (glob.empty()) return text.empty();
  if (glob[0] == '*')
    return fits_glob(text, glob.substr(1)) || (!text.empty() && fits_glob(text.substr(1), glob));
  return !text.empty() && (glob[0] == '?' || glob[0] == text[0]) && fits_glob(text.substr(1), glob.substr(1));
}

}  // namespace bnrun::io
