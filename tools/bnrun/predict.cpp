// bnrun predict: labels and probabilities, or numbers, for the rows of a table.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands.h"
#include "feed.h"
#include "io/file.h"
#include "io/output.h"
#include "predictions.h"

namespace bnrun {
namespace {

enum class Layout { csv, json };

struct Options {
  cli::FeedOptions feed;
  std::string output = "-";
  std::optional<Layout> layout;
  std::vector<std::string> labels;
  std::string id;
  bool append = false;
  bool proba = false;
};

constexpr const char* kExample =
    "  bnrun predict model.onnx -i rows.csv\n"
    "  bnrun predict model.onnx -i rows.csv --proba --append -o predicted.csv\n"
    "  head -3 rows.csv | bnrun predict model.onnx -f json";

Layout layout_of(const Options& options) {
  if (options.layout) return *options.layout;
  const auto format = io::format_of(options.output);
  if (format == io::Format::json) return Layout::json;
  if (format == io::Format::csv || !io::keeps_what_is_written(options.output)) return Layout::csv;
  throw cli::UsageError(options.output + ": predictions are written as .csv or .json, or as -f says");
}

/// A cell of what is written.
struct Cell {
  std::string text;
  bool number = false;
};
using Row = std::vector<Cell>;

/// The shortest text that reads back as the same number of its type.
Cell cell_of(double number, DType dtype) {
  return {dtype == DType::float64 ? io::number_cell(number) : io::number_cell(static_cast<float>(number)),
          true};
}

/// Rows of named cells, as CSV or as an array of JSON objects.
class RowWriter {
 public:
  RowWriter(std::ostream& out, Layout layout, std::vector<std::string> names)
      : out_(out), layout_(layout), names_(std::move(names)) {
    if (layout_ == Layout::json) {
      out_ << '[';
      return;
    }
    for (std::size_t i = 0; i < names_.size(); ++i) out_ << (i > 0 ? "," : "") << io::quoted_cell(names_[i]);
    out_ << '\n';
  }

  void add(const Row& row) {
    if (layout_ == Layout::csv) {
      for (std::size_t i = 0; i < row.size(); ++i) out_ << (i > 0 ? "," : "") << io::quoted_cell(row[i].text);
      out_ << '\n';
      return;
    }
    out_ << (first_ ? "\n{" : ",\n{");
    first_ = false;
    for (std::size_t i = 0; i < row.size(); ++i)
      out_ << (i > 0 ? "," : "") << json_of(names_[i]) << ':' << json_of(row[i]);
    out_ << '}';
  }

  void end() {
    if (layout_ == Layout::json) out_ << "\n]\n";
  }

 private:
  static std::string json_of(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  /// NaN and infinities, which JSON lacks, are null.
  static std::string json_of(const Cell& cell) {
    if (!cell.number) return json_of(cell.text);
    return nlohmann::json::accept(cell.text) ? cell.text : "null";
  }

  std::ostream& out_;
  Layout layout_;
  std::vector<std::string> names_;
  bool first_ = true;
};

/// What stands in front of the predictions: columns of the table.
class Carried {
 public:
  Carried(const Options& options, std::shared_ptr<const io::Table> table) : table_(std::move(table)) {
    if (!table_) return;
    if (!options.id.empty()) columns_.push_back(table_->find(options.id));
    for (const std::size_t column : io::all_columns(*table_)) {
      const bool is_id = !columns_.empty() && !options.id.empty() && column == columns_[0];
      if (options.append && !is_id) columns_.push_back(column);
    }
  }

  /// Throws unsupported unless there are so many rows of predictions as of the table, or no columns.
  void check_rows(std::size_t predictions, bool so_far) const {
    if (columns_.empty()) return;
    const bool fits = so_far ? predictions <= table_->rows() : predictions == table_->rows();
    if (!fits)
      throw Error(
          ErrorCode::unsupported,
          fmt::format("the model has {} predictions for the {} rows of the table, so that --id and --append "
                      "cannot tell whose they are",
                      so_far ? "more" : std::to_string(predictions), table_->rows()));
  }
  void name(std::vector<std::string>& names) const {
    for (const std::size_t column : columns_) names.push_back(table_->name(column));
  }
  /// REQUIRES: row < rows(), if there are columns.
  void add(std::size_t row, Row& cells) const {
    if (columns_.empty()) return;
    const auto all = table_->cells(row);
    for (const std::size_t column : columns_)
      cells.push_back({all[column], table_->numeric(column) && nlohmann::json::accept(all[column])});
  }

