#include <algorithm>
#include <cmath>
#include <numeric>

#include "bnrun/train.h"
#include "base/fail.h"
#include "train/random.h"

namespace bnrun::train {
namespace {

/// factor = 1 / spread, or 1 where the column is constant, which leaves 0 after the offset.
float factor_for(double spread) {
  const auto factor = static_cast<float>(1.0 / spread);
  return spread > 0.0 && std::isfinite(factor) ? factor : 1.0F;
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
