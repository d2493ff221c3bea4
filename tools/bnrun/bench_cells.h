// What `bnrun bench` measures.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bnrun/machine.h"
#include "bnrun/session.h"
#include "common/made_up.h"
#include "limits.h"

namespace bnrun::cli {

struct BenchOptions {
  std::vector<std::string> models;
  std::vector<std::int64_t> rows{1, 8, 64};
  std::vector<int> threads{1};
  std::vector<bool> fold{true};
  Kernels kernels = Kernels::automatic;
  Sizes sizes;
  double seconds = 0.5;  ///< for one cell
  bool limits = true;
};

/// One model at one batch size, number of threads and way of folding.
struct BenchCell {
  std::string model;
  bool fold = true;
  std::int64_t rows = 0;
  int threads = 1;
  /// Microseconds that a run takes: half, nine tenths, 99 of 100 take no longer.
  double p50 = 0.0;
  double p90 = 0.0;
  double p99 = 0.0;
  double rows_per_second = 0.0;  ///< at the median
  std::optional<double> gflops;  ///< likewise; absent where the operations are not known
  std::optional<Share> share;
  double load_milliseconds = 0.0;
  std::optional<std::int64_t> peak_bytes;  ///< of a process that loads the model and runs the largest batch
  bool uses_blas = false;
  std::string dominates;  ///< a sentence
};

struct BenchResult {
  std::vector<MachineLimits> limits;  ///< one for each number of threads; empty: not measured
  std::vector<BenchCell> cells;
  std::vector<std::string> remarks;  ///< on models that have a number of rows of their own
};

/// How many times `progress` is called: before each part of the work, with its number and what it is.
std::size_t parts_of(const BenchOptions& options);

/// Throws as loading and running a model do; messages name the file.
BenchResult bench(const BenchOptions& options,
                  const std::function<void(std::size_t part, const std::string& what)>& progress);

}  // namespace bnrun::cli
