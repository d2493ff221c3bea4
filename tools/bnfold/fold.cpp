// bnfold MODEL -o OUT: fold, verify, write.
#include "bnrun/fold.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "bnrun/model.h"
#include "bnrun/verify.h"
#include "bnrun/version.h"
#include "commands.h"
#include "common/fold_report.h"
#include "common/interrupt.h"
#include "common/model_output.h"
#include "io/file.h"
#include "verify_options.h"
#include "verify_report.h"

namespace bnrun {
namespace {

struct Options {
  std::string model;
  std::string output;
  std::string report;
  FoldOptions fold;
  VerifyArguments verify;
  ExternalData external_data = ExternalData::automatic;
  bool strict = false;
  bool dry_run = false;
  bool no_verify = false;
};

constexpr const char* kExample =
    "  bnfold model.onnx -o folded.onnx --report folding.json\n"
    "  bnfold model.onnx -o - -i images.npy --rtol 1e-5 > folded.onnx\n"
    "  bnfold model.onnx --dry-run --skip 'dense_1' --keep dead";

/// What the folded model has to compute.
Model reference_for(const Model& original, const FoldReport& report) {
  Model reference = original;
  if (!report.converted.empty()) convert_to_inference(reference);
  return reference;
}

const char* name_of_reference(const FoldReport& report) {
  return report.converted.empty()
             ? "the model as it was"
             : "the model converted to inference (as it was, it computes as in training)";
}

void write_report(const Options& options, const FoldReport& report,
                  const std::optional<VerifyReport>& verified) {
  nlohmann::json document = cli::json_of(report);
  document["program"] = "bnfold " BNRUN_VERSION;
  document["model"] = options.model;
  document["output"] = options.dry_run ? "" : options.output;
  document["verification"] = verified ? json_of(*verified) : nlohmann::json();
  if (verified) document["verification"]["reference"] = name_of_reference(report);
  const cli::DeferInterrupts whole;
  io::write_file(options.report, [&](std::ostream& out) {
    out << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  });
}

int run(const cli::Console& console, const Options& options) {
  if (options.output.empty() && !options.dry_run)
    throw cli::UsageError("say where the folded model goes with -o OUT, or --dry-run");
  if (!options.report.empty() && !options.report.ends_with(".json"))
    throw cli::UsageError("a report is a .json file");
  if (options.output == "-" && options.external_data == ExternalData::always)
    throw cli::UsageError("standard output holds no second file: --external-data always needs -o FILE");
  if (!options.dry_run) cli::check_model_output(options.output, options.model);
  if (!options.report.empty()) io::check_writable(options.report);

  const Model original = Model::load(options.model);
  if (const auto unmatched = unmatched_patterns(original, options.fold); !unmatched.empty())
    throw cli::UsageError(fmt::format("{}: no node matches '{}' (`bnrun inspect` lists their names)",
                                      options.model, fmt::join(unmatched, "', '")));
  Model folded = original;
  FoldReport report;
  std::optional<VerifyReport> verified;
  const VerifyOptions verification = read_verify_options(options.verify, original);
  cli::in_file(options.model, [&] {
    report = fold(folded, options.fold);
    if (!options.no_verify) verified = verify(reference_for(original, report), folded, verification);
  });

  std::FILE* const text = options.output == "-" ? stderr : stdout;
  if (!console.quiet) fmt::print(text, "{}", cli::text_of(report));
  const bool agree = !verified || verified->agree;
  if (verified && (!console.quiet || !agree))
    fmt::print(text, "\n{}compared with {}\n", text_of(*verified), name_of_reference(report));
  if (!options.report.empty()) write_report(options, report, verified);
  if (!agree) {
    console.error(options.model +
                  ": the folded model does not agree with the original; no model was written "
                  "(--no-verify writes it, for `bnfold verify` on your own data)");
    return cli::kAnswerIsNo;
  }
  if (options.strict && !report.complete()) {
    console.error(options.model + ": not everything could be folded; no model was written");
    return cli::kAnswerIsNo;
  }
  if (options.dry_run) return cli::kDone;
  cli::write_model(folded, options.output, options.external_data);
  if (options.output != "-") console.note("wrote " + options.output);
  return cli::kDone;
}

}  // namespace

void add_fold(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("fold", "Fold a model, verify the fold, write it", kExample,
                              [&program, options] { return run(program.console(), *options); });
  command.add_option("MODEL", options->model, "The model to fold")->required();
  command.add_option("-o,--output", options->output, "Where the folded model goes; - is standard output");
  command.add_option("--report", options->report, "Write what was done, and why not, as JSON");
  command.add_flag("--strict", options->strict,
                   "Exit 1, writing no model, unless everything could be folded");
  command.add_option("--only", options->fold.only, "Fold only nodes whose name matches GLOB (repeatable)")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  command.add_option("--skip", options->fold.skip, "Leave nodes whose name matches GLOB (repeatable)")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  std::string kept = "Leave out (repeatable):";
  std::vector<std::string> names;
  for (const auto& [name, what] : simplifications()) {
    kept += fmt::format("\n  {}: {}", name, what);
    names.emplace_back(name);
  }
  command.add_option("--keep", options->fold.keep, kept)
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->check(CLI::IsMember(names).description(""));
  command.add_flag("--as-inference", options->fold.as_inference,
                   "Convert BatchNormalization and Dropout in training mode to inference first");
  command
      .add_option("--max-rewrites", options->fold.max_rewrites, "Stop after N rewrites, to find one at fault")
      ->type_name("N");
  command
      .add_option("--max-growth", options->fold.max_growth,
                  "Decline what would grow the rounding error more than X times")
      ->type_name("X")
      ->check(CLI::PositiveNumber);
  command.add_flag("--dry-run", options->dry_run, "Write no model");
  cli::add_choice<ExternalData>(
      command, "--external-data", options->external_data,
      {{"auto", ExternalData::automatic}, {"never", ExternalData::never}, {"always", ExternalData::always}},
      "Store tensors in a file beside the model");
  auto* no_verify = command.add_flag("--no-verify", options->no_verify,
                                     "Do not compare the folded model with the original");
  for (CLI::Option* option : add_verify_options(command, options->verify)) no_verify->excludes(option);
}

}  // namespace bnrun
