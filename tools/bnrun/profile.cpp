// bnrun profile: where the time of a run goes, step by step.
#include "bnrun/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "bnrun/session.h"
#include "commands.h"
#include "common/bound_run.h"
#include "common/interrupt.h"
#include "common/model_output.h"
#include "common/model_source.h"
#include "common/numbers.h"
#include "common/printable.h"
#include "common/text_table.h"
#include "io/file.h"
#include "limits.h"

namespace bnrun {
namespace {

using nlohmann::json;

struct Options {
  std::string model;
  std::string output;
  std::int64_t rows = 64;
  cli::Sizes sizes;
  SessionOptions session;
  bool no_limits = false;
};

constexpr const char* kExample =
    "  bnrun profile model.onnx\n"
    "  bnrun profile model.onnx -b 256 -o trace.json      # then open trace.json in chrome://tracing or "
    "ui.perfetto.dev";

/// Trace Event Format: complete events ("X"), times in microseconds.
json trace_of(const Profile& profile) {
  json events = json::array();
  for (int thread = 0; thread < profile.threads; ++thread) {
    events.push_back({{"ph", "M"},
                      {"name", "thread_name"},
                      {"pid", 1},
                      {"tid", thread},
                      {"args", {{"name", thread == 0 ? "caller" : fmt::format("helper {}", thread)}}}});
  }
  for (const StepCall& call : profile.calls) {
    const StepProfile& step = profile.steps[call.step];
    events.push_back({{"ph", "X"},
                      {"name", step.where},
                      {"cat", step.kernel},
                      {"pid", 1},
                      {"tid", call.thread},
                      {"ts", call.start * 1e6},
                      {"dur", call.seconds * 1e6},
                      {"args",
                       {{"step", call.step},
                        {"kernel", step.kernel},
                        {"flops_of_all_calls", step.flops ? json(*step.flops) : json()},
                        {"bytes_of_all_calls", step.bytes}}}});
  }
  return {{"traceEvents", std::move(events)}, {"displayTimeUnit", "ns"}};
}

void print_table(const Profile& profile, const std::optional<MachineLimits>& limits) {
  const double total = cli::seconds_of_threads(profile);
  const auto percent = [&](double seconds) {
    return fmt::format("{:.1f}", total > 0.0 ? 100.0 * seconds / total : 0.0);
  };
  cli::TextTable table("llrrrrrr");
  table.add({"step", "kernel", "calls", "us", "%", "FLOPs", "bytes", "limit"});
  for (const StepProfile& step : profile.steps) {
    const auto share = limits ? cli::share_of_limit(*limits, profile, step) : std::nullopt;
    table.add({step.where, step.kernel, std::to_string(step.calls), fmt::format("{:.3f}", step.seconds * 1e6),
               percent(step.seconds), step.flops ? std::to_string(*step.flops) : "?",
               std::to_string(step.bytes),
               share ? fmt::format("{:.0f} % {}", 100.0 * share->of_limit, share->limit) : ""});
  }
  const double between = total - cli::seconds_in_steps(profile);
  table.add(
      {"between the steps", "", "", fmt::format("{:.3f}", between * 1e6), percent(between), "", "", ""});
  fmt::print("{}\n", table.text());
}

int run(const cli::Console& console, const Options& options) {
  cli::check_distinct({options.output}, {options.model});
  if (!options.output.empty()) io::check_writable(options.output);
  const auto session = cli::open_session(options.model, options.session);
  std::int64_t rows = 0;
  const auto profile = cli::in_file(io::display_name(options.model), [&] {
    const cli::BoundRun run(session, options.rows, options.sizes);
    rows = run.rows();
    return session.profile(run.inputs());
  });
  if (rows != options.rows)
    console.note(fmt::format("{}: a run of it is always {} row{}, whatever -b says", options.model, rows,
                             rows == 1 ? "" : "s"));
  cli::Progress progress(console, "measuring the limits of the machine", 1);
  progress.update(0);
  const auto limits =
      options.no_limits ? std::nullopt : std::optional(measure_limits(session.threads(), cli::kLimitBytes));
  progress.wipe();
  const bool trace_to_stdout = options.output == "-";
  if (!options.output.empty()) {
    std::optional<cli::DeferInterrupts> whole;
    if (!trace_to_stdout) whole.emplace();
    io::write_file(options.output, [&](std::ostream& out) {
      out << trace_of(profile).dump(1, ' ', false, json::error_handler_t::replace) << "\n";
    });
  }
  if (trace_to_stdout) return cli::kDone;
  print_table(profile, limits);
  fmt::print("One run of {} row{} takes {:.3f} us on {} thread{}: {}.\n", rows, rows > 1 ? "s" : "",
             profile.seconds * 1e6, profile.threads, profile.threads > 1 ? "s" : "",
             cli::printable(cli::what_dominates(profile, limits)));
  return cli::kDone;
}

}  // namespace

void add_profile(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command =
      program.add("profile", "Where the time of a run goes: each step, its kernel, costs and share", kExample,
                  [&program, options] { return run(program.console(), *options); });
  command
      .add_option("MODEL", options->model, "The model, run on numbers made up for it; - is standard input")
      ->required();
  command
      .add_option("-o,--output", options->output,
                  "Where a trace for Chrome and Perfetto goes; - is standard output")
      ->type_name("FILE");
  command.add_option("-b,--batch", options->rows, "Rows of the batch")
      ->type_name("N")
      ->check(cli::count())
      ->capture_default_str();
  cli::add_size_option(command, options->sizes);
  command.add_option("-t,--threads", options->session.threads, "Threads; 0: as many as there are processors")
      ->type_name("N")
      ->check(cli::count_or_zero())
      ->capture_default_str();
  cli::add_choice<std::optional<FoldOptions>>(command, "--fold", options->session.fold,
                                              {{"on", FoldOptions{}}, {"off", std::nullopt}},
                                              "Fold BatchNormalization into the weights first (on)");
  cli::add_kernels_option(command, options->session.kernels);
  command.add_flag(
      "--no-limits", options->no_limits,
      "Leave out what the machine can do at best, which takes seconds and much memory to measure");
}

}  // namespace bnrun
