#include "train/layers/embedding.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"

namespace bnrun::train {

std::vector<std::int64_t> other_columns(const Embedding& spec, std::int64_t features) {
  std::vector<std::int64_t> others;
  for (std::int64_t c = 0; c < features; ++c) {
    if (std::ranges::find(spec.columns, c, &Embedding::Column::column) == spec.columns.end())
      others.push_back(c);
  }
  return others;
}

std::int64_t width_behind(const Embedding& spec, std::int64_t features) {
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  std::int64_t width = features;
  std::int64_t before = -1;
  for (const auto& [column, values, numbers] : spec.columns) {
    if (column <= before || column >= features)
      fail(ErrorCode::invalid_input, "an embedding of column {} behind {}, of {}", column, before, features);
    if (values < 1 || numbers < 1 || values > kMost || numbers > kMost / values)
      fail(ErrorCode::invalid_input, "an embedding of {} values as {} numbers", values, numbers);
    before = column;
    width += numbers - 1;
  }
  if (spec.columns.empty()) fail(ErrorCode::invalid_input, "an embedding of no columns");
  return width;
}

template <class T>
EmbeddingLayer<T>::EmbeddingLayer(const Embedding& spec, std::int64_t features)
    : Layer<T>(features, width_behind(spec, features)),
      columns_(spec.columns),
      others_(other_columns(spec, features)) {
  for (const auto& column : columns_) tables_ += column.values * column.width;
}

template <class T>
void EmbeddingLayer<T>::bind(T* weights, T* gradients) {
  W_ = weights;
  dW_ = gradients;
}

template <class T>
void EmbeddingLayer<T>::initialize(Random& random) {
  constexpr double kSmall = 0.05;  // Keras's
  for (std::int64_t i = 0; i < tables_; ++i) W_[i] = static_cast<T>(random.uniform(-kSmall, kSmall));
}

/// visit(row of x, first element in the tables or -1, first in the row behind, count) for each embedding.
template <class T>
template <class F>
void EmbeddingLayer<T>::each_embedding(std::int64_t rows, const T* x, F visit) const {
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int64_t table = 0;
    std::int64_t to = std::ssize(others_);
    for (const auto& [column, values, width] : columns_) {
      const T place = x[r * this->inputs() + column];
      const bool known = place >= T(0) && place < static_cast<T>(values);
      visit(r, known ? table + static_cast<std::int64_t>(place) * width : -1, to, width);
      table += values * width;
      to += width;
    }
  }
}

template <class T>
void EmbeddingLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  for (std::int64_t r = 0; r < rows; ++r) {
    std::transform(others_.begin(), others_.end(), y + r * this->outputs(),
                   [&](std::int64_t column) { return x[r * this->inputs() + column]; });
  }
  each_embedding(rows, x, [&](std::int64_t r, std::int64_t from, std::int64_t to, std::int64_t width) {
    T* const out = y + r * this->outputs() + to;
    if (from < 0)
      std::fill_n(out, width, T(0));
    else
      std::copy_n(W_ + from, width, out);
  });
}

/// It is the first layer: nobody asks for dx.
template <class T>
void EmbeddingLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* /*dx*/) {
  std::fill_n(dW_, tables_, T(0));
  each_embedding(rows, x, [&](std::int64_t r, std::int64_t from, std::int64_t to, std::int64_t width) {
    for (std::int64_t i = 0; from >= 0 && i < width; ++i) dW_[from + i] += dy[r * this->outputs() + to + i];
  });
}

template <class T>
std::vector<std::pair<std::string, Tensor>> EmbeddingLayer<T>::weights() const {
  std::vector<std::pair<std::string, Tensor>> list;
  const T* table = W_;
  for (const auto& [column, values, width] : columns_) {
    std::vector<T> rows(count_of((values + 1) * width));
    std::copy_n(table, values * width, rows.begin());
    list.emplace_back(fmt::format("W_{}", list.size() + 1), Tensor(Shape{values + 1, width}, rows));
    table += values * width;
  }
  return list;
}

template class EmbeddingLayer<float>;
template class EmbeddingLayer<double>;

}  // namespace bnrun::train