 private:
  std::shared_ptr<const io::Table> table_;
  std::vector<std::size_t> columns_;
};

/// A name that stands not among the others yet.
std::string own_name(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) == names.end() ? name
                                                                    : own_name(names, "predicted_" + name);
}

/// Labels, with the probability or score of each and with --proba those of all classes.
class LabelColumns {
 public:
  LabelColumns(const cli::LabelReader& reader, bool proba) : reader_(reader), proba_(proba) {}

  void name(std::span<const NamedTensor> first, std::vector<std::string>& names) const {
    const auto predictions = reader_.read(first);
    const std::string score = are_probabilities(predictions) ? "probability" : "score";
    names.push_back(own_name(names, "label"));
    if (!predictions.best.empty()) names.push_back(own_name(names, score));
    if (!proba_ || !predictions.scores.defined()) return;
    const auto columns =
        static_cast<std::size_t>(predictions.scores.shape().rank() == 2 ? predictions.scores.shape()[1] : 1);
    for (std::size_t i = 0; i < columns; ++i)
      names.push_back(own_name(
          names, score + "_" + (reader_.classes().empty() ? std::to_string(i) : reader_.classes()[i])));
  }

  void add(std::span<const NamedTensor> outputs, std::vector<Row>& rows) const {
    const auto predictions = reader_.read(outputs);
    const DType dtype = predictions.scores.dtype();
    const Tensor scores =
        proba_ && predictions.scores.defined() ? convert(predictions.scores, DType::float64) : Tensor();
    const std::size_t columns =
        scores.defined() ? scores.span<double>().size() / std::max<std::size_t>(rows.size(), 1) : 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].push_back({predictions.labels[i]});
      if (!predictions.best.empty()) rows[i].push_back(cell_of(predictions.best[i], dtype));
      for (std::size_t c = 0; c < columns; ++c)
        rows[i].push_back(cell_of(scores.span<double>()[i * columns + c], dtype));
    }
  }

 private:
  const cli::LabelReader& reader_;
  bool proba_;
};

/// The outputs as they are, for a model that tells of no classes; called as its targets are, where it tells of those.
class NumberColumns {
 public:
  explicit NumberColumns(std::vector<std::string> targets) : targets_(std::move(targets)) {}

  void name(std::span<const NamedTensor> first, std::vector<std::string>& names) const {
    for (const auto& [output, tensor] : first) {
      const std::int64_t width = io::width_of(tensor);
      if (first.size() == 1 && std::cmp_equal(width, targets_.size())) {
        for (const auto& target : targets_) names.push_back(own_name(names, target));
        return;
      }
      for (std::int64_t i = 0; i < width; ++i)
        names.push_back(own_name(names, width == 1 ? output : fmt::format("{}_{}", output, i)));
    }
  }
  static void add(std::span<const NamedTensor> outputs, std::vector<Row>& rows) {
    for (const auto& [output, tensor] : outputs) {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        for (std::string& text : io::cells_of(tensor, static_cast<std::int64_t>(i)))
          rows[i].push_back({std::move(text), tensor.dtype() != DType::string});
      }
    }
  }

 private:
  std::vector<std::string> targets_;
};

std::int64_t rows_in(std::span<const NamedTensor> outputs) {
  const Shape& shape = outputs[0].tensor.shape();
  for (const auto& [name, tensor] : outputs) {
    if (tensor.shape().rank() == 0 || tensor.shape()[0] != shape[0])
      throw Error(ErrorCode::unsupported,
                  "the outputs have not one row for each row; `bnrun MODEL -f json` prints them");
  }
  return shape[0];
}

template <class Columns>
void write(std::ostream& out, const Options& options, const Carried& carried, const Columns& columns,
           cli::BlockRun& run, std::optional<std::vector<NamedTensor>> outputs) {
  std::vector<std::string> names;
  carried.name(names);
  columns.name(*outputs, names);
  RowWriter writer(out, layout_of(options), std::move(names));
  std::size_t done = 0;
  for (; outputs; outputs = run.next()) {
    std::vector<Row> rows(static_cast<std::size_t>(rows_in(*outputs)));
    carried.check_rows(done + rows.size(), true);
    for (Row& row : rows) carried.add(done++, row);
    columns.add(*outputs, rows);
    for (const Row& row : rows) writer.add(row);
    out.flush();
  }
  carried.check_rows(done, false);
  writer.end();
}

