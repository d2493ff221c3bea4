// bnrun MODEL: run a model on data files.
#include <fmt/format.h>

#include <memory>
#include <sstream>

#include "bnrun/session.h"
#include "commands.h"
#include "common/console.h"
#include "common/fold_report.h"
#include "common/interrupt.h"
#include "common/model_output.h"
#include "common/numbers.h"
#include "common/printable.h"
#include "common/table_options.h"
#include "io/data.h"
#include "io/file.h"
#include "io/output.h"

namespace bnrun {
namespace {

struct Options {
  std::string model;
  std::vector<std::string> inputs;
  std::string output = "-";
  std::optional<io::Format> format;
  io::TableRules tables;
  SessionOptions session;
};

constexpr const char* kExample =
    "  bnrun model.onnx -i rows.csv\n"
    "  bnrun model.onnx -i images=train-images-idx3-ubyte.gz -o scores.npy\n"
    "  cat rows.csv | bnrun model.onnx -i - -f json";

void log_fold(const cli::Console& console, const FoldReport& report) {
  for (const auto& entry : report.entries) console.detail(cli::text_of(entry));
}

int run(const cli::Console& console, const Options& options) {
  const io::Format format = options.format          ? *options.format
                            : options.output == "-" ? io::Format::csv
                                                    : io::format_of(options.output);
  std::vector<io::InputFile> files;
  std::vector<std::string> read{options.model};
  for (const auto& argument : options.inputs) {
    files.push_back(io::parse_input_file(argument));
    read.push_back(files.back().path);
  }
  cli::check_distinct({options.output}, read);
  io::check_writable(options.output);
  Model model = Model::load(options.model);
  io::TableRules tables = cli::rules_for(model, options.tables);
  const auto session =
      cli::in_file(options.model, [&] { return Session(std::move(model), options.session); });
  log_fold(console, session.fold_report());
  if (session.threads() < options.session.threads)
    console.note(fmt::format("of {} threads the system started {}: a limit on threads or memory is reached",
                             options.session.threads, session.threads()));
  tables.on_reading = [&](const std::string& how) { console.detail(how); };
  const auto inputs = io::read_inputs(files, session.inputs(), tables);
  const auto outputs = cli::in_file(options.model, [&] { return session.run(inputs); });
  if (options.output == "-" && cli::is_terminal() && format == io::Format::csv) {
    // Names of outputs and strings in them come from the model.
    std::ostringstream shown;
    io::write_outputs(shown, outputs, format);
    fmt::print("{}", cli::printable_lines(shown.str()));
    return cli::kDone;
  }
  std::optional<cli::DeferInterrupts> whole;
  if (options.output != "-") whole.emplace();
  io::write_file(options.output, [&](std::ostream& out) { io::write_outputs(out, outputs, format); });
  return cli::kDone;
}

}  // namespace

void add_run(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("run", "Run a model on data files (the word `run` may be left out)", kExample,
                              [&program, options] { return run(program.console(), *options); });
  command.add_option("MODEL", options->model, "The model to run")->required();
  command
      .add_option("-i,--input", options->inputs,
                  "[NAME=]FILE for an input: .npy, .npz, .csv(.gz), .pb or IDX; - is standard input. Without "
                  "NAME, the first input not yet fed")
      ->type_name("")
      ->allow_extra_args(false);
  command.add_option("-o,--output", options->output, "Where the outputs go; - is standard output")
      ->type_name("FILE")
      ->capture_default_str();
  cli::add_choice<std::optional<io::Format>>(command, "-f,--format", options->format,
                                             {{"csv", io::Format::csv},
                                              {"npy", io::Format::npy},
                                              {"npz", io::Format::npz},
                                              {"json", io::Format::json}},
                                             "How they are written; default: by FILE's ending, else csv");
  cli::add_choice<std::optional<FoldOptions>>(command, "--fold", options->session.fold,
                                              {{"on", FoldOptions{}}, {"off", std::nullopt}},
                                              "Fold BatchNormalization into the weights first (on)");
  command.add_option("-t,--threads", options->session.threads, "Threads; 0: as many as there are processors")
      ->type_name("N")
      ->check(cli::count_or_zero())
      ->capture_default_str();
  cli::add_choice<Kernels>(
      command, "--kernels", options->session.kernels,
      {{"auto", Kernels::automatic}, {"packed", Kernels::packed}, {"blas", Kernels::blas}},
      "What multiplies matrices (auto)");
  cli::add_table_options(command, options->tables);
}

}  // namespace bnrun
