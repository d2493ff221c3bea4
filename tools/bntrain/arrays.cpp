#include "arrays.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "bnrun/error.h"
#include "io/data.h"

namespace bnrun {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::invalid_input, what);
}

/// Throws naming the first row, as the file counts them from 1, that holds what is no finite number.
void check_finite(std::span<const float> values, std::size_t width, const std::string& source) {
  const auto bad = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  if (bad == values.end()) return;
  const auto at = static_cast<std::size_t>(bad - values.begin());
  refuse(fmt::format("{}: row {}, number {}: {} is not finite: mend it, or leave the row and its label out",
                     source, at / width + 1, at % width + 1, io::number_cell(*bad)));
}

/// The only array of a file.
Tensor only_array(const io::Data& data) {
  if (data.table) refuse(data.source + ": is a table; arrays are IDX or npy files (of tables: --target)");
  if (data.arrays.size() != 1)
    refuse(fmt::format("{}: holds {} arrays, expected one", data.source, data.arrays.size()));
  const Tensor& array = data.arrays[0].tensor;
  if (array.shape().rank() == 0 || array.shape()[0] == 0) refuse(data.source + ": has no rows");
  return array;
}

Tensor as_numbers(const Tensor& array, const std::string& source, DType dtype) {
  if (array.dtype() == DType::string) refuse(source + ": holds words, expected numbers");
  return io::to_tensor(array, true, source, {.name = "x", .dtype = dtype});
}

}  // namespace

Tensor read_array(const std::string& path) {
  const io::Data data = io::read_data(path);
  return as_numbers(only_array(data), data.source, DType::float32);
}

io::Table read_labels(const std::string& path) {
  io::TableOptions reading;
  reading.expected = {"label"};
  io::Data data = io::read_data(path, reading);
  if (data.table) {
    if (data.table->columns() != 1)
      refuse(fmt::format("{}: has {} columns, expected one of labels", data.source, data.table->columns()));
    return std::move(*data.table);
  }
  const Tensor array = only_array(data);
  if (array.shape().elements() != array.shape()[0])
    refuse(fmt::format("{}: is {}, expected one label a row", data.source, to_string(array.shape())));
  std::string text = "label\n";
  if (array.dtype() == DType::string) {
    for (const std::string& label : array.span<std::string>()) text += io::quoted_cell(label) + "\n";
  } else {
    const Tensor numbers = as_numbers(array, data.source, DType::float64);
    for (const double label : numbers.span<double>()) text += fmt::format("{}\n", label);
  }
  reading.header = io::HeaderRule::yes;
  return io::parse_csv(std::move(text), data.source, reading);
}

LabelledTable label_array(const std::string& path, const io::Table& labels, const Choice& choice) {
  const Tensor array = read_array(path);
  const auto rows = static_cast<std::size_t>(array.shape()[0]);
  if (labels.rows() != rows)
    refuse(fmt::format("{}: {} labels for the {} rows of {}", labels.source(), labels.rows(), rows, path));
  Choice of_labels = choice;
  of_labels.targets = {labels.name(0)};
  LabelledTable result = label_rows(labels, of_labels);
  for (std::size_t axis = 1; axis < array.shape().rank(); ++axis) result.row.push_back(array.shape()[axis]);
  if (result.row.empty()) result.row.push_back(1);
  result.data.columns = array.shape().elements() / array.shape()[0];
  const auto width = static_cast<std::size_t>(result.data.columns);
  const auto values = array.span<float>();
  check_finite(values, width, path);
  result.data.features.reserve(result.rows.size() * width);
  for (const std::size_t row : result.rows) {
    const auto part = values.subspan(row * width, width);
    result.data.features.insert(result.data.features.end(), part.begin(), part.end());
  }
  return result;
}

}  // namespace bnrun
