#include "train/optimizer.h"

#include <cmath>

#include "base/fail.h"

namespace bnrun::train {

void check_optimizer(const Optimizer& optimizer) {
  const double rate = std::visit([](const auto& o) { return o.learning_rate; }, optimizer);
  if (!(rate > 0.0) || !std::isfinite(rate)) {
    fail(ErrorCode::invalid_input, "learning rate {}, expected a positive number", rate);
  }
  const auto check_decay = [](std::string_view name, double decay) {
    if (!(decay >= 0.0 && decay < 1.0)) {
      fail(ErrorCode::invalid_input, "{} {}, expected 0 <= {} < 1", name, decay, name);
    }
  };
  if (const auto* sgd = std::get_if<Sgd>(&optimizer)) return check_decay("momentum", sgd->momentum);
  const auto& adam = std::get<Adam>(optimizer);
  check_decay("beta_1", adam.beta_1);
  check_decay("beta_2", adam.beta_2);
  if (!(adam.epsilon > 0.0)) fail(ErrorCode::invalid_input, "Adam with epsilon {}", adam.epsilon);
}

OptimizerState::OptimizerState(const Optimizer& optimizer, std::size_t weights)
    : optimizer_(optimizer),
      first_(weights),
      second_(std::holds_alternative<Adam>(optimizer) ? weights : 0) {}

void OptimizerState::step(std::span<float> weights, std::span<const float> gradients) {
  ++steps_;
  std::visit([&](const auto& optimizer) { step(optimizer, weights, gradients); }, optimizer_);
}

void OptimizerState::step(const Sgd& sgd, std::span<float> weights, std::span<const float> gradients) {
  const auto momentum = static_cast<float>(sgd.momentum);
  const auto rate = static_cast<float>(sgd.learning_rate);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    first_[i] = momentum * first_[i] - rate * gradients[i];
    weights[i] += first_[i];
  }
}

// m = beta_1 * m + (1 - beta_1) * g,  v = beta_2 * v + (1 - beta_2) * g^2
// w = w - rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)
void OptimizerState::step(const Adam& adam, std::span<float> weights, std::span<const float> gradients) {
  const auto beta_1 = static_cast<float>(adam.beta_1);
  const auto beta_2 = static_cast<float>(adam.beta_2);
  const auto epsilon = static_cast<float>(adam.epsilon);
  const auto rate = static_cast<float>(adam.learning_rate * std::sqrt(1.0 - std::pow(adam.beta_2, steps_)) /
                                       (1.0 - std::pow(adam.beta_1, steps_)));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const float g = gradients[i];
    first_[i] += (g - first_[i]) * (1.0F - beta_1);
    second_[i] += (g * g - second_[i]) * (1.0F - beta_2);
    weights[i] -= rate * first_[i] / (std::sqrt(second_[i]) + epsilon);
  }
}

}  // namespace bnrun::train
