#include "verify_options.h"

#include <algorithm>
#include <charconv>

#include "bnrun/inspect.h"
#include "common/table_options.h"
#include "io/data.h"

namespace bnrun {
namespace {

void parse_range(const std::string& text, VerifyOptions& options) {
  const char* end = text.data() + text.size();
  const auto low = std::from_chars(text.data(), end, options.low);
  if (low.ec == std::errc() && low.ptr != end && *low.ptr == ':') {
    const auto high = std::from_chars(low.ptr + 1, end, options.high);
    if (high.ec == std::errc() && high.ptr == end && options.low <= options.high) return;
  }
  throw cli::UsageError("--range wants LOW:HIGH, such as 0:1, not '" + text + "'");
}

/// What the element type of the outputs can hold after a few layers.
Tolerance tolerance_for(const Model& model) {
  Tolerance tolerance;
  for (const PortInfo& output : model.outputs()) {
    const double half = output.dtype == DType::float16 ? 1e-2 : output.dtype == DType::bfloat16 ? 5e-2 : 0.0;
    tolerance.rtol = std::max(tolerance.rtol, half);
    tolerance.atol = std::max(tolerance.atol, half);
  }
  return tolerance;
}

/// A dozen batches run on two models, as they are and in double, operator by operator: a few seconds in all.
std::int64_t affordable_rows(const Model& model) {
  constexpr std::int64_t kMacsPerBatch = 200'000'000;
  const auto macs = std::max<std::int64_t>(1, macs_per_row(model).value_or(1));
  return std::clamp<std::int64_t>(kMacsPerBatch / macs, 2, VerifyOptions{}.rows);
}

}  // namespace

std::vector<CLI::Option*> add_verify_options(CLI::App& command, VerifyArguments& arguments) {
  VerifyOptions& verify = arguments.options;
  const std::vector<CLI::Option*> options = {
      command
          .add_option("-i,--input", arguments.inputs,
                      "Compare on this data instead of drawn inputs: [NAME=]FILE, once per input")
          ->allow_extra_args(false),
      command
          .add_option("--rtol", arguments.rtol,
                      "|a - b| <= atol + rtol*|b|; default: 0.0001, 0.01 in float16, 0.05 in bfloat16")
          ->check(CLI::NonNegativeNumber),
      command
          .add_option(
              "--atol", arguments.atol,
              "An absolute bound; default: 1e-05 (0.01 in float16, 0.05 in bfloat16) times the largest "
              "output of the batch, where that is above 1")
          ->check(CLI::NonNegativeNumber),
      command.add_option("--range", arguments.range, "Draw inputs from LOW:HIGH (default -3:3)"),
      command
          .add_option("--rows", arguments.rows,
                      "Rows of a drawn batch; default: 64, or fewer for a model that takes long")
          ->check(CLI::PositiveNumber),
      command.add_option("--seed", verify.seed, "Of the drawn inputs")->capture_default_str()};
  for (CLI::Option* option : options) option->group("Comparison");
  cli::add_table_options(command, arguments.tables);
  return options;
}

VerifyOptions read_verify_options(const VerifyArguments& arguments, const Model& model) {
  VerifyOptions options = arguments.options;
  if (!arguments.range.empty()) parse_range(arguments.range, options);
  options.tolerance = tolerance_for(model);
  if (arguments.rtol) options.tolerance.rtol = *arguments.rtol;
  if (arguments.atol) options.tolerance = {options.tolerance.rtol, *arguments.atol, false};
  options.rows = arguments.rows.value_or(affordable_rows(model));
  if (arguments.inputs.empty()) return options;
  std::vector<io::InputFile> files;
  for (const auto& argument : arguments.inputs) files.push_back(io::parse_input_file(argument));
  options.inputs.push_back(io::read_inputs(files, model.inputs(), cli::rules_for(model, arguments.tables)));
  return options;
}

VerifyReport verify_with_progress(const cli::Console& console, const Model& a, const Model& b,
                                  VerifyOptions options) {
  std::optional<cli::Progress> bar;
  options.progress = [&](std::size_t done, std::size_t total) {
    if (!bar) bar.emplace(console, "verifying", total);
    bar->update(done);
  };
  return verify(a, b, options);
}

}  // namespace bnrun
