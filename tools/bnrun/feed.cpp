#include "feed.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <sstream>
#include <utility>

#include "bnrun/inspect.h"
#include "common/fold_report.h"
#include "common/interrupt.h"
#include "common/metadata.h"
#include "common/model_output.h"
#include "common/model_source.h"
#include "common/numbers.h"
#include "common/printable.h"
#include "common/table_options.h"
#include "io/file.h"

namespace bnrun::cli {
namespace {

/// What ends the writing of a file where an interrupt waits for it.
struct Interrupted : std::exception {};

/// A file, a pipe or a socket: not a terminal, /dev/null or nothing at all.
bool is_piped_into() {
  struct stat status {};
  return ::fstat(STDIN_FILENO, &status) == 0 &&
         (S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode));
}

bool is_required(const PortInfo& port) {
  return !port.optional;
}

std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=+,@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

/// "rows of 8 numbers"; empty where a row has no known size.
std::string row_of(const PortInfo& port) {
  if (!port.dims || port.dims->empty()) return "";
  std::int64_t width = 1;
  for (std::size_t axis = 1; axis < port.dims->size(); ++axis) {
    const auto& extent = (*port.dims)[axis].extent;
    if (!extent) return "";
    width *= *extent;
  }
  const char* const what = port.dtype == DType::string ? "text" : "number";
  return fmt::format("rows of {} {}{}", width, what, width == 1 || port.dtype == DType::string ? "" : "s");
}

bool is_table(const PortInfo& port) {
  return port.dims && port.dims->size() <= 2;
}

/// What the model wants, and lines that give it that.
std::string wants_of(const std::string& command, const std::string& model, std::span<const PortInfo> ports,
                     const io::TableRules& rules) {
  constexpr std::size_t kNamed = 12;
  std::string text = "it wants\n";
  std::string files;
  std::string sizes;
  const auto required = std::count_if(ports.begin(), ports.end(), is_required);
  for (const PortInfo& port : ports) {
    if (port.optional) continue;
    text += "  " + io::describe(port);
    if (const std::string row = row_of(port); !row.empty()) text += ": " + row;
    if (const auto names = rules.columns.find(port.name); names != rules.columns.end()) {
      const auto shown = std::span(names->second).first(std::min(names->second.size(), kNamed));
      text += fmt::format(", the column{} {}{}", shown.size() == 1 ? "" : "s", fmt::join(shown, ", "),
                          names->second.size() > kNamed ? ", ..." : "");
    }
    text += '\n';
    if (files.empty() || rules.columns.empty())  // one table feeds all
      files += fmt::format(" -i {}", quoted((required > 1 && rules.columns.empty() ? port.name + "=" : "") +
                                            (is_table(port) ? "rows.csv" : "array.npy")));
    for (std::size_t axis = 1; port.dims && axis < port.dims->size(); ++axis) {
      const DimInfo& dim = (*port.dims)[axis];
      if (dim.extent) continue;
      const bool named = !dim.symbol.empty() && dim.symbol != "?";
      sizes += " --size " + quoted((named ? dim.symbol : fmt::format("{}:{}", port.name, axis)) + "=8");
    }
  }
  const std::string program = command == "run" ? "bnrun" : "bnrun " + command;
  return text + fmt::format("for example\n  {0} {1}{2}\n  {0} {1} --random{3}", program, quoted(model), files,
                            sizes);
}

/// Prints line by line what a terminal shows.
class PrintableBuffer : public std::stringbuf {
 protected:
  int sync() override {
    fmt::print("{}", printable_lines(str()));
    str("");
    return std::fflush(stdout) == 0 ? 0 : -1;
  }
};

std::vector<Tensor> in_order(std::vector<NamedTensor> named, std::span<const PortInfo> ports) {
  std::vector<Tensor> inputs(ports.size());
  for (auto& [name, tensor] : named) {
    const auto port =
        std::find_if(ports.begin(), ports.end(), [&](const PortInfo& p) { return p.name == name; });
    inputs[static_cast<std::size_t>(port - ports.begin())] = std::move(tensor);
  }
  return inputs;
}

/// Rows of all inputs; nullopt where they do not have the same number.
std::optional<std::int64_t> common_rows(std::span<const Tensor> inputs) {
  std::optional<std::int64_t> rows;
  for (const Tensor& input : inputs) {
    if (!input.defined()) continue;
    if (input.shape().rank() == 0 || (rows && *rows != input.shape()[0])) return std::nullopt;
    rows = input.shape()[0];
  }
  return rows;
}

TensorView rows_of_tensor(const Tensor& tensor, std::int64_t first, std::int64_t count) {
  TensorView view = tensor;
  if (!view.defined()) return view;
  const std::int64_t row = view.shape.elements(1, view.shape.rank());
  const auto offset = static_cast<std::size_t>(first * row) * element_bytes(view.dtype);
  view.bytes = static_cast<const std::byte*>(view.bytes) + offset;
  view.shape[0] = count;
  return view;
}

}  // namespace

