#include "train/fit/training.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/fail.h"
#include "bnrun/train_tune.h"
#include "train/fit/schedule.h"

namespace bnrun::train {
namespace {

/// Keeps the order of rows independent of the initial weights and the split when all have the same seed.
constexpr std::uint64_t kOrderStream = 0x9e3779b97f4a7c15;

void check_not_negative(double number, const char* what) {
  if (!(number >= 0.0) || !std::isfinite(number))
    fail(ErrorCode::invalid_input, "{} {}, expected 0 or a positive number", what, number);
}

FitOptions checked(FitOptions options) {
  if (options.epochs < 1) fail(ErrorCode::invalid_input, "{} epochs", options.epochs);
  if (options.threads < 1) fail(ErrorCode::invalid_input, "{} threads", options.threads);
  if (options.batch < 1) fail(ErrorCode::invalid_input, "batches of {} rows", options.batch);
  if (!(options.validation >= 0.0 && options.validation < 1.0))
    fail(ErrorCode::invalid_input, "validation fraction {}, expected 0 <= fraction < 1", options.validation);
  if (options.validation > 0.0 && options.validation_data)
    fail(ErrorCode::invalid_input, "rows to validate on and a fraction of those to train on: give one");
  check_optimizer(options.optimizer);
  check_schedule(options.schedule);
  if (options.plateau) check_plateau(*options.plateau);
  if (options.early_stopping && options.early_stopping->patience < 1)
    fail(ErrorCode::invalid_input, "early stopping after {} epochs", options.early_stopping->patience);
  check_not_negative(options.l2, "l2");
  check_not_negative(options.clip_norm, "clipping to the norm");
  check_not_negative(options.clip_value, "clipping to the value");
  return options;
}

/// Which rows are set aside to validate on.
RowSplit split_off(const Dataset& data, const FitOptions& options) {
  const auto rows = static_cast<std::size_t>(data.rows());
  const auto held_out =
      static_cast<std::size_t>(std::llround(options.validation * static_cast<double>(rows)));
  if (options.validation > 0.0 && (held_out == 0 || held_out == rows))
    fail(ErrorCode::invalid_input, "validation fraction {} of {} rows leaves {} to train and {} to validate",
         options.validation, rows, rows - held_out, held_out);
  return split_rows(data, held_out, options.seed);
}

const Dataset& fitting(const Network& network, const Dataset& data) {
  check_data(network, data);
  return data;
}

}  // namespace

Training::State::State(Network& n, const Dataset& data, FitOptions o)
    : network(n),
      options(checked(std::move(o))),
      stack(n.state().stack),
      validation(options.validation_data.value_or(Dataset{})),
      training(take_rows(data, split_off(fitting(n, data), options).rest)),
      seen(scaled(n, training)),
      gatherer(seen),
      optimizer(options.optimizer, stack.weights().size()),
      random(options.seed ^ kOrderStream) {
  if (options.validation_data)
    check_data(network, validation);
  else
    validation = take_rows(data, split_off(data, options).drawn);
  const auto& specs = stack.specs();
  needs_two = std::any_of(specs.begin(), specs.end(), [](const LayerSpec& spec) {
    return std::holds_alternative<BatchNormalization>(spec);
  });
  if (needs_two && (options.batch < 2 || training.rows() < 2))
    fail(ErrorCode::invalid_input, "BatchNormalization needs at least two rows per step");
  order.resize(static_cast<std::size_t>(training.rows()));
  std::iota(order.begin(), order.end(), std::size_t{0});
  steps_per_epoch = steps_of_epoch(order.size(), static_cast<std::size_t>(options.batch), needs_two);
  if (options.threads > 1) stack.use(&pool.emplace(options.threads));
  stack.freeze_statistics(false);
  last = snapshot(std::numeric_limits<double>::infinity());
  best = last;
}

Training::State::~State() {
  stack.use(nullptr);
}

Snapshot Training::State::snapshot(double loss) const {
  const auto weights = stack.weights();
  return {static_cast<int>(history.size()), loss, {weights.begin(), weights.end()}, stack.statistics()};
}

void Training::State::restore(const Snapshot& from) {
  std::ranges::copy(from.weights, stack.weights().begin());
  stack.set_statistics(from.statistics);
}

void Training::State::diverge(std::int64_t in_epoch, const char* what) {
  restore(last);
  fail(ErrorCode::invalid_input,
       "training diverged in epoch {}, step {}: {} is no longer finite; lower the learning rate (now {}) or "
       "scale the inputs",
       history.size() + 1, in_epoch, what,
       learning_rate_of(options.optimizer) * plateau_factor *
           rate_factor(options.schedule, step, steps_per_epoch, options.epochs));
}

/// False when it was interrupted.
bool Training::State::train_rows(EpochReport& report) {
  const auto batch_rows = static_cast<std::size_t>(options.batch);
  std::int64_t in_epoch = 0;
  for (std::size_t first = 0, count = 0; first < order.size(); first += count) {
    if (options.stop && options.stop()) return false;
    ++in_epoch;
    count = step_rows(first, order.size(), batch_rows, needs_two);
    const Batch<float> batch = gatherer.gather(std::span(order).subspan(first, count));
    stack.begin({options.seed, static_cast<std::uint64_t>(step)});
    double loss = stack.forward(batch);
    report.metric += summed_metric(network, batch, stack.output(batch));
    stack.backward(batch);
    if (options.l2 > 0.0)
      loss += add_penalty<float>(options.l2, stack.kernels(), stack.weights(), stack.gradients());
    if (!std::isfinite(loss)) diverge(in_epoch, "the loss");
    report.loss += loss * static_cast<double>(count);
    clip(stack.gradients(), options.clip_value, options.clip_norm);
    const double factor =
        plateau_factor * rate_factor(options.schedule, step, steps_per_epoch, options.epochs);
    report.learning_rate = learning_rate_of(options.optimizer) * factor;
    optimizer.step(stack.weights(), stack.gradients(), factor);
    ++step;
  }
  const auto weights = stack.weights();
  if (!std::all_of(weights.begin(), weights.end(), [](float w) { return std::isfinite(w); }))
    diverge(in_epoch, "a weight");
  return true;
}

/// Before the first epoch that rounds all is as without int8, to the bit: training goes on from the weights that
/// quantising after training would round, and from the same ranges.
void Training::State::round(int epoch) {
  stack.round_in_training(epoch >= options.quantise_from);
  if (epoch != std::max(options.quantise_from, 1)) return;
  calibrate_ranges(network, training);
  // losses in float are others
  best = {};
  plateau_loss = std::numeric_limits<double>::infinity();
  epochs_since_plateau = 0;
  stopping_loss = std::numeric_limits<double>::infinity();
  epochs_without_gain = 0;
}

void Training::State::run_epoch() {
  const auto start = std::chrono::steady_clock::now();
  const int epoch = static_cast<int>(history.size()) + 1;
  stack.freeze_statistics(options.freeze_statistics && epoch >= *options.freeze_statistics);
  if (stack.folding() == Folding::int8) round(epoch);
  random.shuffle(std::span(order));
  EpochReport report{.epoch = epoch};
  if (!train_rows(report)) {
    interrupted = true;
    return;
  }
  report.loss /= static_cast<double>(order.size());
  report.metric /= static_cast<double>(order.size());
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (validation.rows() > 0) {
    const auto evaluation = evaluate(network, validation);
    report.validation_loss = evaluation.loss;
    report.validation_metric = evaluation.metric;
  }
  history.push_back(report);
  watch(report);
}

void Training::State::watch(const EpochReport& report) {
  const double loss = report.validation_loss.value_or(report.loss);
  last = snapshot(loss);
  if (best.epoch == 0 || loss < best.loss || std::isnan(best.loss)) best = last;
  if (options.plateau) {
    if (loss < plateau_loss) {
      plateau_loss = loss;
      epochs_since_plateau = 0;
    } else if (++epochs_since_plateau >= options.plateau->patience) {
      const double rate = learning_rate_of(options.optimizer);
      plateau_factor = std::max(plateau_factor * options.plateau->factor,
                                std::min(plateau_factor, options.plateau->least / rate));
      epochs_since_plateau = 0;
    }
  }
  if (!options.early_stopping) return;
  if (loss < stopping_loss - options.early_stopping->least_gain) {
    stopping_loss = loss;
    epochs_without_gain = 0;
  } else {
    stopped_early = ++epochs_without_gain >= options.early_stopping->patience;
  }
}

void Training::State::finish() {
  const bool from_best = (options.restore_best || interrupted) && best.epoch > 0;
  if (from_best)
    restore(best);
  else if (interrupted && last.epoch > 0)
    restore(last);  // in the first epoch that rounds, of which half is no epoch
  if (history.empty()) return;
  const int kept = from_best ? best.epoch : static_cast<int>(history.size());
  if (stack.folding() == Folding::int8 && kept < options.quantise_from) {
    stack.round_in_training(true);
    calibrate_ranges(network, training);
  }
  const auto evaluation = evaluate(network, training);
  history.back().trained_loss = evaluation.loss;
  history.back().trained_metric = evaluation.metric;
}

Training::Training(Network& network, const Dataset& data, FitOptions options)
    : state_(std::make_unique<State>(network, data, std::move(options))) {}
Training::~Training() = default;

bool Training::done() const {
  return interrupted() || state_->stopped_early ||
         static_cast<int>(state_->history.size()) >= state_->options.epochs;
}

void Training::run_epoch() {
  state_->run_epoch();
  if (!interrupted() && state_->options.on_epoch) state_->options.on_epoch(state_->history.back());
}

void Training::finish() {
  state_->finish();
}
bool Training::interrupted() const {
  return state_->interrupted;
}
const std::vector<EpochReport>& Training::history() const {
  return state_->history;
}
int Training::kept_epoch() const {
  const bool best = (state_->options.restore_best || interrupted()) && state_->best.epoch > 0;
  return best ? state_->best.epoch : static_cast<int>(state_->history.size());
}
std::string Training::checkpoint() const {
  return state_->checkpoint();
}
void Training::resume(std::string_view checkpoint) {
  state_->resume(checkpoint);
}

std::vector<EpochReport> fit(Network& network, const Dataset& data, const FitOptions& options) {
  Training training(network, data, options);
  while (!training.done()) training.run_epoch();
  training.finish();
  return training.history();
}

}  // namespace bnrun::train
