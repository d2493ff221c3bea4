// What a Training is made of.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "train/fit/checkpoint.h"
#include "train/fit/optimizer.h"
#include "train/fit/steps.h"
#include "train/network.h"

namespace bnrun::train {

struct Training::State : Progress {
  State(Network& network, const Dataset& data, FitOptions options);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void run_epoch();
  /// With Folding::int8: lets this epoch round or not; in the first that does, takes ranges anew and forgets the best.
  void round(int epoch);
  void finish();
  std::string checkpoint();
  /// Changes nothing when it throws.
  void resume(std::string_view bytes);
  /// Throws invalid_input when no training of this network, data and options comes to such numbers.
  void check_sense(const Checkpoint& from) const;
  /// Throws invalid_input naming the first that is another there.
  void check_facts(const Facts& there);
  /// Which network, data and options this is, gathered when first asked for: the data may be large.
  const Facts& facts();

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
  bool interrupted = false;
  std::optional<ThreadPool> pool;
  std::optional<Facts> facts_;
};

}  // namespace bnrun::train
