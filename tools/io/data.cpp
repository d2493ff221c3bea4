#include "io/data.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include "bnrun/conformance.h"
#include "bnrun/dispatch.h"
#include "io/fail.h"
#include "io/file.h"
#include "io/foreign.h"
#include "io/idx.h"
#include "io/names.h"
#include "io/npy.h"
#include "io/zip.h"

namespace bnrun::io {
namespace {

/// A number as an element of T; false when T cannot hold it.
template <class T>
bool store(double number, T& element) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    element = T(static_cast<float>(number));
  } else if constexpr (std::is_floating_point_v<T>) {
    element = static_cast<T>(number);
  } else {
    // Doubles count exactly up to 2^53.
    constexpr double kExact = 9007199254740992.0;
    const double low = std::max(static_cast<double>(std::numeric_limits<T>::min()), -kExact);
    const double high = std::min(static_cast<double>(std::numeric_limits<T>::max()), kExact);
    if (!(number >= low && number <= high) || number != std::trunc(number)) return false;
    element = static_cast<T>(number);
  }
  return true;
}

void copy_text(const Table& table, std::span<const std::size_t> columns, bool takes_missing, Tensor& tensor) {
  std::string* out = tensor.mutable_data<std::string>();
  auto texts = table.text(columns);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    for (std::size_t row = 0; row < table.rows(); ++row) {
      std::string& cell = texts[i][row];
      if (takes_missing && table.is_missing(cell)) cell.clear();
      out[row * columns.size() + i] = std::move(cell);
    }
  }
}

void refuse_missing(const Table& table, std::size_t column) {
  const auto row = table.first_missing(column);
  if (!row) return;
  fail(ErrorCode::invalid_input,
       "{}: line {}, column {} ({}): '{}' is a missing value, and the model has no rule for it (bntrain fit "
       "--missing makes one); nan hands it a NaN",
       table.source(), table.line(*row), column + 1, table.name(column), table.cells(*row)[column]);
}

void copy_numbers(const Table& table, std::span<const std::size_t> columns, const PortInfo& port,
                  bool takes_missing, Tensor& tensor) {
  dispatch(PlainTypes{}, port.dtype, [&]<class T>() {
    T* out = tensor.mutable_data<T>();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto numbers = table.numbers(columns[i]);
      if (!takes_missing) refuse_missing(table, columns[i]);
      for (std::size_t row = 0; row < numbers.size(); ++row) {
        if (!store(numbers[row], out[row * columns.size() + i]))
          fail(ErrorCode::invalid_input, "{}: line {}, column {} ({}): {} does not fit {}", table.source(),
               table.line(row), columns[i] + 1, table.name(columns[i]), numbers[row], describe(port));
      }
    }
  });
}

/// Whether a row of it is one element.
bool is_column(const PortInfo& port) {
  if (!port.dims || port.dims->empty()) return false;
  return std::all_of(port.dims->begin() + 1, port.dims->end(),
                     [](const DimInfo& dim) { return dim.extent == 1; });
}

using Columns = std::map<std::string, std::vector<std::string>>;

/// What the rules say, or each input by its own name where there are several that are one column wide.
Columns shared_out(std::span<const PortInfo> ports, const TableRules& rules) {
  if (!rules.columns.empty()) return rules.columns;
  Columns columns;
  for (const PortInfo& port : ports) {
    if (port.optional) continue;
    if (!is_column(port)) return {};
    columns[port.name] = {port.name};
  }
  return columns.size() > 1 ? columns : Columns();
}

/// Of one input, or with "" of all.
std::vector<std::string> names_in(const Columns& columns, const std::string& input) {
  std::vector<std::string> names;
  for (const auto& [port, list] : columns) {
    if (input.empty() || input == port) names.insert(names.end(), list.begin(), list.end());
  }
  return names;
}

std::vector<std::size_t> columns_but(const Table& table, std::span<const std::size_t> excluded) {
  auto columns = all_columns(table);
  std::erase_if(columns, [&](std::size_t c) {
    return std::find(excluded.begin(), excluded.end(), c) != excluded.end();
  });
  return columns;
}

/// Text of a model that tells of the table it was trained on has a rule for missing values, or none may come.
void refuse_missing_text(const Table& table, std::span<const std::size_t> columns) {
  const auto texts = table.text(columns);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto missing = [&](const std::string& cell) { return table.is_missing(cell); };
    const auto found = std::find_if(texts[i].begin(), texts[i].end(), missing);
    if (found == texts[i].end()) continue;
    const auto row = static_cast<std::size_t>(found - texts[i].begin());
    fail(
        ErrorCode::invalid_input,
        "{}: line {}, column {} ({}): '{}' is a missing value, and the model has no rule for it (bntrain fit "
        "--missing makes one; --na says what is missing)",
        table.source(), table.line(row), columns[i] + 1, table.name(columns[i]), *found);
  }
}

