// Data files of any format, and how their contents become the inputs of a model.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bnrun/model.h"
#include "bnrun/session.h"
#include "bnrun/tensor.h"
#include "io/csv.h"

namespace bnrun::io {

/// What one file holds. Exactly one of `arrays` and `table` is filled.
struct Data {
  std::string source;               ///< the file, as messages name it
  std::vector<NamedTensor> arrays;  ///< named in an .npz, else one without a name
  std::optional<Table> table;
  bool untyped = false;  ///< the format's element type means nothing (tables, IDX): numbers are converted
};

/// Reads .npy, .npz, IDX and CSV, recognised by content, plain or gzip, and .pb (one TensorProto), recognised
/// by its name. "-" is standard input. Throws io, invalid_input, resource_limit.
Data read_data(const std::string& path, const TableOptions& options = {});

/// How tables and arrays become the inputs of a model.
struct TableRules {
  TableOptions reading;
  /// Names of the columns that make up an input, in order. Where it is empty and the model has several inputs
  /// of one column each, each is fed by the column of its name.
  std::map<std::string, std::vector<std::string>> columns;
  std::vector<std::string>
      order;                 ///< all of these names as the columns of a table stand; empty: as the inputs
  bool by_position = false;  ///< take columns in order, whatever they are called
  /// The model has a rule for missing values: they are handed to it as NaN, in text as "".
  bool takes_missing = false;
  std::vector<std::string> apart;  ///< columns of these names are part of no input
  bool round = false;  ///< numbers of an array that the input's type cannot hold are rounded, not refused
  /// Hears how a table was read, and what was done to an array so that it fits.
  std::function<void(const std::string&)> on_reading;
  /// Hears of each table that is read.
  std::function<void(std::shared_ptr<const Table>)> on_table;
};

/// The columns of a table as inputs of a model, `excluded` ones left out: by name where the table has a
/// header and the model names, else by position. Throws invalid_input when names are missing (listing them),
/// columns do not fit, or a cell does not.
std::vector<NamedTensor> table_inputs(const Table& table, std::span<const PortInfo> ports,
                                      const TableRules& rules, std::span<const std::size_t> excluded = {});

std::vector<std::size_t> all_columns(const Table& table);

/// `columns` of a table as a tensor for `port`: one row per row, the trailing dimensions being those of the
/// port. Throws invalid_input when they do not fit, or a cell is no number.
Tensor to_tensor(const Table& table, std::span<const std::size_t> columns, const PortInfo& port,
                 bool takes_missing = false);

/// "input 'x' (float32[N,8])"
std::string describe(const PortInfo& port);
/// [rows, trailing dimensions of the port], when those are known and hold `width` elements per row.
std::optional<Shape> shape_of_rows(std::int64_t rows, std::int64_t width, const PortInfo& port);

/// An array as a tensor for `port`. Rows that hold as many elements as those of the port take its shape (images where
/// it wants vectors), and a single one gets its batch dimension. Numbers are converted where the port's type holds
/// them exactly, or all of them for an untyped array and with `rules.round`. Throws invalid_input naming source, input,
/// what was expected and what makes it fit.
Tensor to_tensor(const Tensor& array, bool untyped, const std::string& source, const PortInfo& port,
                 const TableRules& rules = {});

/// A file the user gave, for the input `name` or, when empty, for the next that has none.
struct InputFile {
  std::string name;
  std::string path;
};

/// Splits "NAME=FILE" at its first '=', unless a file of the whole name exists.
InputFile parse_input_file(const std::string& argument);

/// Reads files and matches them to the inputs of a model. An .npz without NAME feeds the inputs its arrays
/// are named after, or a single array of another name the next input; a table without NAME whose columns the rules share out feeds all of these. Throws
/// invalid_input when a name is unknown, given twice, or a required input is left without.
std::vector<NamedTensor> read_inputs(std::span<const InputFile> files, std::span<const PortInfo> ports,
                                     const TableRules& rules = {});

}  // namespace bnrun::io
