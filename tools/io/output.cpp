#include "io/output.h"

#include <cmath>
#include <filesystem>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "bnrun/dispatch.h"
#include "io/csv.h"
#include "io/fail.h"
#include "io/npy.h"

namespace bnrun::io {
namespace {

using Text = fmt::memory_buffer;

template <class... Args>
void print(Text& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

template <class T>
void print_cell(Text& out, const T& value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    print(out, "{}", without_sign_of_nan(static_cast<float>(value)));
  } else if constexpr (std::is_same_v<T, bool>) {
    out.push_back(value ? '1' : '0');
  } else if constexpr (std::is_same_v<T, std::string>) {
    print(out, "{}", quoted_cell(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    print(out, "{}", without_sign_of_nan(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    print(out, "{}", value);
  } else {
    print(out, "{}{:+}j", without_sign_of_nan(value.real()), without_sign_of_nan(value.imag()));
  }
}

template <class T>
void print_json(Text& out, const T& value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    print_json(out, static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, bool>) {
    print(out, "{}", value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    using nlohmann::json;
    print(out, "{}", json(value).dump(-1, ' ', false, json::error_handler_t::replace));
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isfinite(value)) {
      print(out, "{}", value);
    } else {
      print(out, "null");
    }
  } else if constexpr (std::is_integral_v<T>) {
    print(out, "{}", value);
  } else {
    out.push_back('[');
    print_json(out, value.real());
    out.push_back(',');
    print_json(out, value.imag());
    out.push_back(']');
  }
}

/// Prints the elements of one row, separated by commas.
using RowPrinter = std::function<void(Text&, std::int64_t row)>;

RowPrinter row_printer(const Tensor& tensor, std::int64_t width) {
  RowPrinter printer;
  dispatch(AllTypes{}, tensor.dtype(), [&]<class T>() {
    printer = [data = tensor.data<T>(), width](Text& out, std::int64_t row) {
      for (std::int64_t i = 0; i < width; ++i) {
        if (i > 0) out.push_back(',');
        print_cell(out, data[row * width + i]);
      }
    };
  });
  return printer;
}

void flush(std::ostream& out, Text& text, std::size_t at_least = 0) {
  if (text.size() < at_least) return;
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  text.clear();
}

std::int64_t rows_of(const Tensor& tensor) {
  return tensor.shape().rank() == 0 ? 1 : tensor.shape()[0];
}

template <class T>
void print_nested(Text& out, const T*& data, const Shape& shape, std::size_t axis) {
  if (axis == shape.rank()) return print_json(out, *data++);
  out.push_back('[');
  for (std::int64_t i = 0; i < shape[axis]; ++i) {
    if (i > 0) out.push_back(',');
    print_nested(out, data, shape, axis + 1);
  }
  out.push_back(']');
}

void write_json(std::ostream& out, std::span<const NamedTensor> outputs) {
  Text text;
  text.push_back('{');
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (i > 0) text.push_back(',');
    print_json(text, outputs[i].name);
    text.push_back(':');
    const Tensor& tensor = outputs[i].tensor;
    dispatch(AllTypes{}, tensor.dtype(), [&]<class T>() {
      const T* data = tensor.data<T>();
      print_nested(text, data, tensor.shape(), 0);
    });
    flush(out, text);
  }
  text.push_back('}');
  text.push_back('\n');
  flush(out, text);
}

}  // namespace

std::int64_t width_of(const Tensor& tensor) {
  return tensor.shape().rank() == 0 ? 1 : tensor.shape().elements(1, tensor.shape().rank());
}

std::vector<std::string> cells_of(const Tensor& tensor, std::int64_t row) {
  const std::int64_t width = width_of(tensor);
  std::vector<std::string> cells;
  dispatch(AllTypes{}, tensor.dtype(), [&]<class T>() {
    for (const T* value = tensor.data<T>() + row * width; std::ssize(cells) < width; ++value) {
      if constexpr (std::is_same_v<T, std::string>) {
        cells.push_back(*value);
      } else {
        Text text;
        print_cell(text, *value);
        cells.push_back(fmt::to_string(text));
      }
    }
  });
  return cells;
}

void CsvWriter::add(std::span<const NamedTensor> outputs) {
  constexpr std::size_t kBlock = std::size_t{1} << 16;
  const std::int64_t rows = outputs.empty() ? 0 : rows_of(outputs[0].tensor);
  Text text;
  std::vector<RowPrinter> printers;
  for (const auto& [name, tensor] : outputs) {
    if (rows_of(tensor) != rows)
      fail(ErrorCode::invalid_input,
           "the outputs '{}' and '{}' have different numbers of rows ({} and {}), which CSV cannot hold: use "
           "-f npz or -f json",
           outputs[0].name, name, rows, rows_of(tensor));
    const std::int64_t width = width_of(tensor);
    if (width == 0) continue;
    if (!headed_ && !printers.empty()) text.push_back(',');
    for (std::int64_t i = 0; !headed_ && i < width; ++i)
      print(text, "{}{}", i > 0 ? "," : "", quoted_cell(width == 1 ? name : fmt::format("{}_{}", name, i)));
    printers.push_back(row_printer(tensor, width));
  }
  if (!headed_) text.push_back('\n');
  headed_ = true;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < printers.size(); ++i) {
      if (i > 0) text.push_back(',');
      printers[i](text, row);
    }
    text.push_back('\n');
    flush(out_, text, kBlock);
  }
  flush(out_, text);
}

std::optional<Format> format_of(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".csv") return Format::csv;
  if (ending == ".npy") return Format::npy;
  if (ending == ".npz") return Format::npz;
  if (ending == ".json") return Format::json;
  return std::nullopt;
}

void write_outputs(std::ostream& out, std::span<const NamedTensor> outputs, Format format) {
  switch (format) {
    case Format::csv:
      return CsvWriter(out).add(outputs);
    case Format::npy:
      if (outputs.size() != 1)
        fail(ErrorCode::invalid_input, "an .npy file holds one output, the model has {}: use -f npz",
             outputs.size());
      return write_npy(out, outputs[0].tensor);
    case Format::npz:
      return write_npz(out, outputs);
    case Format::json:
      return write_json(out, outputs);
  }
}

}  // namespace bnrun::io
