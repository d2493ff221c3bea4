// bnrun MODEL: run a model on data files.
#include <fmt/format.h>

#include <memory>

#include "commands.h"
#include "common/interrupt.h"
#include "feed.h"
#include "io/file.h"
#include "io/output.h"

namespace bnrun {
namespace {

struct Options {
  cli::FeedOptions feed;
  std::string output = "-";
  std::optional<io::Format> format;
};

constexpr const char* kExample =
    "  bnrun model.onnx -i rows.csv\n"
    "  bnrun model.onnx -i images=train-images-idx3-ubyte.gz -o scores.npy\n"
    "  cat rows.csv | bnrun model.onnx -f json\n"
    "  bnrun model.onnx --random";

/// As asked for, or by the name's ending; text where no file keeps it.
io::Format format_of(const Options& options) {
  if (options.format) return *options.format;
  if (const auto format = io::format_of(options.output)) return *format;
  if (!io::keeps_what_is_written(options.output)) return io::Format::csv;
  throw cli::UsageError(options.output +
                        ": its ending names no format; use .csv, .npy, .npz or .json, or say -f");
}

int run(const cli::Console& console, const Options& options) {
  const io::Format format = format_of(options);
  cli::check_feed(options.feed, options.output);
  const bool is_csv = format == io::Format::csv;
  const auto fed = cli::feed(console, "run", options.feed, is_csv);
  if (!fed) return cli::kInvalidInput;
  cli::BlockRun run(*fed, options.feed.model, is_csv);
  auto outputs = run.next();  // before the file is begun: an interrupt may still end it
  if (is_csv) {
    cli::write_text(options.output, [&](std::ostream& out) {
      io::CsvWriter writer(out);
      for (; outputs; outputs = run.next()) {
        writer.add(*outputs);
        out.flush();
      }
    });
    return cli::kDone;
  }
  std::optional<cli::DeferInterrupts> whole;
  if (options.output != "-") whole.emplace();
  io::write_file(options.output, [&](std::ostream& out) { io::write_outputs(out, *outputs, format); });
  return cli::kDone;
}

}  // namespace

void add_run(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("run", "Run a model on data files (the word `run` may be left out)", kExample,
                              [&program, options] { return run(program.console(), *options); });
  cli::add_feed_options(command, options->feed);
  command.add_option("-o,--output", options->output, "Where the outputs go; - is standard output")
      ->type_name("FILE")
      ->capture_default_str();
  cli::add_choice<std::optional<io::Format>>(command, "-f,--format", options->format,
                                             {{"csv", io::Format::csv},
                                              {"npy", io::Format::npy},
                                              {"npz", io::Format::npz},
                                              {"json", io::Format::json}},
                                             "How they are written; default: by FILE's ending, else csv");
}

}  // namespace bnrun
