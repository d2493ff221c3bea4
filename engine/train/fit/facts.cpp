// Which training a checkpoint is of, name by name, so that it can be said what differs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "train/fit/bytes.h"
#include "train/fit/training.h"
#include "train/layers/shapes.h"

namespace bnrun::train {
namespace {

std::string described(const Optimizer& optimizer) {
  struct Describe {
    std::string operator()(const Sgd& o) const {
      return fmt::format("sgd({}, {}{})", o.learning_rate, o.momentum, o.nesterov ? ", nesterov" : "");
    }
    std::string operator()(const Adam& o) const {
      return fmt::format("adam({}, {}, {}, {})", o.learning_rate, o.beta_1, o.beta_2, o.epsilon);
    }
    std::string operator()(const AdamW& o) const {
      return fmt::format("adamw({}, {}, {}, {}, {})", o.learning_rate, o.beta_1, o.beta_2, o.epsilon,
                         o.weight_decay);
    }
    std::string operator()(const RmsProp& o) const {
      return fmt::format("rmsprop({}, {}, {}, {})", o.learning_rate, o.rho, o.momentum, o.epsilon);
    }
    std::string operator()(const Lion& o) const {
      return fmt::format("lion({}, {}, {}, {})", o.learning_rate, o.beta_1, o.beta_2, o.weight_decay);
    }
  };
  return std::visit(Describe{}, optimizer);
}

struct DescribeLayer {
  static const char* left_out(bool center, bool scale) {
    return center ? (scale ? "" : ", noscale") : (scale ? ", nocenter" : ", nocenter, noscale");
  }
  std::string operator()(const Dense& d) const {
    return fmt::format("dense({}{}, {} * {})", d.units, d.use_bias ? "" : ", nobias", name_of(d.initializer),
                       d.initial_scale);
  }
  std::string operator()(const BatchNormalization& b) const {
    return fmt::format("bn({}, {}{})", b.momentum, b.epsilon, left_out(b.center, b.scale));
  }
  std::string operator()(const LayerNormalization& l) const {
    return fmt::format("ln({}{})", l.epsilon, left_out(l.center, l.scale));
  }
  std::string operator()(const Dropout& d) const { return fmt::format("dropout({})", d.rate); }
  std::string operator()(const LeakyRelu& l) const { return fmt::format("leaky_relu({})", l.alpha); }
  std::string operator()(const Elu& e) const { return fmt::format("elu({})", e.alpha); }
  static std::string of_windows(const Size2D& size, const Size2D& strides, Padding padding) {
    return fmt::format("{}x{}, {}x{}{}", size.height, size.width, strides.height, strides.width,
                       padding == Padding::same ? ", same" : "");
  }
  std::string operator()(const Conv2D& c) const {
    return fmt::format("conv({}, {}{}, {} * {})", c.filters, of_windows(c.kernel, c.strides, c.padding),
                       c.use_bias ? "" : ", nobias", name_of(c.initializer), c.initial_scale);
  }
  std::string operator()(const Pooling2D& p) const {
    return fmt::format("{}({})", p.kind == Pooling2D::Kind::maximum ? "maxpool" : "avgpool",
                       of_windows(p.window, p.strides, p.padding));
  }
  std::string operator()(const GlobalAveragePooling2D& /*spec*/) const { return "gap"; }
  std::string operator()(const Embedding& e) const {
    std::vector<std::string> columns;
    for (const auto& [column, values, width] : e.columns)
      columns.push_back(fmt::format("{}: {} as {}", column, values, width));
    return fmt::format("embedding({})", fmt::join(columns, ", "));
  }
  std::string operator()(const Flatten& /*spec*/) const { return "flatten"; }
  std::string operator()(const Shortcut& s) const { return fmt::format("shortcut({})", s.layers); }
  std::string operator()(Activation kind) const {
    constexpr std::array<const char*, 7> kNames{"linear",  "relu", "tanh", "sigmoid",
                                                "softmax", "gelu", "selu"};
    return kNames[static_cast<std::size_t>(kind)];
  }
};

std::string described(const Schedule& schedule, int epochs) {
  const std::string warm_up = fmt::format(", warm-up {}", schedule.warm_up);
  switch (schedule.kind) {
    case Schedule::Kind::constant:
      return "constant" + warm_up;
    case Schedule::Kind::step:
      return fmt::format("step({}, {}){}", schedule.every, schedule.factor, warm_up);
    case Schedule::Kind::cosine:
      break;
  }
  return fmt::format("cosine({}) over {} epochs{}", schedule.factor, epochs, warm_up);
}

std::string sum_of(const Dataset& data) {
  Checksum sum;
  sum.add(data.features);
  sum.add(data.labels);
  sum.add(data.targets);
  return fmt::format("{} rows{}{:016x}", data.rows(), kUnreadable, sum.value());
}

std::string sum_of(const Scaling& scaling) {
  Checksum sum;
  sum.add(scaling.offset);
  sum.add(scaling.factor);
  return fmt::format("{} numbers{}{:016x}", scaling.factor.size(), kUnreadable, sum.value());
}

}  // namespace

const Facts& Training::State::facts() {
  if (facts_) return *facts_;
  Facts& facts = facts_.emplace();
  std::vector<std::string> layers;
  for (const LayerSpec& spec : stack.specs()) layers.push_back(std::visit(DescribeLayer{}, spec));
  facts.emplace_back("network", fmt::format("{}", fmt::join(layers, " ")));
  const LossOptions& loss = stack.objective().options();
  facts.emplace_back("loss", fmt::format("{}, smoothing {}, delta {}", name_of(stack.objective().loss()),
                                         loss.label_smoothing, loss.huber_delta));
  constexpr std::array<const char*, 3> kFoldings{"none", "folded", "int8"};
  facts.emplace_back("folding", kFoldings[static_cast<std::size_t>(stack.folding())]);
  facts.emplace_back("optimiser", described(options.optimizer));
  facts.emplace_back("schedule", described(options.schedule, options.epochs));
  facts.emplace_back("batch", fmt::format("{}", options.batch));
  facts.emplace_back("seed", fmt::format("{}", options.seed));
  facts.emplace_back("l2", fmt::format("{}", options.l2));
  facts.emplace_back("clipping", fmt::format("norm {}, value {}", options.clip_norm, options.clip_value));
  facts.emplace_back("epoch to freeze statistics at",
                     options.freeze_statistics ? fmt::format("{}", *options.freeze_statistics) : "none");
  facts.emplace_back("epoch to round from", fmt::format("{}", options.quantise_from));
  facts.emplace_back("plateau", options.plateau ? fmt::format("{}, {}, {}", options.plateau->patience,
                                                              options.plateau->factor, options.plateau->least)
                                                : "none");
  facts.emplace_back("early stopping", options.early_stopping
                                           ? fmt::format("{}, {}", options.early_stopping->patience,
                                                         options.early_stopping->least_gain)
                                           : "none");
  facts.emplace_back("choice of weights to keep", options.restore_best ? "the best" : "the last");
  facts.emplace_back("share to validate on", fmt::format("{}", options.validation));
  facts.insert(facts.end(), options.bound_to.begin(), options.bound_to.end());
  facts.emplace_back("shape of a row", text_of(stack.shapes()[0]));
  facts.emplace_back("table to train on", sum_of(training));
  facts.emplace_back("table to validate on", sum_of(validation));
  facts.emplace_back("scaling of the inputs", sum_of(network.input_scaling()));
  facts.emplace_back("scaling of the targets", sum_of(network.target_scaling()));
  Checksum class_weights;
  class_weights.add(loss.class_weights);
  facts.emplace_back("weighting of the classes", fmt::format("{} weights{}{:016x}", loss.class_weights.size(),
                                                             kUnreadable, class_weights.value()));
  return facts;
}

}  // namespace bnrun::train
