// bnfold MODEL -o OUT: fold, verify, write.
#include "bnrun/fold.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>

#include "bnrun/inspect.h"
#include "bnrun/model.h"
#include "bnrun/verify.h"
#include "commands.h"
#include "common/interrupt.h"
#include "common/model_output.h"
#include "common/model_source.h"
#include "common/numbers.h"
#include "document.h"
#include "io/data.h"
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
  bool time = false;
};

constexpr const char* kExample =
    "  bnfold model.onnx -o folded.onnx --report folding.html\n"
    "  bnfold model.onnx -o - -i images.npy --rtol 1e-5 > folded.onnx\n"
    "  bnfold model.onnx --dry-run --skip 'dense_1' --without dead";

using Writer = std::string (*)(const FoldDocument&);

std::string json_text(const FoldDocument& document) {
  return json_of(document).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

/// By the name's ending.
Writer writer_of(const std::string& report) {
  if (report.ends_with(".json")) return json_text;
  if (report.ends_with(".html")) return html_of;
  throw cli::UsageError("--report " + report + ": a report is a .html or .json file");
}

void check_options(const Options& options) {
  if (options.output.empty() && !options.dry_run)
    throw cli::UsageError("say where the folded model goes with -o OUT, or --dry-run");
  if (options.output == "-" && options.external_data == ExternalData::always)
    throw cli::UsageError("standard output holds no second file: --external-data always needs -o FILE");
  if (!options.dry_run) cli::check_model_output(options.output, options.model);
  std::vector<std::string> read{options.model};
  for (const auto& input : options.verify.inputs) read.push_back(io::parse_input_file(input).path);
  cli::check_one_reads_standard_input(read);
  cli::check_distinct({options.dry_run ? "" : options.output, options.report}, read);
  if (options.report.empty()) return;
  writer_of(options.report);
  io::check_writable(options.report);
}

/// What the folded model has to compute.
Model reference_for(const Model& original, const FoldReport& report) {
  Model reference = original;
  if (!report.converted.empty()) convert_to_inference(reference);
  return reference;
}

std::optional<cli::Timing> time(const cli::Console& console, const Model& before, const Model& after) {
  constexpr std::int64_t kRows = 64;
  try {
    return cli::time_in_turns(before, after, kRows);
  } catch (const Error& error) {
    console.note(std::string("no times: ") + error.what());
    return std::nullopt;
  }
}

/// Compares the folded model with what it has to compute, or notes why that was not done.
void verify(const cli::Console& console, const Options& options, const Model& reference, const Model& folded,
            const VerifyOptions& verification, FoldDocument& document) {
  if (options.no_verify) {
    document.unverified = "--no-verify";
    return;
  }
  if (!document.fold.changed()) {
    document.unverified = "nothing was changed";
    return;
  }
  VerifyReport report = verify_with_progress(console, reference, folded, verification);
  if (report.verdict == Verdict::not_compared)
    document.unverified = report.why;
  else
    document.verification = std::move(report);
}

/// Why no model is written; empty when one is.
std::string refusal_of(const Options& options, const FoldDocument& document) {
  constexpr std::string_view kNotWritten =
      "no model was written (--no-verify writes it, for `bnfold verify` on your own data)";
  const auto& verified = document.verification;
  if (verified && !verified->agree()) {
    return fmt::format("{}; {}",
                       verified->verdict == Verdict::nothing_finite
                           ? "nothing was verified: all outputs are NaN or infinite on these inputs"
                           : "the folded model does not agree with the original",
                       kNotWritten);
  }
  if (options.strict && !document.fold.complete())
    return "not everything could be folded; no model was written";
  return "";
}

void print(const cli::Console& console, const Options& options, const FoldDocument& document) {
  std::FILE* const out = options.output == "-" ? stderr : stdout;
  if (!console.quiet) fmt::print(out, "{}", text_of(document, console.verbose));
  const auto& verified = document.verification;
  if (verified && (!console.quiet || !verified->agree()))
    fmt::print(out, "\n{}compared with {}\n{}\n", text_of(*verified), reference_of(document),
               fmt::join(lines_of(document.provenance), "\n"));
  const bool missing = !document.unverified.empty() && document.fold.changed() && !options.no_verify;
  if (missing) {
    console.note(fmt::format(
        "{}: not verified: {} (`bnfold verify` compares two models on data; --no-verify leaves this out)",
        options.model, document.unverified));
  }
}

int run(const cli::Console& console, const Options& options) {
  check_options(options);
  const Model original = cli::load_model(options.model);
  if (const auto unmatched = unmatched_patterns(original, options.fold); !unmatched.empty())
    throw cli::UsageError(fmt::format("{}: no node matches '{}' (`bnrun inspect` lists their names)",
                                      options.model, fmt::join(unmatched, "', '")));
  const VerifyOptions verification = read_verify_options(console, options.verify, original);
  Model folded = original;
  FoldDocument document{.model = io::display_name(options.model)};
  cli::in_file(io::display_name(options.model), [&] {
    document.fold = fold(folded, options.fold);
    document.before = inspect_layers(original);
    document.after = inspect_layers(folded);
    const Model reference = reference_for(original, document.fold);
    verify(console, options, reference, folded, verification, document);
    if (options.time) document.timing = time(console, reference, folded);
  });

  const std::string refusal = refusal_of(options, document);
  const bool writes = refusal.empty() && !options.dry_run;
  document.provenance = make_provenance();
  document.provenance.add("model", options.model);
  for (const auto& input : options.verify.inputs)
    document.provenance.add("data", io::parse_input_file(input).path);
  if (writes) {
    cli::write_model(folded, options.output, options.external_data);
    document.output = options.output;
    if (options.output != "-") document.provenance.add("folded", options.output);
  }

  print(console, options, document);
  if (!options.report.empty()) {
    const cli::DeferInterrupts whole;
    io::write_file(options.report, [&](std::ostream& out) { out << writer_of(options.report)(document); });
  }
  if (!refusal.empty()) {
    console.error(options.model + ": " + refusal);
    return cli::kAnswerIsNo;
  }
  if (writes && options.output != "-") console.note("wrote " + options.output);
  return cli::kDone;
}

}  // namespace

