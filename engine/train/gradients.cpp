#include <algorithm>
#include <cmath>

#include "train/network.h"

namespace bnrun::train {

// dL/dw = (8 * (L(w + h) - L(w - h)) - (L(w + 2h) - L(w - 2h))) / (12 * h) + O(h^4)
double check_gradients(const Network& network, const Dataset& batch) {
  constexpr double h = 1e-4;
  check_data(network, batch);
  const Dataset data = scaled(network, batch);
  const std::vector<double> features(data.features.begin(), data.features.end());
  const std::vector<double> targets(data.targets.begin(), data.targets.end());
  const Batch<double> rows{data.rows(), features.data(), data.labels.data(), targets.data()};

  const auto& trained = network.state().stack;
  Stack<double> stack(network.input_shape(), trained.specs());
  stack.set_objective(trained.objective());
  const auto weights = stack.weights();
  std::ranges::copy(trained.weights(), weights.begin());
  stack.set_folding(trained.folding() == Folding::none ? Folding::none : Folding::folded);
  stack.forward(rows);
  stack.backward(rows);
  const std::vector<double> gradients(stack.gradients().begin(), stack.gradients().end());

  double largest = 0.0;
  for (const double gradient : gradients) largest = std::max(largest, std::abs(gradient));
  double worst = 0.0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double w = weights[i];
    const auto loss_at = [&](double shift) {
      weights[i] = w + shift;
      return stack.forward(rows);
    };
    const double difference =
        (8.0 * (loss_at(h) - loss_at(-h)) - (loss_at(2.0 * h) - loss_at(-2.0 * h))) / (12.0 * h);
    weights[i] = w;
    const double scale = std::max({std::abs(gradients[i]), std::abs(difference), 1e-3 * largest});
    if (scale > 0.0) worst = std::max(worst, std::abs(gradients[i] - difference) / scale);
  }
  return worst;
}

}  // namespace bnrun::train
