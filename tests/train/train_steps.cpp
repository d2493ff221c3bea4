// Fifty steps of the trainer in double, as JSON, for comparing with another trainer:
//   train_steps LAYERS LOSS OPTIMIZER [IMAGE]
// LAYERS as bntrain takes them, over rows of 6 numbers or an IMAGE such as 6x5, one channel; data, first weights, the loss of each step, and weights and statistics at the end.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "bntrain/layers.h"
#include "train/fit/optimizer.h"
#include "train/stack.h"

namespace bnrun::train {
namespace {

constexpr std::int64_t kRows = 32;
constexpr std::int64_t kOutputs = 3;

Objective objective_of(const std::string& name) {
  if (name == "smoothed") return Objective(Loss::cross_entropy, {.label_smoothing = 0.1});
  if (name == "weighted") return Objective(Loss::cross_entropy, {.class_weights = {0.5, 2.0, 1.0}});
  const std::map<std::string, Loss> losses{{"cross-entropy", Loss::cross_entropy},
                                           {"binary", Loss::binary_cross_entropy},
                                           {"mse", Loss::mean_squared_error},
                                           {"mae", Loss::mean_absolute_error},
                                           {"huber", Loss::huber}};
  return Objective(losses.at(name), {.huber_delta = 0.7});
}

/// Adam with an epsilon that is felt by none: Keras and we add it before the bias is corrected, PyTorch after.
Optimizer optimizer_of(const std::string& name) {
  const std::map<std::string, Optimizer> optimizers{
      {"sgd", Sgd{.learning_rate = 0.05, .momentum = 0.9}},
      {"nesterov", Sgd{.learning_rate = 0.05, .momentum = 0.9, .nesterov = true}},
      {"adam", Adam{.learning_rate = 0.01, .epsilon = 1e-11}},
      {"adamw", AdamW{.learning_rate = 0.01, .epsilon = 1e-11, .weight_decay = 0.1}},
      {"rmsprop", RmsProp{.learning_rate = 0.001, .rho = 0.95, .momentum = 0.5}}};
  return optimizers.at(name);
}

int run(const std::string& layers, const std::string& loss, const std::string& optimizer, const Shape& row) {
  const std::int64_t columns = row.elements();
  constexpr int kSteps = 50;
  const Objective objective = objective_of(loss);
  auto specs =
      parse_layers(layers, kOutputs, objective.takes_labels() ? Task::classification : Task::regression);
  if (loss == "binary") specs.emplace_back(Activation::sigmoid);
  Stack<double> stack(row, specs);
  Random random(5);
  stack.initialize(random);
  stack.set_objective(objective);
  std::vector<double> x(static_cast<std::size_t>(kSteps * kRows * columns));
  for (double& value : x) value = random.normal();
  std::vector<double> targets(static_cast<std::size_t>(kSteps * kRows * kOutputs));
  for (double& target : targets)
    target = loss == "binary" ? static_cast<double>(random.uniform() < 0.4) : random.normal();
  std::vector<std::int64_t> labels(static_cast<std::size_t>(kSteps * kRows));
  for (auto& label : labels) label = static_cast<std::int64_t>(random.uniform() * kOutputs);
  nlohmann::json json{{"x", x}, {"targets", targets}, {"labels", labels}};
  const auto first = stack.weights();
  json["first"] = std::vector<double>(first.begin(), first.end());
  OptimizerState<double> state(optimizer_of(optimizer), stack.weights().size());
  for (int step = 0; step < kSteps; ++step) {
    const Batch<double> batch{kRows, x.data() + step * kRows * columns, labels.data() + step * kRows,
                              targets.data() + step * kRows * kOutputs};
    json["losses"].push_back(stack.forward(batch));
    stack.backward(batch);
    state.step(stack.weights(), stack.gradients());
  }
  json["last"] = std::vector<double>(stack.weights().begin(), stack.weights().end());
  json["statistics"] = stack.statistics();
  std::cout << json << "\n";
  return 0;
}

}  // namespace
}  // namespace bnrun::train

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::cerr << "usage: train_steps LAYERS LOSS OPTIMIZER [IMAGE]\n";
    return 2;
  }
  bnrun::Shape row{6};
  if (argc == 5) {
    const auto size = bnrun::read_size(argv[4]).value();
    row = {size.height, size.width, 1};
  }
  return bnrun::train::run(argv[1], argv[2], argv[3], row);
}