/// Throws UsageError where two classes would have one name.
void check_labels(std::vector<std::string> labels) {
  std::ranges::sort(labels);
  const auto twice = std::ranges::adjacent_find(labels);
  if (twice != labels.end())
    throw cli::UsageError(fmt::format("--labels: '{}' is there twice: give each class its own name", *twice));
}

/// Throws UsageError unless there are scores of classes to show.
void check_proba(const cli::Fed& fed, const cli::LabelReader& reader) {
  if (reader.reads_scores()) return;
  if (!fed.targets.empty())
    throw cli::UsageError(fmt::format(
        "--proba: the model predicts {}, each by itself; without --proba all its numbers are written",
        fmt::join(fed.targets, ", ")));
  const auto& outputs = fed.session.outputs();
  if (std::ranges::none_of(outputs, [](const PortInfo& port) { return is_floating(port.dtype); }))
    throw cli::UsageError("--proba: the model puts out labels and no scores: leave --proba out");
  throw cli::UsageError("--proba: the model names no classes; --labels A,B,... does");
}

int predict(const cli::Console& console, Options options) {
  layout_of(options);
  check_labels(options.labels);
  const bool carries = !options.id.empty() || options.append;
  if (carries && (options.feed.inputs.size() > 1 || !options.feed.random.empty()))
    throw cli::UsageError("--id and --append take columns of one table: give one -i");
  cli::check_feed(options.feed, options.output);
  std::shared_ptr<const io::Table> table;
  if (carries) {
    if (!options.id.empty()) options.feed.tables.apart.push_back(options.id);
    options.feed.tables.on_table = [&](auto read) { table = std::move(read); };
  }
  const auto fed = cli::feed(console, "predict", options.feed, true);
  if (!fed) return cli::kInvalidInput;
  if (carries && !table)
    throw cli::UsageError("--id and --append are for tables, and what was read is an array");
  const bool given = !options.labels.empty();
  const auto& classes = given ? options.labels : fed->session.class_names();
  const cli::LabelReader reader(fed->session.outputs(), classes, given);
  if (given && !fed->targets.empty())
    throw cli::UsageError(fmt::format("--labels: the model predicts {}, each by itself, and no classes",
                                      fmt::join(fed->targets, ", ")));
  if (!classes.empty() && !reader.reads_labels()) {
    const auto what = fmt::format("no output has scores of {} classes", classes.size());
    if (given) throw cli::UsageError("--labels: " + what);
    console.note(what + ": the outputs are shown as they are");
  }
  if (options.proba) check_proba(*fed, reader);
  cli::BlockRun run(*fed, options.feed.model, true);
  auto outputs = run.next();  // before the file is begun: an interrupt may still end it
  if (fed->targets.empty() && reader.lacks_names(*outputs))
    console.note("the model names no classes; --labels A,B,... does, in the order of these probabilities");
  const Carried carried(options, table);
  cli::write_text(options.output, [&](std::ostream& out) {
    cli::in_file(io::display_name(options.feed.model), [&] {
      if (reader.reads_labels())
        write(out, options, carried, LabelColumns(reader, options.proba), run, std::move(outputs));
      else
        write(out, options, carried, NumberColumns(fed->targets), run, std::move(outputs));
    });
  });
  return cli::kDone;
}

}  // namespace

void add_predict(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("predict", "Label the rows of a table, or predict a number for each", kExample,
                              [&program, options] { return predict(program.console(), *options); });
  cli::add_feed_options(command, options->feed);
  command.add_option("-o,--output", options->output, "Where the predictions go; - is standard output")
      ->type_name("FILE")
      ->capture_default_str();
  cli::add_choice<std::optional<Layout>>(command, "-f,--format", options->layout,
                                         {{"csv", Layout::csv}, {"json", Layout::json}},
                                         "How they are written; default: by FILE's ending, else csv");
  command.add_flag("--proba", options->proba, "The probabilities of all classes too");
  command.add_option("--id", options->id, "A column of the table that goes in front, and is no input")
      ->type_name("COLUMN");
  command.add_flag("--append", options->append, "All columns of the table in front");
  command
      .add_option("--labels", options->labels,
                  "What the classes are called, for a model that does not say, in the order of its scores")
      ->type_name("NAME,...")
      ->delimiter(',');
}

}  // namespace bnrun