void add_fold(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command = program.add("fold", "Fold a model, verify the fold, write it", kExample,
                              [&program, options] { return run(program.console(), *options); });
  command.add_option("MODEL", options->model, "The model to fold; - is standard input")->required();
  command.add_option("-o,--output", options->output, "Where the folded model goes; - is standard output");
  command.add_option("--report", options->report,
                     "Write what was done, and why not, as a page or as JSON: FILE.html or FILE.json");
  command.add_flag("--strict", options->strict,
                   "Exit 1, writing no model, unless everything could be folded");
  command.add_option("--only", options->fold.only, "Fold only nodes whose name matches GLOB (repeatable)")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  command.add_option("--skip", options->fold.skip, "Leave nodes whose name matches GLOB (repeatable)")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  std::string without = "Leave out (repeatable):";
  std::vector<std::string> names;
  for (const auto& [name, what] : simplifications()) {
    without += fmt::format("\n  {}: {}", name, what);
    names.emplace_back(name);
  }
  command.add_option("--without", options->fold.without, without)
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->check(cli::one_of(names));
  command.add_flag("--as-inference", options->fold.as_inference,
                   "Convert BatchNormalization and Dropout in training mode to inference first");
  command
      .add_option("--max-rewrites", options->fold.max_rewrites, "Stop after N rewrites, to find one at fault")
      ->type_name("N")
      ->check(cli::count_or_zero());
  command
      .add_option("--max-growth", options->fold.max_growth,
                  "Leave a Sub in the channels where folding would grow the rounding error more than X times")
      ->type_name("X")
      ->check(cli::positive_number());
  command.add_flag("--time", options->time, "Measure the time per row before and after");
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
