// Writing what a model computed.
#pragma once

#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "bnrun/session.h"

namespace bnrun::io {

enum class Format { csv, npy, npz, json };

/// By the name's ending: .csv, .npy, .npz, .json.
std::optional<Format> format_of(const std::string& path);

/// Columns that a tensor takes in a table: the elements of a row, or one of a scalar.
std::int64_t width_of(const Tensor& tensor);
/// The elements of one row as text, as CSV shows them but unquoted.
std::vector<std::string> cells_of(const Tensor& tensor, std::int64_t row);

/// A CSV file (see write_outputs) whose rows come in blocks. `out` outlives it.
class CsvWriter {
 public:
  explicit CsvWriter(std::ostream& out) : out_(out) {}
  /// The rows of these outputs, in front of the first ones the header. Throws as write_outputs does.
  void add(std::span<const NamedTensor> outputs);

 private:
  std::ostream& out_;
  bool headed_ = false;
};

/// csv: a header and one line per row (axis 0), outputs side by side; a column has its output's name, with
///      "_0", "_1", ... when the output has several. Numbers are the shortest that read back as they were.
/// npy: the one output.
/// npz: every output under its name.
/// json: one object, output name to nested arrays; NaN and infinities, which JSON lacks, are null.
/// Throws invalid_input when the outputs do not go into the format.
void write_outputs(std::ostream& out, std::span<const NamedTensor> outputs, Format format);

}  // namespace bnrun::io
