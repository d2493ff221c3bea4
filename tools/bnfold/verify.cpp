// bnfold verify A B: do two models compute the same?
#include "bnrun/verify.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "bnrun/model.h"
#include "commands.h"
#include "common/model_source.h"
#include "io/data.h"
#include "io/file.h"
#include "provenance.h"
#include "verify_options.h"
#include "verify_report.h"

namespace bnrun {
namespace {

struct Options {
  std::string a;
  std::string b;
  bool json = false;
  VerifyArguments verify;
};

constexpr const char* kExample =
    "  bnfold verify model.onnx folded.onnx\n"
    "  bnfold verify model.onnx folded.onnx -i images.npy --rtol 1e-5\n"
    "  bnfold verify model.onnx folded.onnx --range 0:1 --rows 1000 --seed 7";

int run(const cli::Console& console, const Options& options) {
  std::vector<std::string> read{options.a, options.b};
  for (const auto& input : options.verify.inputs) read.push_back(io::parse_input_file(input).path);
  cli::check_one_reads_standard_input(read);
  const Model a = cli::load_model(options.a);
  const Model b = cli::load_model(options.b);
  const VerifyReport report =
      verify_with_progress(console, a, b, read_verify_options(console, options.verify, a));
  Provenance provenance = make_provenance();
  provenance.add("first", options.a);
  provenance.add("second", options.b);
  for (const auto& input : options.verify.inputs) provenance.add("data", io::parse_input_file(input).path);
  if (options.json) {
    nlohmann::json object = json_of(report);
    object["provenance"] = json_of(provenance);
    fmt::print("{}\n", object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (!console.quiet && report.verdict != Verdict::not_compared) {
    fmt::print("{}{}\n", text_of(report), fmt::join(lines_of(provenance), "\n"));
  }
  if (report.verdict == Verdict::not_compared)
    throw Error(report.cause, io::display_name(options.a) + ": " + report.why);
  return report.agree() ? cli::kDone : cli::kAnswerIsNo;
}

}  // namespace

void add_verify(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("verify", "Compare two models: exit 0 when they agree, 1 when not", kExample,
                              [&program, options] { return run(program.console(), *options); });
  command.add_option("A", options->a, "The model that is right; - is standard input")->required();
  command.add_option("B", options->b, "The model to compare with it; - is standard input")->required();
  add_verify_options(command, options->verify);
  command.add_flag("--json", options->json, "Print the comparison as JSON");
}

}  // namespace bnrun
