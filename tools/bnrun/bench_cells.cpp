#include "bench_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <utility>

#include "common/bound_run.h"
#include "common/model_source.h"
#include "common/program.h"
#include "common/turns.h"
#include "footprint.h"
#include "io/file.h"

namespace bnrun::cli {
namespace {

SessionOptions session_options(const BenchOptions& options, bool fold, int threads) {
  SessionOptions result{.threads = threads, .kernels = options.kernels};
  if (!fold) result.fold.reset();
  return result;
}

/// One model as it runs with one way of folding and so many threads.
class Subject {
 public:
  Subject(const std::string& path, const BenchOptions& options, bool fold, int threads)
      : name_(io::display_name(path)),
        fold_(fold),
        sizes_(options.sizes),
        session_(open_session(path, session_options(options, fold, threads))) {}

  /// Returns the rows of a run: these, or the model's own.
  std::int64_t bind(std::int64_t rows) {
    run_ = in_file(name_, [&] { return std::make_unique<BoundRun>(session_, rows, sizes_); });
    return run_->rows();
  }
  void run() { run_->run(); }
  bool fold() const { return fold_; }
  int threads() const { return session_.threads(); }
  Profile profile() const { return session_.profile(run_->inputs()); }

 private:
  std::string name_;
  bool fold_;
  const Sizes& sizes_;
  Session session_;
  std::unique_ptr<BoundRun> run_;
};

class Bench {
 public:
  Bench(const BenchOptions& options, const std::function<void(std::size_t, const std::string&)>& progress)
      : options_(options), progress_(progress) {}

  BenchResult run() {
    // First of all, while this process is as small as a program that only runs the model.
    for (const auto& path : options_.models) {
      if (path == "-") load_model(path);  // the copies of this process cannot read it
      for (const bool fold : options_.fold) {
        begin("loading " + path);
        const auto rows = *std::max_element(options_.rows.begin(), options_.rows.end());
        footprints_.push_back(footprint_of(path, session_options(options_, fold, 1), rows, options_.sizes));
      }
    }
    if (options_.limits) {
      for (const int threads : options_.threads) {
        begin("the limits of the machine");
        result_.limits.push_back(measure_limits(threads, kLimitBytes));
      }
    }
    for (std::size_t i = 0; i < options_.models.size(); ++i) {
      const auto& path = options_.models[i];
      measure_model(path, i);
    }
    return std::move(result_);
  }

 private:
  void begin(const std::string& what) { progress_(part_++, what); }

  void measure_model(const std::string& path, std::size_t number) {
    for (std::size_t t = 0; t < options_.threads.size(); ++t) {
      std::vector<std::unique_ptr<Subject>> subjects;
      for (const bool fold : options_.fold)
        subjects.push_back(std::make_unique<Subject>(path, options_, fold, options_.threads[t]));
      std::set<std::int64_t> timed;
      for (const auto asked : options_.rows) {
        begin(fmt::format("{}, {} rows", path, asked));
        const auto rows = subjects[0]->bind(asked);
        if (rows != asked) remark_own_rows(path, rows);
        if (!timed.insert(rows).second) continue;
        std::vector<std::function<void()>> things;
        for (const auto& subject : subjects) {
          subject->bind(rows);
          things.emplace_back([&subject] { subject->run(); });
        }
        const auto latencies = latencies_in_turns(
            things, std::chrono::duration<double>(options_.seconds * static_cast<double>(things.size())));
        for (std::size_t i = 0; i < subjects.size(); ++i) {
          BenchCell cell = cell_of(*subjects[i], rows, latencies[i], t);
          cell.model = path;
          const auto& footprint = footprints_[number * options_.fold.size() + i];
          cell.load_milliseconds = footprint ? footprint->load_seconds * 1e3 : 0.0;
          if (footprint) cell.peak_bytes = footprint->peak_bytes;
          result_.cells.push_back(std::move(cell));
        }
      }
    }
  }

  void remark_own_rows(const std::string& path, std::int64_t rows) {
    const auto remark =
        fmt::format("{}: a run of it is always {} row{}, whatever -b says", path, rows, rows == 1 ? "" : "s");
    auto& remarks = result_.remarks;
    if (std::find(remarks.begin(), remarks.end(), remark) == remarks.end()) remarks.push_back(remark);
  }

  BenchCell cell_of(const Subject& subject, std::int64_t rows, const std::vector<double>& latencies,
                    std::size_t t) const {
    const double p50 = median(latencies);
    BenchCell cell{.fold = subject.fold(), .rows = rows, .threads = options_.threads[t]};
    cell.p50 = p50 * 1e6;
    cell.p90 = quantile(latencies, 0.9) * 1e6;
    cell.p99 = quantile(latencies, 0.99) * 1e6;
    cell.rows_per_second = static_cast<double>(rows) / p50;
    const Profile profile = subject.profile();
    std::optional<std::int64_t> flops = 0;
    std::int64_t bytes = 0;
    for (const StepProfile& step : profile.steps) {
      flops = flops && step.flops ? std::optional(*flops + *step.flops) : std::nullopt;
      bytes += step.bytes;
      // Of products that none of the compiler's kernels computes, those of floats go to BLAS.
      const bool own = step.kernel != "operator" && step.kernel != "dense, BLAS";
      cell.uses_blas = cell.uses_blas || (step.flops.value_or(0) > 0 && !own);
    }
    if (flops) cell.gflops = static_cast<double>(*flops) / p50 * 1e-9;
    const auto limits = options_.limits ? std::optional(result_.limits[t]) : std::nullopt;
    if (limits) cell.share = share_of_limit(*limits, flops, bytes, p50);
    cell.dominates = what_dominates(profile, limits);
    return cell;
  }

  const BenchOptions& options_;
  const std::function<void(std::size_t, const std::string&)>& progress_;
  std::size_t part_ = 0;
  std::vector<std::optional<Footprint>> footprints_;  ///< by model, then way of folding
  BenchResult result_;
};

}  // namespace

std::size_t parts_of(const BenchOptions& options) {
  return options.models.size() * (options.fold.size() + options.threads.size() * options.rows.size()) +
         (options.limits ? options.threads.size() : 0);
}

BenchResult bench(const BenchOptions& options,
                  const std::function<void(std::size_t, const std::string&)>& progress) {
  return Bench(options, progress).run();
}

}  // namespace bnrun::cli