Tensor tensor_by(const TableRules& rules, const Table& table, std::span<const std::size_t> columns,
                 const PortInfo& port) {
  const bool refuses = !rules.takes_missing && !rules.columns.empty();
  if (refuses && port.dtype == DType::string) refuse_missing_text(table, columns);
  return to_tensor(table, columns, port, rules.takes_missing);
}

bool by_name(const Table& table, const TableRules& rules) {
  return table.has_header() && !rules.by_position;
}

void check_not_empty(const std::string& bytes, const std::string& source) {
  if (bytes.empty()) fail(ErrorCode::invalid_input, "{}: is empty", source);
}

/// Files handed to inputs, one by one.
class Feed {
 public:
  Feed(std::span<const PortInfo> ports, const TableRules& rules)
      : ports_(ports), rules_(rules), columns_(shared_out(ports, rules)), fed_(ports.size()) {}

  void add(const InputFile& file) {
    TableOptions options = rules_.reading;
    options.expected = names_in(columns_, file.name);
    options.expected.insert(options.expected.end(), rules_.apart.begin(), rules_.apart.end());
    Data data = read_data(file.path, options);
    if (data.table) {
      const auto table = std::make_shared<const Table>(std::move(*data.table));
      if (rules_.on_table) rules_.on_table(table);
      add_table(*table, file.name);
    } else if (data.arrays.size() == 1 && !(file.name.empty() && knows(data.arrays[0].name))) {
      const std::size_t i = file.name.empty() ? next(data.source) : find(file.name, data.source);
      const std::string& name = data.arrays[0].name;
      if (rules_.on_reading && !name.empty() && name != ports_[i].name)
        rules_.on_reading(
            fmt::format("{}: its one array '{}' feeds input '{}'", data.source, name, ports_[i].name));
      set(i, to_tensor(data.arrays[0].tensor, data.untyped, data.source, ports_[i], rules_), data.source);
    } else {
      if (!file.name.empty())
        fail(ErrorCode::invalid_input, "{}: holds several arrays; give it without '{}='", data.source,
             file.name);
      for (const auto& [name, tensor] : data.arrays) {
        const std::size_t i = find(name, data.source);
        set(i, to_tensor(tensor, false, data.source, ports_[i], rules_), data.source);
      }
    }
  }

  std::vector<NamedTensor> take() {
    std::vector<NamedTensor> inputs;
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      if (fed_[i].defined()) {
        inputs.push_back({ports_[i].name, std::move(fed_[i])});
      } else if (!ports_[i].optional) {
        fail(ErrorCode::invalid_input, "{} has no data; give it with -i {}=FILE", describe(ports_[i]),
             ports_[i].name);
      }
    }
    return inputs;
  }

 private:
  void add_table(const Table& table, const std::string& name) {
    if (rules_.on_reading) rules_.on_reading(table.source() + ": " + table.reading());
    if (name.empty() && columns_.size() > 1 && table.columns() > 1) {
      for (auto& [port, tensor] : table_inputs(table, ports_, rules_, apart(table)))
        set(find(port, table.source()), std::move(tensor), table.source());
      return;
    }
    const std::size_t i = name.empty() ? next(table.source()) : find(name, table.source());
    // The one column of a file for one input may have any name.
    const bool own = rules_.columns.empty() && table.columns() == 1;
    const auto names = own ? std::vector<std::string>() : names_in(columns_, ports_[i].name);
    const auto columns = by_name(table, rules_) && !names.empty() ? columns_named(table, names)
                                                                  : columns_but(table, apart(table));
    set(i, tensor_by(rules_, table, columns, ports_[i]), table.source());
  }

  std::vector<std::size_t> apart(const Table& table) const {
    std::vector<std::size_t> columns;
    for (const std::string& name : rules_.apart) columns.push_back(table.find(name));
    return columns;
  }

  bool knows(const std::string& name) const {
    return std::any_of(ports_.begin(), ports_.end(), [&](const PortInfo& port) { return port.name == name; });
  }
  std::size_t find(const std::string& name, const std::string& source) const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      if (ports_[i].name == name) return i;
      names.push_back(ports_[i].name);
    }
    fail(ErrorCode::invalid_input, "{}: the model has no input '{}' among: {}", source, name,
         fmt::join(names, ", "));
  }
  std::size_t next(const std::string& source) const {
    for (std::size_t i = 0; i < ports_.size(); ++i)
      if (!fed_[i].defined() && !ports_[i].optional) return i;
    fail(ErrorCode::invalid_input, "{}: there is no input left for it", source);
  }
  void set(std::size_t i, Tensor tensor, const std::string& source) {
    if (fed_[i].defined())
      fail(ErrorCode::invalid_input, "{}: input '{}' is given twice", source, ports_[i].name);
    fed_[i] = std::move(tensor);
  }

  std::span<const PortInfo> ports_;
  const TableRules& rules_;
  Columns columns_;
  std::vector<Tensor> fed_;
};

}  // namespace

