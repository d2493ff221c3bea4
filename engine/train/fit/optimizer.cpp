#include "train/fit/optimizer.h"

#include <cmath>

#include "base/fail.h"

namespace bnrun::train {
namespace {

void check_decay(std::string_view name, double decay) {
  if (!(decay >= 0.0 && decay < 1.0))
    fail(ErrorCode::invalid_input, "{} {}, expected 0 <= {} < 1", name, decay, name);
}

void check_positive(std::string_view name, double number) {
  if (!(number > 0.0) || !std::isfinite(number))
    fail(ErrorCode::invalid_input, "{} {}, expected a positive number", name, number);
}

void check_weight_decay(double decay) {
  if (!(decay >= 0.0) || !std::isfinite(decay))
    fail(ErrorCode::invalid_input, "weight decay {}, expected 0 or a positive number", decay);
}

void check(const Sgd& sgd) {
  check_decay("momentum", sgd.momentum);
}
void check(const Adam& adam) {
  check_decay("beta_1", adam.beta_1);
  check_decay("beta_2", adam.beta_2);
  check_positive("epsilon", adam.epsilon);
}
void check(const AdamW& adam) {
  check(Adam{adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon});
  check_weight_decay(adam.weight_decay);
}
void check(const RmsProp& rms) {
  check_decay("rho", rms.rho);
  check_decay("momentum", rms.momentum);
  check_positive("epsilon", rms.epsilon);
}
void check(const Lion& lion) {
  check_decay("beta_1", lion.beta_1);
  check_decay("beta_2", lion.beta_2);
  check_weight_decay(lion.weight_decay);
}

bool keeps_squares(const Optimizer& optimizer) {
  return std::holds_alternative<Adam>(optimizer) || std::holds_alternative<AdamW>(optimizer) ||
         std::holds_alternative<RmsProp>(optimizer);
}

}  // namespace

double learning_rate_of(const Optimizer& optimizer) {
  return std::visit([](const auto& o) { return o.learning_rate; }, optimizer);
}

void check_optimizer(const Optimizer& optimizer) {
  check_positive("learning rate", learning_rate_of(optimizer));
  std::visit([](const auto& o) { check(o); }, optimizer);
}

template <class T>
OptimizerState<T>::OptimizerState(const Optimizer& optimizer, std::size_t weights)
    : optimizer_(optimizer), first_(weights), second_(keeps_squares(optimizer) ? weights : 0) {}

template <class T>
void OptimizerState<T>::restore(int steps, std::vector<T> first, std::vector<T> second) {
  if (first.size() != first_.size() || second.size() != second_.size())
    fail(ErrorCode::invalid_input, "the moments are those of another optimiser or network");
  steps_ = steps;
  first_ = std::move(first);
  second_ = std::move(second);
}

template <class T>
void OptimizerState<T>::step(std::span<T> weights, std::span<const T> gradients, double rate_factor) {
  ++steps_;
  const double rate = learning_rate_of(optimizer_) * rate_factor;
  std::visit([&](const auto& optimizer) { step(optimizer, rate, weights, gradients); }, optimizer_);
}

template <class T>
void OptimizerState<T>::step(const Sgd& sgd, double rate, std::span<T> weights,
                             std::span<const T> gradients) {
  const auto momentum = static_cast<T>(sgd.momentum);
  const auto factor = static_cast<T>(rate);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    first_[i] = momentum * first_[i] - factor * gradients[i];
    weights[i] += sgd.nesterov ? momentum * first_[i] - factor * gradients[i] : first_[i];
  }
}

// m = beta_1 * m + (1 - beta_1) * g,  v = beta_2 * v + (1 - beta_2) * g^2
// w = w - rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)
template <class T>
void OptimizerState<T>::step(const Adam& adam, double rate, std::span<T> weights,
                             std::span<const T> gradients) {
  const auto beta_1 = static_cast<T>(adam.beta_1);
  const auto beta_2 = static_cast<T>(adam.beta_2);
  const auto epsilon = static_cast<T>(adam.epsilon);
  const auto factor = static_cast<T>(rate * std::sqrt(1.0 - std::pow(adam.beta_2, steps_)) /
                                     (1.0 - std::pow(adam.beta_1, steps_)));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const T g = gradients[i];
    first_[i] += (g - first_[i]) * (T(1) - beta_1);
    second_[i] += (g * g - second_[i]) * (T(1) - beta_2);
    weights[i] -= factor * first_[i] / (std::sqrt(second_[i]) + epsilon);
  }
}

template <class T>
void OptimizerState<T>::step(const AdamW& adam, double rate, std::span<T> weights,
                             std::span<const T> gradients) {
  const auto kept = static_cast<T>(1.0 - rate * adam.weight_decay);
  for (T& weight : weights) weight *= kept;
  step(Adam{adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon}, rate, weights, gradients);
}

template <class T>
void OptimizerState<T>::step(const RmsProp& rms, double rate, std::span<T> weights,
                             std::span<const T> gradients) {
  const auto rho = static_cast<T>(rms.rho);
  const auto momentum = static_cast<T>(rms.momentum);
  const auto epsilon = static_cast<T>(rms.epsilon);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const T g = gradients[i];
    second_[i] += (g * g - second_[i]) * (T(1) - rho);
    first_[i] = momentum * first_[i] + g / (std::sqrt(second_[i]) + epsilon);
    weights[i] -= static_cast<T>(rate) * first_[i];
  }
}

template <class T>
void OptimizerState<T>::step(const Lion& lion, double rate, std::span<T> weights,
                             std::span<const T> gradients) {
  const auto beta_1 = static_cast<T>(lion.beta_1);
  const auto beta_2 = static_cast<T>(lion.beta_2);
  const auto decay = static_cast<T>(lion.weight_decay);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const T g = gradients[i];
    const T way = first_[i] + (g - first_[i]) * (T(1) - beta_1);
    const T sign = way > T(0) ? T(1) : way < T(0) ? T(-1) : T(0);
    weights[i] -= static_cast<T>(rate) * (sign + decay * weights[i]);
    first_[i] += (g - first_[i]) * (T(1) - beta_2);
  }
}

template class OptimizerState<float>;
template class OptimizerState<double>;

}  // namespace bnrun::train
