// Which training a checkpoint is of.
#include "train/fit/bytes.h"
#include "train/fit/training.h"

namespace bnrun::train {
namespace {

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

}  // namespace bnrun::train
