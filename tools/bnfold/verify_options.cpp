#include "verify_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "common/numbers.h"
#include "common/table_options.h"
#include "io/data.h"

namespace bnrun {
namespace {

InputRange parse_range(const std::string& text) {
  InputRange range;
  const char* end = text.data() + text.size();
  const auto low = std::from_chars(text.data(), end, range.low);
  if (low.ec == std::errc() && low.ptr != end && *low.ptr == ':') {
    const auto high = std::from_chars(low.ptr + 1, end, range.high);
    if (high.ec == std::errc() && high.ptr == end && range.low <= range.high && std::isfinite(range.low) &&
        std::isfinite(range.high))
      return range;
  }
  throw cli::UsageError("--range wants LOW:HIGH, such as 0:1, not '" + text + "'");
}

/// Names may hold colons ("input:0").
InputShape parse_shape(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  InputShape shape{text.substr(0, colon), {}};
  const char* next = text.data() + (colon == std::string::npos ? text.size() : colon + 1);
  const char* end = text.data() + text.size();
  while (next != end) {
    std::int64_t extent = 0;
    const auto parsed = std::from_chars(next, end, extent);
    const bool more = parsed.ptr != end && *parsed.ptr == ',';
    if (parsed.ec != std::errc() || extent < 0 || (!more && parsed.ptr != end)) break;
    shape.shape.push_back(extent);
    next = parsed.ptr + (more ? 1 : 0);
    if (!more) return shape;
  }
  throw cli::UsageError("--shape wants NAME:EXTENT,EXTENT,..., such as x:1,3,48,192, not '" + text + "'");
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
                      "Hold every element to |a - b| <= atol + rtol*|b|, instead of judging by what double "
                      "precision says; default with --atol: 0.0001 (0.01 in float16, 0.05 in bfloat16)")
          ->check(cli::number_of_zero_or_more()),
      command
          .add_option("--atol", arguments.atol,
                      "See --rtol; default with --rtol: 1e-05 (0.01 in float16, 0.05 in bfloat16)")
          ->check(cli::number_of_zero_or_more()),
      command.add_option(
          "--range", arguments.range,
          "Draw inputs from LOW:HIGH; default: from what the model's statistics say, else -3:3"),
      command
          .add_option("--shape", arguments.shapes,
                      "Of a drawn input whose sizes are open: NAME:EXTENT,EXTENT,..., once per input")
          ->allow_extra_args(false),
      command
          .add_option("--rows", arguments.rows,
                      "Rows of a drawn batch, as far as --budget goes; default: 64, or fewer for a model "
                      "that takes long")
          ->check(cli::count()),
      command.add_option("--budget", verify.budget, "Seconds after which no further inputs are drawn")
          ->capture_default_str()
          ->check(cli::number_of_zero_or_more()),
      command.add_option("--seed", verify.seed, "Of the drawn inputs")
          ->capture_default_str()
          ->check(cli::count_or_zero()),
      command.add_flag("--round", arguments.tables.round,
                       "Round the numbers of an array that an input's element type cannot hold exactly")};
  for (CLI::Option* option : options) option->group("Comparison");
  cli::add_table_options(command, arguments.tables);
  return options;
}

VerifyOptions read_verify_options(const cli::Console& console, const VerifyArguments& arguments,
                                  const Model& model) {
  VerifyOptions options = arguments.options;
  if (!arguments.range.empty()) options.range = parse_range(arguments.range);
  for (const auto& shape : arguments.shapes) options.shapes.push_back(parse_shape(shape));
  if (arguments.rtol || arguments.atol) {
    const Tolerance usual = tolerance_for(model);
    options.tolerance = {arguments.rtol.value_or(usual.rtol), arguments.atol.value_or(usual.atol)};
  }
  options.rows = arguments.rows;
  if (arguments.inputs.empty()) return options;
  std::vector<io::InputFile> files;
  for (const auto& argument : arguments.inputs) files.push_back(io::parse_input_file(argument));
  io::TableRules rules = cli::rules_for(model, arguments.tables);
  rules.on_reading = [&](const std::string& how) { console.detail(how); };
  options.inputs.push_back(io::read_inputs(files, model.inputs(), rules));
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
