// The speed of bnrun and ONNX Runtime in one process, taking turns: writes JSON, which report.py makes a table of.
//   ort_bench MODEL... -b 1,8,256 -t 1,2 [--quick] > speed.json
// Beside X.onnx may lie X.folded.onnx, which bnfold wrote of it: ONNX Runtime runs both, bnrun runs the first, with
// and without folding, and on several threads beside one as well; with --fast once more with the kernels that round
// otherwise, with --packed with those that compute a model that holds bytes in float32. What they compute is compared
// before it is timed.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bnrun/error.h"
#include "bnrun/inspect.h"
#include "bnrun/machine.h"
#include "bnrun/session.h"
#include "bnrun/version.h"
#include "common/bound_run.h"
#include "common/turns.h"
#include "ort_model.h"
#include "yardsticks.h"

namespace {

using bnrun::cli::BoundRun;
using bnrun::testing::OrtModel;
using bnrun::testing::Yardsticks;
using nlohmann::json;

struct Options {
  std::vector<std::string> models;
  std::vector<std::int64_t> rows{1, 8, 32, 256, 4096};
  std::vector<int> threads{1, 2};
  bool quick = false;
  bool memory = false;
  int slice = 3;    ///< milliseconds of one turn, on several threads 20 at least
  int longest = 8;  ///< seconds of all turns on one thread; three times as many on several
  bool fast = false;
  bool packed = false;
  double within = 1e-4;  ///< of the largest number
};

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
  }
  return "unknown processor";
}

using Limits = std::map<int, bnrun::MachineLimits>;  // by threads

Limits measure_machine(const Options& options) {
  constexpr std::size_t kQuickBuffer = std::size_t{256} << 20;
  Limits limits;
  for (const int threads : options.threads)
    limits[threads] =
        options.quick ? bnrun::measure_limits(threads, kQuickBuffer) : bnrun::measure_limits(threads);
  return limits;
}

json describe_machine(const Limits& limits) {
  json described = json::array();
  for (const auto& [threads, found] : limits) {
    described.push_back({{"threads", threads},
                         {"flops", found.flops},
                         {"vectors", found.vectors},
                         {"bytes_per_second", found.bytes_per_second},
                         {"cache_bytes", found.cache_bytes},
                         {"buffer_bytes", found.buffer_bytes}});
  }
  return {{"processor", processor_name()}, {"limits", described}};
}

/// One model with so many threads in both engines; ONNX Runtime is left out where it does not run the model.
class Rivals {
 public:
  Rivals(Ort::Env& env, const std::string& path, int threads, const Options& options)
      : threads_(threads),
        within_(options.within),
        ours_(bnrun::Session::load(path, {.threads = threads})),
        ours_unfolded_(bnrun::Session::load(path, {.threads = threads, .fold = std::nullopt})) {
    const auto also = [&](const char* name, const bnrun::SessionOptions& session) {
      others_.emplace_back(name, bnrun::Session::load(path, session));
    };
    if (threads > 1) also("bnrun_alone", {.threads = 1});
    if (options.fast) also("bnrun_fast", {.threads = threads, .kernels = bnrun::Kernels::fast});
    if (options.packed) also("bnrun_packed", {.threads = threads, .kernels = bnrun::Kernels::packed});
    const auto folded = std::filesystem::path(path).replace_extension(".folded.onnx");
    try {
      ort_.emplace(env, path, threads);
      if (exists(folded)) ort_folded_.emplace(env, folded, threads);
    } catch (const Ort::Exception& error) {
      if (error.GetOrtErrorCode() != ORT_NOT_IMPLEMENTED) throw;
      fmt::print(stderr, "ort_bench: without ONNX Runtime: {}\n", error.what());
    }
  }

