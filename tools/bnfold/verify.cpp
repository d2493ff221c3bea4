// bnfold verify A B: do two models compute the same?
#include "bnrun/verify.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <optional>

#include "bnrun/model.h"
#include "commands.h"
#include "common/metadata.h"
#include "io/data.h"
#include "verify_report.h"

namespace bnrun {
namespace {

struct Options {
  std::string a;
  std::string b;
  std::vector<std::string> inputs;
  std::string range;
  bool json = false;
  VerifyOptions verify;
  std::optional<double> atol;
};

constexpr const char* kExample =
    "  bnfold verify model.onnx folded.onnx\n"
    "  bnfold verify model.onnx folded.onnx -i images.npy --rtol 1e-5\n"
    "  bnfold verify model.onnx folded.onnx --range 0:1 --rows 1000 --seed 7";

void parse_range(const std::string& text, VerifyOptions& options) {
  const char* end = text.data() + text.size();
  const auto low = std::from_chars(text.data(), end, options.low);
  if (low.ec == std::errc() && low.ptr != end && *low.ptr == ':') {
    const auto high = std::from_chars(low.ptr + 1, end, options.high);
    if (high.ec == std::errc() && high.ptr == end && options.low <= options.high) return;
  }
  throw cli::UsageError("--range wants LOW:HIGH, such as 0:1, not '" + text + "'");
}

int run(const cli::Console& console, Options options) {
  if (!options.range.empty()) parse_range(options.range, options.verify);
  if (options.atol) options.verify.tolerance = {options.verify.tolerance.rtol, *options.atol, false};
  const Model a = Model::load(options.a);
  const Model b = Model::load(options.b);
  if (!options.inputs.empty()) {
    std::vector<io::InputFile> files;
    for (const auto& argument : options.inputs) files.push_back(io::parse_input_file(argument));
    options.verify.inputs.push_back(io::read_inputs(files, a.inputs(), cli::features_of(a)));
  }
  const VerifyReport report = verify(a, b, options.verify);
  if (options.json) {
    fmt::print("{}\n", json_of(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (!console.quiet) {
    fmt::print("{}", text_of(report));
  }
  return report.agree ? cli::kDone : cli::kAnswerIsNo;
}

}  // namespace

void add_verify(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("verify", "Compare two models: exit 0 when they agree, 1 when not", kExample,
                              [&program, options] { return run(program.console(), *options); });
  command.add_option("A", options->a, "The model that is right")->required();
  command.add_option("B", options->b, "The model to compare with it")->required();
  command
      .add_option("-i,--input", options->inputs,
                  "Compare on this data instead of drawn inputs: [NAME=]FILE, once per input")
      ->allow_extra_args(false);
  auto& verify = options->verify;
  command.add_option("--rtol", verify.tolerance.rtol, "|a - b| <= atol + rtol*|b|")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option(
          "--atol", options->atol,
          "An absolute bound; default: 1e-05 times the largest output of the batch, where that is above 1")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--range", options->range, "Draw inputs from LOW:HIGH (default -3:3)");
  command.add_option("--rows", verify.rows, "Rows of a drawn batch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--seed", verify.seed, "Of the drawn inputs")->capture_default_str();
  command.add_flag("--json", options->json, "Print the comparison as JSON");
}

}  // namespace bnrun
