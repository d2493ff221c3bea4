#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "base/fail.h"
#include "bnrun/train.h"

namespace bnrun::train {
namespace {

struct Filling {
  float value = 0.0F;
  bool had_missing = false;
};

Filling learn_filling(const Dataset& rows, std::size_t column, const std::string& name, MissingRule rule) {
  const auto width = static_cast<std::size_t>(rows.columns);
  std::vector<float> present;
  for (std::size_t i = column; i < rows.features.size(); i += width) {
    if (!std::isnan(rows.features[i])) present.push_back(rows.features[i]);
  }
  Filling filling{.had_missing = present.size() < static_cast<std::size_t>(rows.rows())};
  if (rule == MissingRule::zero) return filling;
  if (present.empty())
    fail(ErrorCode::invalid_input, "column '{}' has no value in the rows to learn from: leave it out", name);
  if (rule == MissingRule::median) {
    const auto upper = present.begin() + static_cast<std::ptrdiff_t>(present.size() / 2);
    std::nth_element(present.begin(), upper, present.end());
    const auto high = static_cast<double>(*upper);
    const double low =
        present.size() % 2 == 1 ? high : static_cast<double>(*std::max_element(present.begin(), upper));
    filling.value = static_cast<float>(low / 2.0 + high / 2.0);
    return filling;
  }
  double sum = 0.0;
  for (const float x : present) sum += static_cast<double>(x);
  filling.value = static_cast<float>(sum / static_cast<double>(present.size()));
  return filling;
}

/// Values of text in the order in which the table has them; first "" where missing counts as one and occurs.
std::vector<std::string> learn_vocabulary(const Dataset& rows, std::size_t column,
                                          const TableColumns::Text& text, MissingRule rule) {
  const auto width = static_cast<std::size_t>(rows.columns);
  std::set<std::size_t> seen;
  bool missing = false;
  for (std::size_t i = column; i < rows.features.size(); i += width) {
    if (std::isnan(rows.features[i]))
      missing = true;
    else
      seen.insert(static_cast<std::size_t>(rows.features[i]));
  }
  std::vector<std::string> vocabulary;
  if (missing && rule == MissingRule::indicator) vocabulary.emplace_back();
  for (const std::size_t position : seen) vocabulary.push_back(text.values[position]);
  if (vocabulary.empty())
    fail(ErrorCode::invalid_input, "column '{}' has no value in the rows to learn from: leave it out",
         text.name);
  return vocabulary;
}

constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max();

/// Place of each value of the table in the vocabulary, and last that of a missing one.
std::vector<std::size_t> places_of(const TableColumns::Text& text,
                                   const std::vector<std::string>& vocabulary) {
  std::vector<std::size_t> places;
  const auto place = [&](const std::string& value) {
    const auto found = std::find(vocabulary.begin(), vocabulary.end(), value);
    return found == vocabulary.end() ? kUnknown : static_cast<std::size_t>(found - vocabulary.begin());
  };
  for (const std::string& value : text.values) places.push_back(place(value));
  places.push_back(place(""));
  return places;
}

}  // namespace

std::string_view name_of(MissingRule rule) {
  constexpr std::array<std::string_view, 5> kNames{"error", "mean", "median", "zero", "indicator"};
  return kNames[static_cast<std::size_t>(rule)];
}

std::int64_t Preparation::outputs() const {
  std::size_t count = columns.numbers.size() + indicators.size();
  for (std::size_t t = 0; t < vocabularies.size(); ++t) count += is_placed(t) ? 1 : vocabularies[t].size();
  return static_cast<std::int64_t>(count);
}

Preparation Preparation::learn(const Dataset& rows, TableColumns columns, MissingRule missing,
                               bool refuse_unknown, std::vector<bool> placed) {
  if (rows.columns != columns.count())
    fail(ErrorCode::invalid_input, "the data has {} columns, {} are described", rows.columns,
         columns.count());
  Preparation result{.missing = missing, .refuse_unknown = refuse_unknown, .placed = std::move(placed)};
  const std::size_t numbers = columns.numbers.size();
  for (std::size_t c = 0; c < numbers && missing != MissingRule::error; ++c) {
    const Filling filling = learn_filling(rows, c, columns.numbers[c], missing);
    result.fill.push_back(filling.value);
    if (filling.had_missing && missing == MissingRule::indicator)
      result.indicators.push_back(static_cast<std::int64_t>(c));
  }
  for (std::size_t t = 0; t < columns.texts.size(); ++t)
    result.vocabularies.push_back(learn_vocabulary(rows, numbers + t, columns.texts[t], missing));
  result.columns = std::move(columns);
  return result;
}

Dataset Preparation::apply(const Dataset& rows) const {
  Dataset result{.columns = outputs(), .labels = rows.labels, .targets = rows.targets};
  const auto count = static_cast<std::size_t>(rows.rows());
  const auto width = static_cast<std::size_t>(result.columns);
  result.features.resize(count * width);
  std::vector<std::vector<std::size_t>> places;
  for (std::size_t t = 0; t < vocabularies.size(); ++t)
    places.push_back(places_of(columns.texts[t], vocabularies[t]));
  for (std::size_t r = 0; r < count; ++r) {
    const float* x = rows.features.data() + r * static_cast<std::size_t>(rows.columns);
    float* y = result.features.data() + r * width;
    for (std::size_t c = 0; c < columns.numbers.size(); ++c)
      *y++ = !fill.empty() && std::isnan(x[c]) ? fill[c] : x[c];
    for (const std::int64_t c : indicators) *y++ = std::isnan(x[c]) ? 1.0F : 0.0F;
    for (std::size_t t = 0; t < places.size(); ++t) {
      const float cell = x[columns.numbers.size() + t];
      const std::size_t place =
          std::isnan(cell) ? places[t].back() : places[t][static_cast<std::size_t>(cell)];
      if (place == kUnknown && refuse_unknown)
        fail(ErrorCode::invalid_input, "row {}: '{}' in column '{}' is none of the {} values learnt", r + 1,
             std::isnan(cell) ? "" : columns.texts[t].values[static_cast<std::size_t>(cell)],
             columns.texts[t].name, vocabularies[t].size());
      if (is_placed(t)) {
        *y++ = static_cast<float>(std::min(place, vocabularies[t].size()));
        continue;
      }
      if (place != kUnknown) y[place] = 1.0F;
      y += vocabularies[t].size();
    }
  }
  return result;
}

}  // namespace bnrun::train