  /// Microseconds per row of each, medians over turns, and what the machine reached in the same turns: the clock of a
  /// processor changes with its load. `buffer_bytes`: how much to read beside, or 0.
  json time(std::int64_t rows, Yardsticks& machine, std::size_t buffer_bytes, const Options& options) {
    const auto& port = ours_.inputs().at(0);
    const bnrun::Tensor x = bnrun::testing::batch_for(port, rows);
    const auto expected = ours_.run({{port.name, x}});
    std::vector<std::pair<std::string, std::function<void()>>> things;
    const std::vector<bnrun::TensorView> in{x};
    auto results = ours_unfolded_.run({{port.name, x}});
    std::vector<bnrun::MutableTensorView> out;
    for (auto& result : results) out.push_back(result.tensor.mutable_view());
    things.emplace_back("bnrun", [&] { ours_.run(in, out); });
    things.emplace_back("bnrun_unfolded", [&] { ours_unfolded_.run(in, out); });
    for (const auto& [name, model] : {std::pair("ort", &ort_), std::pair("ort_folded", &ort_folded_)}) {
      if (!*model) continue;
      (*model)->bind(port.name, x, expected);
      (*model)->run();
      check(bnrun::testing::largest_difference(expected, (*model)->outputs()), largest_of(expected));
      things.emplace_back(name, [&rival = **model] { rival.run(); });
    }
    for (const auto& [name, session] : others_) {
      check(bnrun::testing::largest_difference(expected, session.run(in)), largest_of(expected));
      things.emplace_back(name, [&] { session.run(in, out); });
    }
    const std::size_t engines = things.size();
    things.emplace_back("", [&] { machine.multiply_add(); });
    if (buffer_bytes != 0) things.emplace_back("", [&] { machine.read(buffer_bytes); });

    int left_out = 0;
    // Processors that have been idle are slow for milliseconds, which one that is never idle does not show.
    const int slice = options.quick ? 1 : threads_ == 1 ? options.slice : std::max(options.slice, 20);
    bnrun::cli::Turns turns{.turns = options.quick ? 5 : 41,
                            .slice = std::chrono::milliseconds(slice),
                            .longest = std::chrono::seconds(options.quick   ? 1
                                                            : threads_ == 1 ? options.longest
                                                                            : 3 * options.longest),
                            .own_time = threads_ == 1};
    turns.counts = [&] {
      const bool counts = machine.undisturbed();
      left_out += counts ? 0 : 1;
      return counts;
    };
    std::vector<std::function<void()>> work;
    for (const auto& thing : things) work.push_back(thing.second);
    const auto seconds = bnrun::cli::time_in_turns(work, turns);
    const auto median_of = [&](std::size_t i) { return bnrun::cli::median(seconds[i]); };
    json times;
    for (std::size_t i = 0; i < engines; ++i)
      times[things[i].first] = median_of(i) * 1e6 / static_cast<double>(rows);
    json cell = {{"rows", rows},
                 {"threads", threads_},
                 {"microseconds_per_row", times},
                 {"left_out", left_out},
                 {"flops_of_one_thread", machine.flops() / median_of(engines)}};
    if (buffer_bytes != 0) cell["bytes_per_second"] = machine.bytes() / median_of(engines + 1);
    return cell;
  }

 private:
  static double largest_of(std::span<const bnrun::NamedTensor> outputs) {
    double largest = 1.0;
    for (const auto& output : outputs) {
      const bnrun::Tensor numbers = bnrun::convert(output.tensor, bnrun::DType::float64);
      for (const double x : numbers.span<double>()) largest = std::max(largest, std::abs(x));
    }
    return largest;
  }

  void check(double difference, double largest) const {
    if (!(difference <= within_ * largest))
      throw std::runtime_error(
          fmt::format("the engines differ by {:.3g}, the largest number being {:.3g}", difference, largest));
  }

  int threads_;
  double within_;
  bnrun::Session ours_;
  bnrun::Session ours_unfolded_;
  std::optional<OrtModel> ort_;
  std::optional<OrtModel> ort_folded_;
  std::vector<std::pair<std::string, bnrun::Session>> others_;
};

