#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <variant>

#include "base/fail.h"
#include "train/network.h"
#include "train/optimizer.h"

namespace bnrun::train {
namespace {

void check_options(const FitOptions& options) {
  if (options.epochs < 1) fail(ErrorCode::invalid_input, "{} epochs", options.epochs);
  if (options.batch < 1) fail(ErrorCode::invalid_input, "batches of {} rows", options.batch);
  if (!(options.validation >= 0.0 && options.validation < 1.0)) {
    fail(ErrorCode::invalid_input, "validation fraction {}, expected 0 <= fraction < 1", options.validation);
  }
  check_optimizer(options.optimizer);
}

/// The rows of one step, gathered in shuffled order.
class Gatherer {
 public:
  explicit Gatherer(const Dataset& data) : data_(data) {}

  Batch<float> gather(std::span<const std::size_t> rows) {
    take(rows, data_.features, features_);
    take(rows, data_.labels, labels_);
    take(rows, data_.targets, targets_);
    return {static_cast<std::int64_t>(rows.size()), features_.data(), labels_.data(), targets_.data()};
  }

 private:
  template <class V>
  void take(std::span<const std::size_t> rows, const std::vector<V>& from, std::vector<V>& to) const {
    const std::size_t width = from.size() / static_cast<std::size_t>(data_.rows());
    to.resize(rows.size() * width);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(rows[i] * width), width,
                  to.begin() + static_cast<std::ptrdiff_t>(i * width));
    }
  }

  const Dataset& data_;
  std::vector<float> features_;
  std::vector<std::int64_t> labels_;
  std::vector<float> targets_;
};

/// Rows of the step that begins at `first`: a full batch, or what is left (see FitOptions::batch).
std::size_t step_rows(std::size_t first, std::size_t rows, std::size_t batch, bool needs_two) {
  const std::size_t left = rows - first;
  return left <= batch || (needs_two && left == batch + 1) ? left : batch;
}

class Trainer {
 public:
  Trainer(Network& network, const Dataset& data, const FitOptions& options)
      : network_(network),
        options_(options),
        stack_(network.state().stack),
        data_(scaled(network, data)),
        gatherer_(data_),
        optimizer_(options.optimizer, stack_.weights().size()),
        random_(options.seed ^ kOrderStream) {
    const auto is_normalization = [](const LayerSpec& spec) {
      return std::holds_alternative<BatchNormalization>(spec);
    };
    const auto& specs = network.state().specs;
    needs_two_ = std::any_of(specs.begin(), specs.end(), is_normalization);
    if (needs_two_ && (options.batch < 2 || data.rows() < 2)) {
      fail(ErrorCode::invalid_input, "BatchNormalization needs at least two rows per step");
    }
  }

  EpochReport run_epoch(int epoch, std::span<std::size_t> order) {
    const auto start = std::chrono::steady_clock::now();
    random_.shuffle(order);
    EpochReport report{.epoch = epoch};
    const auto batch_rows = static_cast<std::size_t>(options_.batch);
    for (std::size_t first = 0, count = 0; first < order.size(); first += count) {
      count = step_rows(first, order.size(), batch_rows, needs_two_);
      const Batch<float> batch = gatherer_.gather(order.subspan(first, count));
      const double loss = stack_.forward(batch);
      if (!std::isfinite(loss)) diverged(epoch);
      report.loss += loss * static_cast<double>(count);
      report.metric += summed_metric(batch);
      stack_.backward(batch);
      optimizer_.step(stack_.weights(), stack_.gradients());
    }
    const auto weights = stack_.weights();
    if (!std::all_of(weights.begin(), weights.end(), [](float w) { return std::isfinite(w); }))
      diverged(epoch);
    report.loss /= static_cast<double>(order.size());
    report.metric /= static_cast<double>(order.size());
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
  }

 private:
  /// Keeps the order of rows independent of the initial weights and the split when all have the same seed.
  static constexpr std::uint64_t kOrderStream = 0x9e3779b97f4a7c15;

  [[noreturn]] void diverged(int epoch) const {
    const double rate = std::visit([](const auto& o) { return o.learning_rate; }, options_.optimizer);
    fail(ErrorCode::invalid_input,
         "training diverged in epoch {}: the loss is no longer finite; lower the learning rate (now {}) or "
         "scale "
         "the inputs",
         epoch, rate);
  }

  /// Rows classified correctly, or the sum over rows of the mean absolute error.
  double summed_metric(const Batch<float>& batch) const {
    const auto y = stack_.output(batch);
    const auto width = static_cast<std::size_t>(stack_.outputs());
    const auto rows = static_cast<std::size_t>(batch.rows);
    double sum = 0.0;
    if (network_.loss() == Loss::cross_entropy) {
      for (std::size_t r = 0; r < rows; ++r) {
        const auto row = y.subspan(r * width, width);
        sum += std::max_element(row.begin(), row.end()) - row.begin() == batch.labels[r] ? 1.0 : 0.0;
      }
      return sum;
    }
    const auto& factor = network_.target_scaling().factor;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double error = std::abs(static_cast<double>(y[i]) - static_cast<double>(batch.targets[i]));
      sum += factor.empty() ? error : error / std::abs(static_cast<double>(factor[i % width]));
    }
    return sum / static_cast<double>(width);
  }

  Network& network_;
  const FitOptions& options_;
  Stack<float>& stack_;
  Dataset data_;
  Gatherer gatherer_;
  OptimizerState optimizer_;
  Random random_;
  bool needs_two_ = false;
};

}  // namespace

std::vector<EpochReport> fit(Network& network, const Dataset& data, const FitOptions& options) {
  check_options(options);
  check_data(network, data);
  const auto rows = static_cast<std::size_t>(data.rows());
  const auto held_out =
      static_cast<std::size_t>(std::llround(options.validation * static_cast<double>(rows)));
  if (options.validation > 0.0 && (held_out == 0 || held_out == rows)) {
    fail(ErrorCode::invalid_input, "validation fraction {} of {} rows leaves {} to train and {} to validate",
         options.validation, rows, rows - held_out, held_out);
  }
  const RowSplit split = split_rows(data, held_out, options.seed);
  const auto validation = take_rows(data, split.drawn);
  const auto training = take_rows(data, split.rest);
  Trainer trainer(network, training, options);
  std::vector<std::size_t> training_order(rows - held_out);
  std::iota(training_order.begin(), training_order.end(), std::size_t{0});
  std::vector<EpochReport> history;
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    EpochReport report = trainer.run_epoch(epoch, training_order);
    if (held_out > 0) {
      const auto evaluation = evaluate(network, validation);
      report.validation_loss = evaluation.loss;
      report.validation_metric = evaluation.metric;
    }
    if (epoch == options.epochs) {
      const auto evaluation = evaluate(network, training);
      report.trained_loss = evaluation.loss;
      report.trained_metric = evaluation.metric;
    }
    history.push_back(report);
    if (options.on_epoch) options.on_epoch(report);
  }
  return history;
}

}  // namespace bnrun::train