Data read_data(const std::string& path, const TableOptions& options) {
  const std::filesystem::path file(path);
  Data data;
  data.source = display_name(path);
  if (file.extension() == ".pb") {
    data.arrays.push_back({"", read_tensor_file(file)});
    return data;
  }
  std::string bytes = read_file(path);
  check_not_empty(bytes, data.source);
  refuse_foreign(bytes, data.source);
  if (is_npy(bytes) || file.extension() == ".npy") {
    data.arrays.push_back({"", parse_npy(bytes, data.source)});
  } else if (is_zip(bytes) || file.extension() == ".npz") {
    data.arrays = parse_npz(bytes, data.source);
  } else if (is_idx(bytes)) {
    data.arrays.push_back({"", parse_idx(bytes, data.source)});
    data.untyped = true;
  } else {
    data.table = parse_csv(std::move(bytes), data.source, options);
    data.untyped = true;
  }
  return data;
}

std::vector<NamedTensor> table_inputs(const Table& table, std::span<const PortInfo> ports,
                                      const TableRules& rules, std::span<const std::size_t> excluded) {
  const Columns columns = shared_out(ports, rules);
  const auto is_fed = [&](const PortInfo& port) {
    return columns.empty() ? !port.optional : columns.contains(port.name);
  };
  const auto fed = std::count_if(ports.begin(), ports.end(), is_fed);
  if (fed > 1 && columns.empty())
    fail(ErrorCode::invalid_input, "{}: the model has {} inputs, and no names tell which columns are whose",
         table.source(), fed);
  const auto left = columns_but(table, excluded);
  std::vector<std::string> order = rules.order;
  for (const PortInfo& port : ports) {
    const auto names = names_in(columns, port.name);
    if (rules.order.empty()) order.insert(order.end(), names.begin(), names.end());
  }
  const bool named = by_name(table, rules) && !order.empty();
  if (named) columns_named(table, order);  // lists all that are missing
  if (!named && fed > 1 && left.size() != order.size())
    fail(ErrorCode::invalid_input,
         "{}: has {} columns; to be taken in order they must be the {} of the model: {}", table.source(),
         left.size(), order.size(), fmt::join(order, ", "));
  const auto columns_of = [&](const std::vector<std::string>& names) {
    if (named) return columns_named(table, names);
    if (fed == 1) return left;
    std::vector<std::size_t> positions;
    for (const std::string& name : names) {
      const auto place = std::find(order.begin(), order.end(), name) - order.begin();
      positions.push_back(left[static_cast<std::size_t>(place)]);
    }
    return positions;
  };
  std::vector<NamedTensor> inputs;
  for (const PortInfo& port : ports) {
    if (!is_fed(port)) continue;
    inputs.push_back({port.name, tensor_by(rules, table, columns_of(names_in(columns, port.name)), port)});
  }
  return inputs;
}

std::vector<std::size_t> all_columns(const Table& table) {
  std::vector<std::size_t> columns(table.columns());
  std::iota(columns.begin(), columns.end(), std::size_t{0});
  return columns;
}

namespace {

/// How to leave out columns that are too many, as a clause behind a message; "" where they are not.
std::string remedy_for(std::span<const std::size_t> columns, const PortInfo& port) {
  if (!port.dims || port.dims->empty()) return "";
  std::size_t wanted = 1;
  for (const DimInfo& dim : std::span(*port.dims).subspan(1))
    wanted *= static_cast<std::size_t>(dim.extent.value_or(0));
  if (wanted == 0 || columns.size() <= wanted) return "";
  const std::size_t many = columns.size() - wanted;
  if (many > 1) return fmt::format("; {} columns are too many: leave them out of the table", many);
  return "; one column is too many: leave it out of the table, or set it apart by bnrun predict --id COLUMN";
}

}  // namespace

Tensor to_tensor(const Table& table, std::span<const std::size_t> columns, const PortInfo& port,
                 bool takes_missing) {
  const auto rows = static_cast<std::int64_t>(table.rows());
  const auto width = static_cast<std::int64_t>(columns.size());
  const auto shape = shape_of_rows(rows, width, port);
  if (!shape)
    fail(ErrorCode::invalid_input, "{}: {} rows of {} columns do not fit {}{}", table.source(), rows, width,
         describe(port), remedy_for(columns, port));
  Tensor tensor(port.dtype, *shape);
  if (port.dtype == DType::string) {
    copy_text(table, columns, takes_missing, tensor);
  } else {
    copy_numbers(table, columns, port, takes_missing, tensor);
  }
  return tensor;
}

InputFile parse_input_file(const std::string& argument) {
  const std::size_t sign = argument.find('=');
  if (sign == std::string::npos || std::filesystem::exists(argument)) return {"", argument};
  return {argument.substr(0, sign), argument.substr(sign + 1)};
}

std::vector<NamedTensor> read_inputs(std::span<const InputFile> files, std::span<const PortInfo> ports,
                                     const TableRules& rules) {
  Feed feed(ports, rules);
  for (const auto& file : files) feed.add(file);
  return feed.take();
}

}  // namespace bnrun::io
