// bnrun bench: how fast a model runs, over batch sizes, threads and ways of folding.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench_cells.h"
#include "commands.h"
#include "common/interrupt.h"
#include "common/model_output.h"
#include "common/model_source.h"
#include "common/numbers.h"
#include "common/printable.h"
#include "common/text_table.h"
#include "io/file.h"

namespace bnrun {
namespace {

using nlohmann::json;

enum class BenchFormat { md, csv, json };

struct Options {
  cli::BenchOptions bench;
  std::vector<std::string> fold{"on"};
  std::string output = "md";
  bool no_limits = false;
};

constexpr const char* kExample =
    "  bnrun bench model.onnx\n"
    "  bnrun bench model.onnx -b 1,256 -t 1,2 --fold on,off -o bench.csv";

/// The words for standard output, or the ending of a file's name.
BenchFormat format_of(const std::string& output) {
  const auto is = [&](const std::string& word) { return output == word || output.ends_with("." + word); };
  if (is("md")) return BenchFormat::md;
  if (is("csv")) return BenchFormat::csv;
  if (is("json")) return BenchFormat::json;
  throw cli::UsageError("-o is md, csv, json or a file whose name ends in one of these, not '" + output +
                        "'");
}

bool is_file(const std::string& output) {
  return output != "md" && output != "csv" && output != "json";
}

template <class T>
std::string or_none(const std::optional<T>& value, const std::function<std::string(const T&)>& text) {
  return value ? text(*value) : "";
}

/// The columns that md and csv have in common.
std::vector<std::string> numbers_of(const cli::BenchCell& cell, bool with_units) {
  const auto share = [&](const cli::Share& s) {
    return with_units ? fmt::format("{:.0f} % {}", 100.0 * s.of_limit, s.limit)
                      : fmt::format("{:.4g}", s.of_limit);
  };
  const auto gflops = [](double x) { return fmt::format("{:.4g}", x); };
  const auto bytes = [&](std::int64_t b) { return with_units ? cli::text_of_bytes(b) : std::to_string(b); };
  return {cell.fold ? "on" : "off",
          std::to_string(cell.rows),
          std::to_string(cell.threads),
          fmt::format("{:.4g}", cell.p50),
          fmt::format("{:.4g}", cell.p90),
          fmt::format("{:.4g}", cell.p99),
          fmt::format("{:.0f}", cell.rows_per_second),
          or_none<double>(cell.gflops, gflops),
          or_none<cli::Share>(cell.share, share),
          fmt::format("{:.2f}", cell.load_milliseconds),
          or_none<std::int64_t>(cell.peak_bytes, bytes)};
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

void print_markdown(std::ostream& out, const cli::BenchResult& result) {
  for (const MachineLimits& limits : result.limits)
    out << fmt::format("{} thread{}: {:.1f} GFLOP/s ({}), {:.1f} GB/s read beyond the caches\n",
                       limits.threads, limits.threads > 1 ? "s" : "", limits.flops * 1e-9, limits.vectors,
                       limits.bytes_per_second * 1e-9);
  if (!result.limits.empty()) out << "\n";
  cli::TextTable table("llrrrrrrrrrr");
  table.add({"model", "fold", "rows", "threads", "p50 us", "p90 us", "p99 us", "rows/s", "GFLOP/s", "limit",
             "load ms", "peak"});
  for (const auto& cell : result.cells) {
    auto row = numbers_of(cell, true);
    row.insert(row.begin(), file_name(cell.model));
    table.add(std::move(row));
  }
  out << table.markdown() << "\n";
  bool blas = false;
  for (const auto& cell : result.cells) {
    out << fmt::format("{}, {} row{}, {} thread{}{}: {}.\n", cli::printable(file_name(cell.model)), cell.rows,
                       cell.rows > 1 ? "s" : "", cell.threads, cell.threads > 1 ? "s" : "",
                       cell.fold ? "" : ", not folded", cli::printable(cell.dominates));
    blas = blas || cell.uses_blas;
  }
  if (blas) out << fmt::format("OpenBLAS runs its {} kernels here.\n", blas_kernels());
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + '"';
}

void print_csv(std::ostream& out, const cli::BenchResult& result) {
  out << "model,fold,rows,threads,p50_us,p90_us,p99_us,rows_per_second,gflops,share_of_limit,load_ms,peak_"
         "bytes,limit,"
         "blas_kernels,dominates\n";
  for (const auto& cell : result.cells) {
    out << quoted(cell.model);
    for (const auto& number : numbers_of(cell, false)) out << ',' << number;
    out << ',' << (cell.share ? cell.share->limit : "") << ',' << (cell.uses_blas ? blas_kernels() : "")
        << ',' << quoted(cell.dominates) << '\n';
  }
}

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

void print_json(std::ostream& out, const cli::BenchResult& result) {
  json limits = json::array();
  for (const MachineLimits& found : result.limits) {
    limits.push_back({{"threads", found.threads},
                      {"flops_per_second", found.flops},
                      {"vectors", found.vectors},
                      {"bytes_per_second", found.bytes_per_second},
                      {"cache_bytes", found.cache_bytes},
                      {"buffer_bytes", found.buffer_bytes}});
  }
  json cells = json::array();
  for (const auto& cell : result.cells) {
    cells.push_back({{"model", cell.model},
                     {"fold", cell.fold},
                     {"rows", cell.rows},
                     {"threads", cell.threads},
                     {"microseconds", {{"p50", cell.p50}, {"p90", cell.p90}, {"p99", cell.p99}}},
                     {"rows_per_second", cell.rows_per_second},
                     {"gflops", or_null(cell.gflops)},
                     {"limit", cell.share ? json(cell.share->limit) : json()},
                     {"share_of_limit", cell.share ? json(cell.share->of_limit) : json()},
                     {"load_milliseconds", cell.load_milliseconds},
                     {"peak_bytes", or_null(cell.peak_bytes)},
                     {"blas_kernels", cell.uses_blas ? json(blas_kernels()) : json()},
                     {"dominates", cell.dominates}});
  }
  out << json{{"limits", limits}, {"cells", cells}}.dump(2, ' ', false, json::error_handler_t::replace)
      << "\n";
}

int run(const cli::Console& console, const Options& options) {
  const BenchFormat format = format_of(options.output);
  const std::string target = is_file(options.output) ? options.output : "-";
  cli::check_one_reads_standard_input(options.bench.models);
  cli::check_distinct({target}, options.bench.models);
  io::check_writable(target);
  cli::BenchOptions bench_options = options.bench;
  bench_options.fold.clear();
  for (const std::string& word : options.fold) bench_options.fold.push_back(word == "on");
  bench_options.limits = !options.no_limits;
  cli::Progress progress(console, "timing", cli::parts_of(bench_options));
  const auto result = cli::bench(
      bench_options, [&](std::size_t part, const std::string& what) { progress.update(part, what); });
  progress.wipe();
  for (const auto& remark : result.remarks) console.note(remark);
  std::optional<cli::DeferInterrupts> whole;
  if (target != "-") whole.emplace();
  io::write_file(target, [&](std::ostream& out) {
    if (format == BenchFormat::md) print_markdown(out, result);
    if (format == BenchFormat::csv) print_csv(out, result);
    if (format == BenchFormat::json) print_json(out, result);
  });
  return cli::kDone;
}

}  // namespace

void add_bench(cli::Program& program) {
  const auto options = std::make_shared<Options>();
  auto& command =
      program.add("bench", "Time models: latency, rows per second, share of what the machine can do",
                  kExample, [&program, options] { return run(program.console(), *options); });
  command
      .add_option("MODEL", options->bench.models,
                  "Models to time, each on numbers made up for it; - is standard input")
      ->required();
  command.add_option("-b,--batch", options->bench.rows, "Rows of a batch (1,8,64)")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(cli::count());
  command.add_option("-t,--threads", options->bench.threads, "Threads (1)")
      ->type_name("N,...")
      ->delimiter(',')
      ->check(cli::count());
  command
      .add_option("--fold", options->fold, "Fold BatchNormalization first; on,off times both, in turns (on)")
      ->type_name("on|off|on,off")
      ->delimiter(',')
      ->check(cli::one_of({"on", "off"}));
  cli::add_size_option(command, options->bench.sizes);
  cli::add_kernels_option(command, options->bench.kernels);
  command
      .add_option("-o,--output", options->output,
                  "md, csv or json on standard output, or a file that is called so")
      ->type_name("md|csv|json|FILE")
      ->capture_default_str();
  command
      .add_option("--seconds", options->bench.seconds, "How long to time each model, batch and thread count")
      ->type_name("S")
      ->check(cli::positive_number())
      ->capture_default_str();
  command.add_flag(
      "--no-limits", options->no_limits,
      "Leave out what the machine can do at best, which takes seconds and much memory to measure");
}

}  // namespace bnrun
