#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/fail.h"
#include "bnrun/train.h"
#include "train/random.h"

namespace bnrun::train {
namespace {

/// factor = 1 / spread, or 1 where the column is constant, which leaves 0 after the offset.
float factor_for(double spread) {
  const auto factor = static_cast<float>(1.0 / spread);
  return spread > 0.0 && std::isfinite(factor) ? factor : 1.0F;
}

/// How many of `count` rows each class gives: its share, rounded down, and one more for those whose share
/// lost most by it; never its last row, unless there is no other way.
std::map<std::int64_t, std::size_t> class_quotas(std::span<const std::int64_t> labels, std::size_t count) {
  std::map<std::int64_t, std::size_t> sizes;
  for (const std::int64_t label : labels) ++sizes[label];
  std::map<std::int64_t, std::size_t> quotas;
  std::vector<std::pair<std::size_t, std::int64_t>> lost;  // what rounding took, in parts of a row
  std::size_t given = 0;
  for (const auto& [label, size] : sizes) {
    quotas[label] = std::min(count * size / labels.size(), size - 1);
    given += quotas[label];
    lost.emplace_back(count * size - quotas[label] * labels.size(), label);
  }
  std::stable_sort(lost.begin(), lost.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const std::size_t kept : {1U, 0U}) {
    for (bool gave = true; gave && given < count;) {
      gave = false;
      for (const auto& [part, label] : lost) {
        if (given == count || quotas[label] + kept >= sizes[label]) continue;
        ++quotas[label];
        ++given;
        gave = true;
      }
    }
  }
  return quotas;
}

}  // namespace

Dataset take_rows(const Dataset& data, std::span<const std::size_t> rows) {
  const auto total = static_cast<std::size_t>(data.rows());
  const auto take = [&](const auto& from, auto& to) {
    if (from.empty()) return;
    const std::size_t width = from.size() / total;
    to.reserve(rows.size() * width);
    for (const std::size_t row : rows) {
      const auto first = from.begin() + static_cast<std::ptrdiff_t>(row * width);
      to.insert(to.end(), first, first + static_cast<std::ptrdiff_t>(width));
    }
  };
  for (const std::size_t row : rows) {
    if (row >= total) fail(ErrorCode::invalid_input, "row {} of {} asked for", row + 1, total);
  }
  Dataset part{.columns = data.columns};
  take(data.features, part.features);
  take(data.labels, part.labels);
  take(data.targets, part.targets);
  return part;
}

std::vector<std::size_t> shuffled_rows(std::size_t rows, std::uint64_t seed) {
  std::vector<std::size_t> order(rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random(seed).shuffle(std::span(order));
  return order;
}

RowSplit split_rows(const Dataset& data, std::size_t count, std::uint64_t seed) {
  const auto rows = static_cast<std::size_t>(data.rows());
  if (count > rows) fail(ErrorCode::invalid_input, "{} of {} rows asked for", count, rows);
  const auto quotas = data.labels.empty() ? std::map<std::int64_t, std::size_t>{{0, count}}
                                          : class_quotas(data.labels, count);
  std::map<std::int64_t, std::size_t> taken;
  RowSplit split;
  for (const std::size_t row : shuffled_rows(rows, seed)) {
    const std::int64_t label = data.labels.empty() ? 0 : data.labels[row];
    const bool drawn = taken[label] < quotas.at(label);
    if (drawn) ++taken[label];
    (drawn ? split.drawn : split.rest).push_back(row);
  }
  return split;
}

std::vector<RowSplit> fold_rows(const Dataset& data, std::size_t folds, std::uint64_t seed) {
  const auto rows = static_cast<std::size_t>(data.rows());
  if (folds < 2 || folds > rows)
    fail(ErrorCode::invalid_input, "{} folds of {} rows: expected 2 or more, and a row for each", folds,
         rows);
  // Dealt like cards, class after class, so that neither classes nor sizes differ by more than one row.
  std::vector<std::size_t> order = shuffled_rows(rows, seed);
  if (!data.labels.empty())
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return data.labels[a] < data.labels[b]; });
  std::vector<std::size_t> fold_of(rows);
  for (std::size_t i = 0; i < rows; ++i) fold_of[order[i]] = i % folds;
  std::vector<RowSplit> splits(folds);
  for (const std::size_t row : shuffled_rows(rows, seed)) {
    for (std::size_t f = 0; f < folds; ++f)
      (fold_of[row] == f ? splits[f].drawn : splits[f].rest).push_back(row);
  }
  return splits;
}

void Scaling::apply(std::span<float> rows) const {
  if (identity()) return;
  const std::size_t columns = factor.size();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = (rows[i] - offset[i % columns]) * factor[i % columns];
  }
}

Scaling Scaling::inverted() const {
  Scaling inverse = *this;
  for (std::size_t c = 0; c < factor.size(); ++c) {
    inverse.offset[c] = -offset[c] * factor[c];
    inverse.factor[c] = 1.0F / factor[c];
  }
  return inverse;
}

Scaling Scaling::standardize(std::span<const float> rows, std::int64_t columns) {
  Scaling scaling;
  const auto width = static_cast<std::size_t>(columns);
  const auto count = static_cast<double>(rows.size() / width);
  for (std::size_t c = 0; c < width; ++c) {
    double sum = 0.0;
    for (std::size_t i = c; i < rows.size(); i += width) sum += static_cast<double>(rows[i]);
    const double mean = sum / count;
    double squares = 0.0;
    for (std::size_t i = c; i < rows.size(); i += width)
      squares += std::pow(static_cast<double>(rows[i]) - mean, 2);
    scaling.offset.push_back(static_cast<float>(mean));
    scaling.factor.push_back(factor_for(std::sqrt(squares / count)));
  }
  return scaling;
}

Scaling Scaling::min_max(std::span<const float> rows, std::int64_t columns) {
  const auto width = static_cast<std::size_t>(columns);
  Scaling scaling;
  for (std::size_t c = 0; c < width; ++c) {
    float low = rows[c];
    float high = rows[c];
    for (std::size_t i = c; i < rows.size(); i += width) {
      low = std::min(low, rows[i]);
      high = std::max(high, rows[i]);
    }
    scaling.offset.push_back(low);
    scaling.factor.push_back(factor_for(static_cast<double>(high) - static_cast<double>(low)));
  }
  return scaling;
}

Scaling Scaling::by(double factor, std::int64_t columns) {
  const auto width = static_cast<std::size_t>(columns);
  return {std::vector<float>(width, 0.0F), std::vector<float>(width, static_cast<float>(factor))};
}

}  // namespace bnrun::train