/// Bytes that a process of its own has in memory at most while it does this.
long peak_bytes(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      work();
      ::_exit(0);
    } catch (const std::exception& error) {
      fmt::print(stderr, "ort_bench: {}\n", error.what());
      ::_exit(1);
    }
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || ::wait4(child, &status, 0, &usage) != child || status != 0)
    throw std::runtime_error("a process of its own failed");
  return usage.ru_maxrss * 1024;
}

/// What loading a model and running it for one row takes, on one thread. REQUIRES: this process has no threads.
json measure_memory(const std::string& path) {
  const auto ours = [&] {
    const auto session = bnrun::Session::load(path, {.threads = 1});
    const auto& port = session.inputs().at(0);
    const bnrun::Tensor x = bnrun::testing::batch_for(port, 1);
    for (int i = 0; i < 3; ++i) session.run({{port.name, x}});
  };
  const auto theirs = [&] {
    Ort::Env env(ORT_LOGGING_LEVEL_ERROR);
    OrtModel model(env, path, 1);
    for (int i = 0; i < 3; ++i) model.run_once(7);
  };
  return {{"bnrun", peak_bytes(ours)}, {"ort", peak_bytes(theirs)}};
}

json bench(const Options& options) {
  std::map<std::string, json> memory;
  for (const auto& path : options.models) {
    if (options.memory) memory[path] = measure_memory(path);
  }
  const Limits limits = measure_machine(options);
  Ort::Env env(ORT_LOGGING_LEVEL_ERROR);
  json cells = json::array();
  for (const int threads : options.threads) {
    Yardsticks machine(threads);
    for (const auto& path : options.models) {
      const auto name = std::filesystem::path(path).stem().string();
      const auto macs = bnrun::macs_per_row(bnrun::Model::load(path)).value_or(0);
      Rivals rivals(env, path, threads, options);
      const auto& limit = limits.at(threads);
      for (const auto rows : options.rows) {
        fmt::print(stderr, "{}, {} rows, {} threads\n", name, rows, threads);
        // Of dense layers each weight is read for one multiply-add of a row; those of bytes and of bfloat16 are small here.
        const bool from_memory = rows == 1 && macs * 4 > static_cast<std::int64_t>(limit.cache_bytes);
        json cell = rivals.time(rows, machine, from_memory ? limit.buffer_bytes : 0, options);
        cell["model"] = name;
        cell["macs_per_row"] = macs;
        cells.push_back(std::move(cell));
      }
    }
  }
  json result = describe_machine(limits);
  for (const auto& [path, bytes] : memory)
    result["peak_bytes"][std::filesystem::path(path).stem().string()] = bytes;
  result["mode"] = options.quick ? "quick" : "full";
  result["bnrun"] = BNRUN_VERSION;
  result["ort"] = Ort::GetVersionString();
  result["cells"] = std::move(cells);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"bnrun and ONNX Runtime in turns, as JSON"};
  Options options;
  app.add_option("MODEL", options.models, "X.onnx, beside which X.folded.onnx may lie")->required();
  app.add_option("-b,--batch", options.rows, "Rows")->delimiter(',');
  app.add_option("-t,--threads", options.threads, "Threads")->delimiter(',');
  app.add_option("--slice", options.slice, "Milliseconds of one turn, on several threads 20 at least");
  app.add_option("--longest", options.longest,
                 "Seconds of all turns of one measurement on one thread; three times as many on several");
  app.add_flag("--memory", options.memory, "Measure what each engine takes in memory, too");
  app.add_flag("--quick", options.quick, "A few short turns");
  app.add_flag("--fast", options.fast, "bnrun with --kernels fast as well");
  app.add_flag("--packed", options.packed, "bnrun with --kernels packed as well");
  app.add_option(
      "--within", options.within,
      "How far the engines may differ, in shares of the largest number: 0.1 for models that round to bytes");
  CLI11_PARSE(app, argc, argv);
  try {
    fmt::print("{}\n", bench(options).dump(1));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "ort_bench: {}\n", error.what());
    return 1;
  }
}