void add_feed_options(CLI::App& command, FeedOptions& options) {
  command.add_option("MODEL", options.model, "The model to run; - is standard input")->required();
  command
      .add_option("-i,--input", options.inputs,
                  "[NAME=]FILE for an input: .npy, .npz, .csv(.gz), .pb or IDX; - is standard input. Without "
                  "NAME, the first input not yet fed; without -i, what is piped into standard input")
      ->type_name("")
      ->allow_extra_args(false);
  command
      .add_flag("--random", options.random,
                "Run on numbers made up for it, to see whether it does; --random=N makes N rows (4)")
      ->excludes("--input")
      ->transform(CLI::Validator(
          [](std::string& rows) {
            if (rows == "true") rows = "4";  // what CLI11 calls a flag without a value
            return std::string();
          },
          ""))
      ->check(count());
  add_size_option(command, options.sizes);
  command.add_flag("--round", options.tables.round,
                   "Round the numbers of an array that an input's element type cannot hold exactly");
  add_choice<std::optional<FoldOptions>>(command, "--fold", options.session.fold,
                                         {{"on", FoldOptions{}}, {"off", std::nullopt}},
                                         "Fold BatchNormalization into the weights first (on)");
  command.add_option("-t,--threads", options.session.threads, "Threads; 0: as many as there are processors")
      ->type_name("N")
      ->check(count_or_zero())
      ->capture_default_str();
  add_kernels_option(command, options.session.kernels);
  add_table_options(command, options.tables);
}

void check_feed(const FeedOptions& options, const std::string& output) {
  if (!options.sizes.empty() && options.random.empty())
    throw UsageError("--size is for --random: data has its own sizes");
  std::vector<std::string> read{options.model};
  for (const auto& argument : options.inputs) read.push_back(io::parse_input_file(argument).path);
  check_one_reads_standard_input(read);
  check_distinct({output}, read);
  io::check_writable(output);
}

std::optional<Fed> feed(const Console& console, const std::string& command, const FeedOptions& options,
                        bool in_parts) {
  Model model = load_model(options.model);
  io::TableRules tables = rules_for(model, options.tables);
  tables.on_reading = [&](const std::string& how) { console.detail(how); };
  const bool rows_apart =
      in_parts && in_file(io::display_name(options.model), [&] { return keeps_rows_apart(model); });
  auto targets = list_property(model, "bnrun.targets");
  Fed fed{open_session(options.model, std::move(model), options.session), {}, rows_apart, std::move(targets)};
  const Session& session = fed.session;
  for (const auto& entry : session.fold_report().entries) console.detail(text_of(entry));
  if (session.threads() < options.session.threads)
    console.note(fmt::format("of {} threads the system started {}: a limit on threads or memory is reached",
                             options.session.threads, session.threads()));
  const auto& ports = session.inputs();
  if (!options.random.empty()) {
    fed.inputs = made_up_inputs(ports, std::stoll(options.random), options.sizes);
    return fed;
  }
  std::vector<io::InputFile> files;
  for (const auto& argument : options.inputs) files.push_back(io::parse_input_file(argument));
  if (files.empty() && std::any_of(ports.begin(), ports.end(), is_required)) {
    if (options.model == "-" || !is_piped_into()) {
      console.error(io::display_name(options.model) + ": there is no data for the model");
      console.note(wants_of(command, options.model, ports, tables));
      return std::nullopt;
    }
    console.detail("no input is named: reading standard input");
    files.push_back({"", "-"});
  }
  fed.inputs = in_order(io::read_inputs(files, ports, tables), ports);
  return fed;
}

BlockRun::BlockRun(const Fed& fed, std::string model, bool in_parts)
    : fed_(fed), model_(std::move(model)), rows_(common_rows(fed.inputs).value_or(-1)), block_(rows_) {
  constexpr std::int64_t kRows = 4096;
  if (in_parts && fed.rows_apart && rows_ >= 0) block_ = std::min(rows_, kRows);
}

std::optional<std::vector<NamedTensor>> BlockRun::next() {
  if (!first_ && (done_ >= rows_ || block_ < 0)) return std::nullopt;
  if (interrupted()) throw Interrupted();
  first_ = false;
  const std::int64_t count = std::min(block_, rows_ - done_);
  std::vector<TensorView> views;
  for (const Tensor& input : fed_.inputs)
    views.push_back(block_ == rows_ ? TensorView(input) : rows_of_tensor(input, done_, count));
  auto tensors = in_file(io::display_name(model_), [&] { return fed_.session.run(views); });
  done_ += count;
  std::vector<NamedTensor> outputs;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    outputs.push_back({fed_.session.outputs()[i].name, std::move(tensors[i])});
  return outputs;
}

void write_text(const std::string& output, const std::function<void(std::ostream&)>& produce) {
  if (output == "-" && is_terminal()) {
    PrintableBuffer buffer;
    std::ostream out(&buffer);
    produce(out);
    out.flush();
    return;
  }
  std::optional<DeferInterrupts> whole;
  if (output != "-") whole.emplace();
  io::write_file(output, produce);
}

}  // namespace bnrun::cli
