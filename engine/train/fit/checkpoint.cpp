// A checkpoint: a line that says what it is, a checksum, then the numbers.
#include "base/fail.h"
#include "train/fit/bytes.h"
#include "train/fit/training.h"

namespace bnrun::train {
namespace {

constexpr std::string_view kHeader = "bnrun training checkpoint 1\n";

void put(ByteWriter& out, const Snapshot& snapshot) {
  out.put(snapshot.epoch);
  out.put(snapshot.loss);
  out.put(snapshot.weights);
  out.put(snapshot.statistics);
}
void get(ByteReader& in, Snapshot& snapshot) {
  in.get(snapshot.epoch);
  in.get(snapshot.loss);
  in.get(snapshot.weights);
  in.get(snapshot.statistics);
}

void put(ByteWriter& out, const std::optional<double>& value) {
  out.put(value.has_value());
  out.put(value.value_or(0.0));
}
void get(ByteReader& in, std::optional<double>& value) {
  bool given = false;
  double number = 0.0;
  in.get(given);
  in.get(number);
  value = given ? std::optional(number) : std::nullopt;
}

/// What the last epoch says of the finished network is left out: a resumed training may go on behind it.
void put(ByteWriter& out, const EpochReport& report) {
  out.put(report.epoch);
  for (const double value : {report.loss, report.metric, report.learning_rate, report.seconds})
    out.put(value);
  put(out, report.validation_loss);
  put(out, report.validation_metric);
}
void get(ByteReader& in, EpochReport& report) {
  in.get(report.epoch);
  for (double* value : {&report.loss, &report.metric, &report.learning_rate, &report.seconds}) in.get(*value);
  get(in, report.validation_loss);
  get(in, report.validation_metric);
}

struct DescribeLayer {
  ByteWriter& out;
  void operator()(const Dense& d) const {
    out.put(d.units);
    out.put(d.use_bias);
  }
  void operator()(const BatchNormalization& b) const {
    out.put(b.momentum);
    out.put(b.epsilon);
    out.put(b.center);
    out.put(b.scale);
  }
  void operator()(const LayerNormalization& l) const {
    out.put(l.epsilon);
    out.put(l.center);
    out.put(l.scale);
  }
  void operator()(const Dropout& d) const { out.put(d.rate); }
  void operator()(const LeakyRelu& l) const { out.put(l.alpha); }
  void operator()(const Elu& e) const { out.put(e.alpha); }
  void operator()(const Shortcut& s) const { out.put(s.layers); }
  void operator()(Activation kind) const { out.put(static_cast<int>(kind)); }
};

struct DescribeOptimizer {
  ByteWriter& out;
  void operator()(const Sgd& o) const {
    for (const double v : {o.learning_rate, o.momentum, o.nesterov ? 1.0 : 0.0}) out.put(v);
  }
  void operator()(const Adam& o) const {
    for (const double v : {o.learning_rate, o.beta_1, o.beta_2, o.epsilon}) out.put(v);
  }
  void operator()(const AdamW& o) const {
    for (const double v : {o.learning_rate, o.beta_1, o.beta_2, o.epsilon, o.weight_decay}) out.put(v);
  }
  void operator()(const RmsProp& o) const {
    for (const double v : {o.learning_rate, o.rho, o.momentum, o.epsilon}) out.put(v);
  }
  void operator()(const Lion& o) const {
    for (const double v : {o.learning_rate, o.beta_1, o.beta_2, o.weight_decay}) out.put(v);
  }
};

}  // namespace

std::uint64_t Training::State::fingerprint() const {
  ByteWriter out;
  for (const LayerSpec& spec : stack.specs()) {
    out.put(spec.index());
    std::visit(DescribeLayer{out}, spec);
  }
  out.put(options.optimizer.index());
  std::visit(DescribeOptimizer{out}, options.optimizer);
  out.put(static_cast<int>(stack.folding()));
  out.put(static_cast<int>(stack.objective().loss()));
  const LossOptions& loss = stack.objective().options();
  out.put(loss.label_smoothing);
  out.put(loss.huber_delta);
  out.put(loss.class_weights);
  out.put(options.batch);
  out.put(options.seed);
  for (const double v : {options.l2, options.clip_norm, options.clip_value}) out.put(v);
  out.put(static_cast<int>(options.schedule.kind));
  for (const double v : {options.schedule.factor, options.schedule.warm_up}) out.put(v);
  out.put(options.schedule.every);
  if (options.schedule.kind == Schedule::Kind::cosine) out.put(options.epochs);
  out.put(options.freeze_statistics.value_or(0));
  out.put(options.restore_best);
  if (options.plateau) {
    out.put(options.plateau->patience);
    for (const double v : {options.plateau->factor, options.plateau->least}) out.put(v);
  }
  if (options.early_stopping) {
    out.put(options.early_stopping->patience);
    out.put(options.early_stopping->least_gain);
  }
  for (const Dataset* data : {&seen, &validation}) {
    out.put(data->features);
    out.put(data->labels);
    out.put(data->targets);
  }
  return checksum(out.bytes());
}

std::string Training::State::checkpoint() const {
  ByteWriter out;
  out.put(fingerprint());
  out.put(step);
  out.put(optimizer.steps());
  out.put(optimizer.first());
  out.put(optimizer.second());
  out.put(random.state());
  out.put(plateau_factor);
  out.put(epochs_since_plateau);
  out.put(plateau_loss);
  out.put(epochs_without_gain);
  out.put(stopping_loss);
  out.put(stopped_early);
  out.put(order);
  out.put(std::uint64_t{history.size()});
  for (const EpochReport& report : history) put(out, report);
  put(out, last);
  put(out, best);
  ByteWriter whole;
  whole.put(checksum(out.bytes()));
  return std::string(kHeader) + whole.bytes() + out.bytes();
}

void Training::State::resume(std::string_view bytes) {
  if (!bytes.starts_with(kHeader)) fail(ErrorCode::invalid_input, "this is no checkpoint of a training");
  ByteReader head(bytes.substr(kHeader.size()));
  std::uint64_t sum = 0;
  head.get(sum);
  const std::string_view body = bytes.substr(kHeader.size() + sizeof sum);
  if (checksum(body) != sum)
    fail(ErrorCode::invalid_input, "the checkpoint is damaged: its checksum differs");
  ByteReader in(body);
  std::uint64_t print = 0;
  in.get(print);
  if (print != fingerprint())
    fail(ErrorCode::invalid_input,
         "the checkpoint is of a training with another network, other data or other options");
  int steps = 0;
  std::vector<float> first;
  std::vector<float> second;
  std::string random_state;
  in.get(step);
  in.get(steps);
  in.get(first);
  in.get(second);
  in.get(random_state);
  in.get(plateau_factor);
  in.get(epochs_since_plateau);
  in.get(plateau_loss);
  in.get(epochs_without_gain);
  in.get(stopping_loss);
  in.get(stopped_early);
  in.get(order);
  std::uint64_t epochs = 0;
  in.get(epochs);
  for (std::uint64_t i = 0; i < epochs; ++i) get(in, history.emplace_back());
  get(in, last);
  get(in, best);
  optimizer.restore(steps, std::move(first), std::move(second));
  random.set_state(random_state);
  restore(last);
}

}  // namespace bnrun::train
