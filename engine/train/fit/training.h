// What a Training is made of.
#pragma once

#include <string>
#include <vector>

#include "train/fit/optimizer.h"
#include "train/fit/steps.h"
#include "train/network.h"

namespace bnrun::train {

/// Weights and statistics of a network at the end of an epoch.
struct Snapshot {
  int epoch = 0;
  double loss = 0.0;  ///< the watched one
  std::vector<float> weights;
  std::vector<double> statistics;
};

struct Training::State {
  State(Network& network, const Dataset& data, FitOptions options);

  void run_epoch();
  void finish();
  std::string checkpoint() const;
  void resume(std::string_view bytes);
  /// Which network, data and options this is, as a number.
  std::uint64_t fingerprint() const;

  Snapshot snapshot(double loss) const;
  void restore(const Snapshot& from);
  /// The sum over the rows of loss and metric of what is trained on.
  bool train_rows(EpochReport& report);
  void watch(const EpochReport& report);
  [[noreturn]] void diverge(std::int64_t step, const char* what);

  Network& network;
  FitOptions options;
  Stack<float>& stack;
  Dataset validation;  // as it is, not scaled
  Dataset training;
  Dataset seen;  // `training`, scaled
  Gatherer gatherer;
  OptimizerState<float> optimizer;
  Random random;
  bool needs_two = false;
  std::int64_t steps_per_epoch = 0;

  // What changes.
  std::int64_t step = 0;
  double plateau_factor = 1.0;
  int epochs_since_plateau = 0;
  double plateau_loss = 0.0;
  int epochs_without_gain = 0;
  double stopping_loss = 0.0;
  bool stopped_early = false;
  bool interrupted = false;
  std::vector<std::size_t> order;
  std::vector<EpochReport> history;
  Snapshot best;
  Snapshot last;  // good epoch
};

}  // namespace bnrun::train
